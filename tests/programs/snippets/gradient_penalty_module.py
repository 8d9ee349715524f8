import torch
from torch import nn, autograd
torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
real, fake = torch.randn(5, 2), torch.randn(5, 2)
eps = torch.rand(5, 1).expand_as(real)
interp = (eps * real + (1 - eps) * fake).requires_grad_(True)
score = critic(interp)
grads = autograd.grad(outputs=score, inputs=interp, grad_outputs=torch.ones(score.size()), create_graph=True, retain_graph=True, only_inputs=True)[0]
gp = ((grads.norm(2, dim=1) - 1) ** 2).mean()
gp.backward()
print(gp.item())
print(critic[0].weight.grad.abs().sum())
