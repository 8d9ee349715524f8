import torch
from torch import nn
base, head = nn.Linear(2, 2), nn.Linear(2, 1)
opt = torch.optim.SGD([
    {'params': base.parameters()},
    {'params': head.parameters(), 'lr': 1e-1}
], lr=1e-2, momentum=0.9)
head(base(torch.ones(1, 2))).sum().backward()
opt.step()
for group in opt.param_groups:
    print(group['lr'], len(group['params']))
for group in opt.param_groups:
    group['lr'] *= 0.1
print([g['lr'] for g in opt.param_groups])
