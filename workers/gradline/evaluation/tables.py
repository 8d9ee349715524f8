"""Scores and classes in few enough rows to draw every curve from.

Shapes: n rows, s distinct scores.
"""

from typing import Any

import torch
from torch import Tensor

N_SCORES = 2000
"""More distinct scores than this are gathered in steps of this many to 1."""
N_POINTS = 2000
"""Of fitted values and residuals."""


def score_table(probability_n: Tensor, is_positive_n: Tensor, weight_n: Tensor) -> dict[str, list[float]]:
    """Falling `score`, and the weight of the positive and of the negative rows at each."""
    score_s, place_n = torch.unique(-probability_n, return_inverse=True)
    if len(score_s) > N_SCORES:
        place_n = N_SCORES - (probability_n * N_SCORES).round().long()
        score_s = torch.linspace(-1, 0, N_SCORES + 1, dtype=torch.float64)
    sums = weight_n.new_zeros(len(score_s))
    positive_s = sums.index_add(0, place_n, weight_n * is_positive_n)
    negative_s = sums.index_add(0, place_n, weight_n * ~is_positive_n)
    kept_s = (positive_s + negative_s) > 0
    columns = {"score": -score_s, "positive": positive_s, "negative": negative_s}
    return {name: column[kept_s].tolist() for name, column in columns.items()}


def residual_table(predicted_n: Tensor, target_n: Tensor) -> dict[str, Any]:
    """Predicted values and residuals of at most `N_POINTS` rows, evenly spread over the data."""
    every = -(-len(target_n) // N_POINTS)
    predicted_r, target_r = predicted_n[::every], target_n[::every]
    return {"predicted": predicted_r.tolist(), "residual": (target_r - predicted_r).tolist()}
