import torch
def f(x):
    return x**4 - 3*x**2 + x
x = torch.tensor(2.0, requires_grad=True)
for it in range(8):
    y = f(x)
    g, = torch.autograd.grad(y, x, create_graph=True)
    h, = torch.autograd.grad(g, x)
    with torch.no_grad():
        x -= g / h
    print(f"{it}: x={x.item():+.6f}, f'={g.item():.2e}, f''={h.item():.3f}")
    if g.abs() < 1e-6:
        break
