import torch
import torch.nn.functional as F
x = torch.randn(3, requires_grad=True)
h = torch.exp(x)
F.relu(h, inplace=True)
h.sum().backward()
