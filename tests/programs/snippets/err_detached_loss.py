import torch
import torch.nn.functional as F
logits = torch.randn(3, 4, requires_grad=True)
preds = logits.argmax(dim=1)
target = torch.tensor([0, 1, 2])
loss = (preds != target).float().mean()
loss.backward()
