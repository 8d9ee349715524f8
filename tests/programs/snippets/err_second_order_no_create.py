import torch
x = torch.tensor(3., requires_grad=True)
y = x ** 3
dy = torch.autograd.grad(y, x)[0]
d2y = torch.autograd.grad(dy, x)[0]
