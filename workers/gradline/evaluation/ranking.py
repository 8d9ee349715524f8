"""How well scores tell positive rows from negative ones, whatever the threshold: the areas under their curves, and how
far apart the scores of the two are.

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
    true_sr: Tensor
    """Weight of the positive rows with such a score or a higher one."""
    false_sr: Tensor


def rank(score_n: Tensor, is_positive_n: Tensor, weight_nr: Tensor) -> Ranking:
    """Rows with the same score are one entry: no threshold parts them."""
    scores, place_n = torch.unique(-score_n, return_inverse=True)
    sums_s2r = added_up(place_n * 2 + is_positive_n, weight_nr, 2 * len(scores)).view(len(scores), 2, -1)
    positive_sr, negative_sr = sums_s2r[:, 1], sums_s2r[:, 0]
    return Ranking(positive_sr, negative_sr, positive_sr.cumsum(0), negative_sr.cumsum(0))


def added_up(place_n: Tensor, value_nr: Tensor, n_places: int) -> Tensor:
    """The values of each place, [s, r] for s places. A single column goes a way of its own, four times as fast."""
    sums_sr = value_nr.new_zeros(n_places, value_nr.shape[1])
    if value_nr.shape[1] == 1:
        sums_sr[:, 0].scatter_add_(0, place_n, value_nr[:, 0])
        return sums_sr
    return sums_sr.index_add_(0, place_n, value_nr)


def roc_auc(ranking: Ranking) -> Tensor:
    """Chance that a positive row scores above a negative one, ties counting half; NaN without both classes."""
    true_r, false_r = _totals(ranking)
    not_above_sr = false_r - ranking.false_sr + ranking.negative_sr / 2
    return (ranking.positive_sr * not_above_sr).sum(0) / (true_r * false_r)


def pr_auc(ranking: Ranking) -> Tensor:
    """Average precision: the precision at each score, weighted by the recall gained there; NaN without positives."""
    called_sr = ranking.true_sr + ranking.false_sr
    precision_sr = torch.where(called_sr > 0, ranking.true_sr / called_sr, 0.0)
    return (ranking.positive_sr * precision_sr).sum(0) / _totals(ranking)[0]


def ks(ranking: Ranking) -> Tensor:
    """One-sided Kolmogorov-Smirnov statistic: how far the positive rows' scores are above the negative ones', as the
    largest difference of the true and the false positive rate at any threshold; NaN without both classes."""
    true_r, false_r = _totals(ranking)
    ahead_r = (ranking.true_sr * false_r - ranking.false_sr * true_r).amax(0)
    return ahead_r / (true_r * false_r)


def _totals(ranking: Ranking) -> tuple[Tensor, Tensor]:
    return ranking.true_sr[-1], ranking.false_sr[-1]


MEASURES = {"roc_auc": roc_auc, "pr_auc": pr_auc, "ks": ks}


def rank_measures(rows: Ordered) -> dict[str, float]:
    """Each of `MEASURES` of all rows, each counted by its own weight."""
    from gradline.evaluation import kernel  # noqa: PLC0415  half a second; few rows do without

    positive, negative = rows
    found = kernel.rank_measures(positive.score_m, positive.weight_m, negative.score_m, negative.weight_m)
    return dict(zip(MEASURES, found, strict=True))
