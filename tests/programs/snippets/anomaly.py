import torch
x = torch.tensor([0., 1.], requires_grad=True)
y = torch.sqrt(x) * 0 + torch.log(x)
y.sum().backward()
print(x.grad)
