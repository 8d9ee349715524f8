import torch
from torch import nn
model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
for name, param in model.named_parameters():
    if name.startswith('0.'):
        param.requires_grad_(False)
    print(f"{name:<10} {param.requires_grad!s:>5}")
opt = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
loss = model(torch.ones(1, 3)).sum()
loss.backward()
print(model[0].weight.grad is None, model[2].weight.grad is None)
print(model[0].weight.grad, model[2].bias.grad)
