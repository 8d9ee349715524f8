"""Measures of predicted numbers, on the target's own scale.

Shapes: n rows, r weightings of the rows.
"""

import torch
from torch import Tensor


def measures(predicted_n: Tensor, target_n: Tensor, deviance_n: Tensor, share_nr: Tensor) -> dict[str, Tensor]:
    """Each measure under each weighting, [r]; shares add up to 1 in each. `deviance_n`: unit deviance of each row."""
    error_n = target_n - predicted_n
    squared_r = error_n.square() @ share_nr
    mean_r = target_n @ share_nr
    variance_r = torch.stack([(target_n - mean).square() for mean in mean_r], 1).mul_(share_nr).sum(0)
    return {
        "mse": squared_r,
        "rmse": squared_r.sqrt(),
        "mae": error_n.abs() @ share_nr,
        "r2": 1 - squared_r / variance_r,
        "deviance": deviance_n @ share_nr,
    }
