import torch
x = torch.tensor(1.0, requires_grad=True)
y = x * 3
z = y ** 2
z.backward()
print(x.grad, y.grad)
