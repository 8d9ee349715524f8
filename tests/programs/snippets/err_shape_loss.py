import torch
import torch.nn.functional as F
net_out = torch.randn(8, 3, requires_grad=True)
target = torch.randint(0, 3, (7,))
loss = F.cross_entropy(net_out, target)
loss.backward()
