import torch
x = torch.arange(4)
x.requires_grad_(True)
