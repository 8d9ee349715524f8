"""How well scores tell positive rows from negative ones, whatever the threshold.

Shapes: n rows, r weightings, s distinct scores in falling order.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EXACT_ROWS = 200_000
"""Past this many rows scores are compared in steps of `1 / N_STEPS`, which saves sorting them."""
N_STEPS = 1 << 16


class Ranking(NamedTuple):
    """Rows gathered by their score."""

    positive_sr: Tensor
    """Weight of the positive rows with each score."""
    negative_sr: Tensor


def rank(probability_n: Tensor, is_positive_n: Tensor, weight_nr: Tensor, *, is_stepped: bool = False) -> Ranking:
    """Rows with the same score are one entry: no threshold parts them."""
    if is_stepped:
        place_n, n_scores = N_STEPS - (probability_n * N_STEPS).long(), N_STEPS + 1
    else:
        scores, place_n = torch.unique(-probability_n, return_inverse=True)
        n_scores = len(scores)
    positive_nr = weight_nr * is_positive_n.unsqueeze(1)
    sums = weight_nr.new_zeros(n_scores, weight_nr.shape[1])
    positive_sr = sums.index_add(0, place_n, positive_nr)
    return Ranking(positive_sr, sums.index_add_(0, place_n, weight_nr - positive_nr))


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
