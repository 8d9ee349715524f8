import torch
import torch.nn.functional as F
logits = torch.tensor([[2., 0.5, -1.], [0.1, 0.2, 0.3]], requires_grad=True)
target = torch.tensor([0, 2])
for name, loss in [("ce", F.cross_entropy(logits, target)), ("nll", F.nll_loss(F.log_softmax(logits, dim=1), target)),
                   ("mse", F.mse_loss(logits, torch.zeros(2, 3))), ("l1", F.l1_loss(logits, torch.ones(2, 3))),
                   ("huber", F.smooth_l1_loss(logits, torch.ones_like(logits), reduction="sum"))]:
    logits.grad = None
    loss.backward()
    print(f"{name:>6}: {loss.item():8.4f}", logits.grad.abs().sum())
