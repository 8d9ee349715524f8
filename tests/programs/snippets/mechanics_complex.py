import torch
x = torch.tensor([1+2j, 3-1j], requires_grad=True)
y = (x.abs() ** 2).sum()
y.backward()
print(x.grad)
