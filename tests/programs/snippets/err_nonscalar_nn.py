import torch
import torch.nn as nn
net = nn.Linear(3, 2)
crit = nn.MSELoss(reduction='none')
out = net(torch.randn(4, 3))
loss = crit(out, torch.zeros(4, 2))
loss.backward()
