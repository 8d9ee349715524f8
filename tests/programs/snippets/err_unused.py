import torch
a = torch.tensor(1., requires_grad=True)
b = torch.tensor(2., requires_grad=True)
c = a ** 2
print(torch.autograd.grad(c, [a, b], allow_unused=True))
c = a ** 2
print(torch.autograd.grad(c, [a, b]))
