"""The longest of the step lengths 1, 1/2, 1/4, ... that lowers F enough, for each of b members."""

from collections.abc import Callable

import torch
from torch import Tensor

SUFFICIENT_DECREASE = 1e-4
MAX_HALVINGS = 40
"""Once F is at most twice what it was, or no longer falls with them: more would only look at rounding."""
MAX_HALVINGS_FROM_AFAR = 1100
"""In all: where rows have hardly any curvature, as at probabilities of e^-100, a step is as much too long."""


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
    length_b, n_near_b, last_b = (
        torch.ones_like(value_b),
        torch.zeros_like(value_b),
        torch.full_like(value_b, torch.inf),
    )
    for halving in range(MAX_HALVINGS_FROM_AFAR + 1):
        is_settled_b = (new_b <= limit_b - SUFFICIENT_DECREASE * length_b * slope_b) | (length_b == 0)
        if bool(is_settled_b.all()):
            return
        is_falling_b = (new_b > 2 * value_b) & ((new_b < last_b) | (new_b == torch.inf))
        n_near_b, last_b = torch.where(is_falling_b, 0.0, n_near_b + 1), new_b
        goes_on_b = (n_near_b <= MAX_HALVINGS) & (halving < MAX_HALVINGS_FROM_AFAR)
        length_b = torch.where(is_settled_b, length_b, torch.where(goes_on_b, length_b / 2, 0.0))
        torch.addcmul(origin_bkp, step_bkp, length_b.view(-1, 1, 1).to(step_bkp.dtype), out=theta_bkp)
        new_b = evaluate()
