"""From which probability on to predict class 1, for a wanted recall, precision or F1.

Shapes: n rows, s distinct probabilities, or steps of them, in falling order.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.evaluation.tables import Scored

SMALLEST = 1e-9
"""Thresholds keep this far from 0 and 1, where the log odds end."""
N_STEPS = 1 << 17
"""Of log odds between the smallest and the largest threshold; each is 0.03 % of the odds."""


class _Gathered(NamedTuple):
    """Rows with the same probability or in the same step: no threshold parts them."""

    lowest_s: Tensor
    highest_s: Tensor
    """Probabilities."""
    true_s: Tensor
    """Weight of the positive rows down to here."""
    called_s: Tensor
    """Weight of all rows down to here."""


def choose_threshold(
    parts: Iterable[Scored], metric: str, at_least: float | None, *, is_stepped: bool = False
) -> float:
    """`recall` and `precision`: of the thresholds that reach `at_least`, the one with the highest other of the two;
    where none reaches it, the one that comes closest. `f1`: the highest. Of equals the highest threshold.

    `is_stepped`: only thresholds between two steps are looked at, in memory for the steps and one of the parts.
    """
    found = _in_steps(parts) if is_stepped else _exactly(*parts)
    true_s, called_s = found.true_s, found.called_s
    recall_s, precision_s = true_s / true_s[-1].clamp(min=1e-300), true_s / called_s.clamp(min=1e-300)
    if metric == "f1":
        wanted_s = 2 * true_s / (called_s + true_s[-1])
    else:
        assert at_least is not None  # noqa: S101  the spec asks for it
        reached_s, other_s = (recall_s, precision_s) if metric == "recall" else (precision_s, recall_s)
        tolerance = 1e-12
        wanted_s = torch.where(reached_s >= at_least - tolerance, other_s + 2, reached_s)
    best = int((wanted_s >= wanted_s.max() - 1e-12).nonzero()[0])
    below = found.highest_s[best + 1] if best + 1 < len(true_s) else torch.zeros_like(found.highest_s[0])
    # Halfway to the next lower probability: rounding on another machine must not push a row over the edge.
    return min(max(float((found.lowest_s[best] + below) / 2), SMALLEST), 1 - SMALLEST)


def _exactly(rows: Scored) -> _Gathered:
    score_s, place_n = torch.unique(-rows.probability_n, return_inverse=True)
    sums_s = rows.weight_n.new_zeros(len(score_s))
    true_s = sums_s.index_add(0, place_n, rows.weight_n * rows.is_positive_n).cumsum(0)
    return _Gathered(-score_s, -score_s, true_s, sums_s.index_add(0, place_n, rows.weight_n).cumsum(0))


def _in_steps(parts: Iterable[Scored]) -> _Gathered:
    true_s, called_s, highest_s = torch.zeros(3, N_STEPS, dtype=torch.float64)
    lowest_s, reach = torch.ones(N_STEPS, dtype=torch.float64), math.log(1 / SMALLEST)
    for probability_n, is_positive_n, weight_n in parts:
        place_n = ((reach - probability_n.logit()) * (N_STEPS / (2 * reach))).clamp_(0, N_STEPS - 1).long()
        true_s.index_add_(0, place_n, weight_n * is_positive_n)
        called_s.index_add_(0, place_n, weight_n)
        lowest_s.scatter_reduce_(0, place_n, probability_n, "amin")
        highest_s.scatter_reduce_(0, place_n, probability_n, "amax")
    kept_s = called_s > 0
    return _Gathered(lowest_s[kept_s], highest_s[kept_s], true_s[kept_s].cumsum(0), called_s[kept_s].cumsum(0))
