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
    torch.add(origin_bkp, step_bkp, out=theta_bkp)
    new_b = evaluate_first()
    limit_b = torch.addcmul(value_b, value_b.abs(), value_b.new_full((), rounding))
    if bool((new_b <= torch.sub(limit_b, slope_b, alpha=SUFFICIENT_DECREASE)).all()):
        return
    length_b = torch.ones_like(value_b)
    for halving in range(MAX_HALVINGS + 1):
        is_short_b = new_b <= limit_b - SUFFICIENT_DECREASE * length_b * slope_b
        if bool(is_short_b.all()):
            return
        length_b = torch.where(is_short_b, length_b, length_b / 2 if halving < MAX_HALVINGS else 0.0)
        torch.addcmul(origin_bkp, step_bkp, length_b.view(-1, 1, 1).to(step_bkp.dtype), out=theta_bkp)
        new_b = evaluate()
