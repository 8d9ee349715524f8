import torch
def compute(x):
    return (x ** 3).sum()
x = torch.tensor([1., 2.], requires_grad=True)
loss = compute(x)
for i in range(3):
    loss.backward()
    print(i, x.grad)
