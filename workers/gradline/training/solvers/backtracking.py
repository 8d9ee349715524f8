"""The longest of the step lengths 1, 1/2, 1/4, ... that lowers F enough, for each of b members."""

from collections.abc import Callable

import torch
from torch import Tensor

SUFFICIENT_DECREASE = 1e-4
MAX_HALVINGS = 40


def backtrack(
    theta_bkp: Tensor,
    step_bq: Tensor,
    value_b: Tensor,
    slope_b: Tensor,
    rounding: float,
    evaluate_first: Callable[[], Tensor],
    evaluate: Callable[[], Tensor],
) -> None:
    """Moves theta in place; 0 for members that no length serves.

    `slope_b` is how fast F falls at first. The full step is nearly always taken, so `evaluate_first` may do more than
    `evaluate`; both give F at theta. Differences within `rounding` of F count as none.
    """
    origin_bkp, step_bkp = theta_bkp.clone(), step_bq.view(theta_bkp.shape).to(theta_bkp.dtype)
    limit_b = value_b + rounding * value_b.abs()
    length_b = torch.ones_like(value_b)
    torch.add(origin_bkp, step_bkp, out=theta_bkp)
    new_b = evaluate_first()
    for halving in range(MAX_HALVINGS + 1):
        is_short_b = new_b <= limit_b - SUFFICIENT_DECREASE * length_b * slope_b
        if bool(is_short_b.all()):
            return
        length_b = torch.where(is_short_b, length_b, length_b / 2 if halving < MAX_HALVINGS else 0.0)
        torch.addcmul(origin_bkp, step_bkp, length_b.view(-1, 1, 1).to(step_bkp.dtype), out=theta_bkp)
        new_b = evaluate()
