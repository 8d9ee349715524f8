import torch
a = torch.tensor([1., 2., 3.], requires_grad=True)
out = a.sigmoid()
c = out.data
c.zero_()
print(c, out)
out.sum().backward()
print(a.grad)
b = torch.tensor([1., 2., 3.], requires_grad=True)
out = b.sigmoid()
d = out.detach()
d.zero_()
print(out)
try:
    out.sum().backward()
except RuntimeError as e:
    print(e)
