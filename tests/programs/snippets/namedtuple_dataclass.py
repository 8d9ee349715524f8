from dataclasses import dataclass
import torch
@dataclass
class Config:
    lr: float = 0.1
    steps: int = 3
cfg = Config()
w = torch.tensor(1., requires_grad=True)
for _ in range(cfg.steps):
    (w ** 2).backward()
    with torch.no_grad():
        w -= cfg.lr * w.grad
    w.grad.zero_()
print(w, cfg)
