import torch
import torch.nn as nn
logits = torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
loss = nn.BCELoss()(logits, torch.tensor([1., 0., 1.]))
loss.backward()
