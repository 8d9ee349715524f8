import torch
a = torch.rand(10, requires_grad=True)
print(a.is_leaf)
b = torch.rand(10, requires_grad=True).double()
print(b.is_leaf)
c = torch.rand(10, requires_grad=True) + 2
print(c.is_leaf)
d = torch.rand(10).double()
print(d.is_leaf)
e = torch.rand(10).double().requires_grad_()
print(e.is_leaf)
