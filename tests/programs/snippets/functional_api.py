import torch
from torch.autograd.functional import jacobian, hessian, vjp, jvp
def f(x):
    return (x ** 2).sum() + x[0] * x[1]
x = torch.tensor([1., 2.])
print(jacobian(lambda v: v.exp(), x))
print(hessian(f, x))
print(vjp(f, x))
print(jvp(f, x, torch.ones(2)))
from torch.func import grad, vmap
import torch.func as func
print(grad(f)(x))
print(func.hessian(f)(x), func.jacrev(lambda v: v.sin())(x))
out, pull = func.vjp(lambda v: v * 3, x)
print(out, pull(torch.ones(2)))
print(func.jvp(torch.sin, (x,), (torch.ones(2),)))
print(vmap(grad(lambda v: v ** 3))(x))
