import torch
def f(x):
    return (x ** 4).sum() + x[0] * x[1]
x = torch.tensor([1., 2., 3.], requires_grad=True)
v = torch.tensor([1., 0., -1.])
g, = torch.autograd.grad(f(x), x, create_graph=True)
hv, = torch.autograd.grad(g @ v, x)
print(g)
print(hv)
print(torch.autograd.functional.hvp(f, x, v))
print(torch.autograd.functional.hessian(f, x) @ v)
