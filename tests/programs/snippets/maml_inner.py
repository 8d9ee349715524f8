import torch
w = torch.tensor([1.0, 2.0], requires_grad=True)
x, y = torch.tensor([0.5, -1.0]), torch.tensor(1.0)
inner = ((w * x).sum() - y) ** 2
g, = torch.autograd.grad(inner, w, create_graph=True)
w_fast = w - 0.1 * g
outer = ((w_fast * x).sum() - y) ** 2
outer.backward()
print(w.grad)
w.grad = None
g = g.detach()
((((w - 0.1 * g) * x).sum() - y) ** 2).backward()
print(w.grad)
