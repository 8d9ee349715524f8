from typing import List, Tuple
import torch
from torch import Tensor
def step(params: List[Tensor], lr: float = 0.1) -> Tuple[Tensor, ...]:
    with torch.no_grad():
        for p in params:
            p -= lr * p.grad
            p.grad = None
    return tuple(params)
w: Tensor = torch.ones(2, requires_grad=True)
(w * torch.tensor([1., 2.])).sum().backward()
print(step([w]))
