"""How well scores tell positive rows from negative ones, whatever the threshold: the areas under their curves.

Two ways to the same numbers but for rounding. Tensors do many weightings of few rows side by side, and need nothing
compiled; a kernel does one weighting of rows already in order, however many, in one walk without a copy of them.

Shapes: n rows, r weightings, s distinct scores in falling order.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.evaluation.ordered import Ordered


class Ranking(NamedTuple):
    """Rows gathered by their score."""

    positive_sr: Tensor
    """Weight of the positive rows with each score."""
    negative_sr: Tensor


def rank(score_n: Tensor, is_positive_n: Tensor, weight_nr: Tensor) -> Ranking:
    """Rows with the same score are one entry: no threshold parts them."""
    scores, place_n = torch.unique(-score_n, return_inverse=True)
    sums_s2r = added_up(place_n * 2 + is_positive_n, weight_nr, 2 * len(scores)).view(len(scores), 2, -1)
    return Ranking(sums_s2r[:, 1], sums_s2r[:, 0])


def added_up(place_n: Tensor, value_nr: Tensor, n_places: int) -> Tensor:
    """The values of each place, [s, r] for s places. A single column goes a way of its own, four times as fast."""
    sums_sr = value_nr.new_zeros(n_places, value_nr.shape[1])
    if value_nr.shape[1] == 1:
        sums_sr[:, 0].scatter_add_(0, place_n, value_nr[:, 0])
        return sums_sr
    return sums_sr.index_add_(0, place_n, value_nr)


def roc_auc(ranking: Ranking) -> Tensor:
    """Chance that a positive row scores above a negative one, ties counting half; NaN without both classes."""
    negative_sr = ranking.negative_sr
    not_above_sr = negative_sr.sum(0) - negative_sr.cumsum(0) + negative_sr / 2
    return (ranking.positive_sr * not_above_sr).sum(0) / (ranking.positive_sr.sum(0) * negative_sr.sum(0))


def pr_auc(ranking: Ranking) -> Tensor:
    """Average precision: the precision at each score, weighted by the recall gained there; NaN without positives."""
    true_sr = ranking.positive_sr.cumsum(0)
    called_sr = true_sr + ranking.negative_sr.cumsum(0)
    precision_sr = torch.where(called_sr > 0, true_sr / called_sr, 0.0)
    return (ranking.positive_sr * precision_sr).sum(0) / ranking.positive_sr.sum(0)


def areas_of(rows: Ordered) -> tuple[float, float]:
    """`roc_auc` and `pr_auc` of all rows, each counted by its own weight."""
    from gradline.evaluation import kernel  # noqa: PLC0415  half a second; few rows do without

    positive, negative = rows
    found: tuple[float, float] = kernel.areas(positive.score_m, positive.weight_m, negative.score_m, negative.weight_m)
    return found
