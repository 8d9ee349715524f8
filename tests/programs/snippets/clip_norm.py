import torch
from torch import nn
torch.manual_seed(0)
m = nn.Linear(2, 2)
(m(torch.ones(1, 2)) * 100).sum().backward()
total = torch.nn.utils.clip_grad_norm_(m.parameters(), max_norm=1.0)
print(total)
print(torch.sqrt(sum(p.grad.pow(2).sum() for p in m.parameters())))
