import torch
import torch.nn.functional as F
x = torch.linspace(-1, 1, 5).requires_grad_(True)
w = torch.tensor([0.5, -0.25], requires_grad=True)
out = F.softplus(w[0] * x + w[1])
(gx,) = torch.autograd.grad(outputs=out, inputs=x, grad_outputs=torch.ones_like(out), create_graph=True)
penalty = ((gx.norm(2) - 1) ** 2)
penalty.backward()
print(gx, penalty, w.grad, sep='\n')
g = torch.autograd.grad(out.sum(), [w, x], allow_unused=True, retain_graph=True)
print(len(g), g)
