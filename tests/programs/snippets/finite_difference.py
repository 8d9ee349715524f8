import torch
def numerical_grad(f, x, eps=1e-3):
    g = torch.zeros_like(x)
    for i in range(x.numel()):
        xp, xm = x.clone(), x.clone()
        xp.view(-1)[i] += eps
        xm.view(-1)[i] -= eps
        g.view(-1)[i] = (f(xp) - f(xm)) / (2 * eps)
    return g
f = lambda x: (x ** 3).sum() + x.prod()
x = torch.tensor([[1., 2.], [3., 4.]], dtype=torch.float64, requires_grad=True)
f(x).backward()
with torch.no_grad():
    ng = numerical_grad(f, x)
print((x.grad - ng).abs().max() < 1e-4)
print(torch.autograd.gradcheck(f, (x,), eps=1e-6, atol=1e-4))
