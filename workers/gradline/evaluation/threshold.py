"""From which probability on to predict class 1, for a wanted recall, precision or F1.

Shapes: n rows, s distinct probabilities in falling order.
"""

import torch
from torch import Tensor

SMALLEST = 1e-9
"""Thresholds keep this far from 0 and 1, where the log odds end."""


def choose_threshold(
    probability_n: Tensor, is_positive_n: Tensor, weight_n: Tensor, metric: str, at_least: float | None
) -> float:
    """`recall` and `precision`: of the thresholds that reach `at_least`, the one with the highest other of the two;
    where none reaches it, the one that comes closest. `f1`: the highest. Of equals the highest threshold."""
    score_s, place_n = torch.unique(-probability_n, return_inverse=True)
    sums = weight_n.new_zeros(len(score_s))
    true_s = sums.index_add(0, place_n, weight_n * is_positive_n).cumsum(0)
    called_s = sums.index_add(0, place_n, weight_n).cumsum(0)
    recall_s, precision_s = true_s / true_s[-1].clamp(min=1e-300), true_s / called_s.clamp(min=1e-300)
    if metric == "f1":
        wanted_s = 2 * true_s / (called_s + true_s[-1])
    else:
        assert at_least is not None  # noqa: S101  the spec asks for it
        reached_s, other_s = (recall_s, precision_s) if metric == "recall" else (precision_s, recall_s)
        tolerance = 1e-12
        wanted_s = torch.where(reached_s >= at_least - tolerance, other_s + 2, reached_s)
    best = int((wanted_s >= wanted_s.max() - 1e-12).nonzero()[0])
    below = -score_s[best + 1] if best + 1 < len(score_s) else torch.zeros_like(score_s[0])
    # Halfway to the next lower probability: rounding on another machine must not push a row over the edge.
    return min(max(float((-score_s[best] + below) / 2), SMALLEST), 1 - SMALLEST)
