import torch
import torch.nn.functional as F
logits = torch.randn(3, requires_grad=True)
loss = F.binary_cross_entropy_with_logits(logits, torch.tensor([1, 0, 1]))
loss.backward()
