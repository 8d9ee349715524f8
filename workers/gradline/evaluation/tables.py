"""Scores and classes in few enough rows to draw every curve from.

Shapes: n rows, m of them of one class, s scores.
"""

from typing import Any

import numpy as np
from torch import Tensor

from gradline.evaluation.ordered import Array, Link, Ordered, Side
from gradline.evaluation.ranking import rank_measures

N_SCORES = 2000
"""Of more distinct scores neighbours are gathered, into at most about so many groups."""
N_POINTS = 2000
"""Of fitted values and residuals."""
ROWS_AT_ONCE = 1 << 16


def score_table(rows: Ordered, link: Link) -> dict[str, Any]:
    """By falling `score`, the lowest probability of a group, the weight of its positive and of its negative rows, and
    their mean probability `promised`. Of groups with more than one score, also what `ranking` measures of the rows.

    Many scores are parted at even steps of the probability, and at even shares of the positive and of the negative
    rows, so that no group holds more than a small share of either, however rare a class is.
    """
    few_s = _few_scores(rows)
    table = _gathered(rows, link, _cuts(rows, link) if few_s is None else few_s)
    if few_s is None and all(side.total > 0 for side in rows):
        table |= rank_measures(rows)
    return table


def _few_scores(rows: Ordered) -> Array | None:
    """The distinct scores, rising; None where they are many."""
    each = [side.score_m[np.diff(side.score_m, prepend=-np.inf) > 0] for side in rows]
    score_s = np.union1d(*each) if max(map(len, each)) <= N_SCORES else None
    return None if score_s is None or len(score_s) > N_SCORES else score_s


def _cuts(rows: Ordered, link: Link) -> Array:
    """Scores at which groups begin, rising; none is lower than the first."""
    step = 2 / N_SCORES
    even_s = link.score(np.arange(step, 1 - step / 2, step))
    lowest = min(side.score_m[0] for side in rows if len(side.score_m))
    shares = [_even_shares(side.score_m) for side in rows if len(side.score_m)]
    return np.unique(np.concatenate((*shares, even_s[even_s > lowest])))


def _even_shares(score_m: Array) -> Array:
    return np.asarray(score_m[np.linspace(0, len(score_m) - 1, N_SCORES // 4).astype(int)], float)


def _gathered(rows: Ordered, link: Link, cut_s: Array) -> dict[str, Any]:
    weight_2s, promised_s, lowest_s = np.zeros((2, len(cut_s))), np.zeros(len(cut_s)), np.full(len(cut_s), np.inf)
    for i, side in enumerate(rows):
        weight_2s[i] = -np.diff(side.weight_from(cut_s), append=0.0)
        at_s = np.append(side.before(cut_s), len(side.score_m))
        promised_s += _promised(side, at_s, link)
        has_s = np.diff(at_s) > 0
        lowest_s[has_s] = np.minimum(lowest_s[has_s], side.score_m[at_s[:-1][has_s]])
    kept_s = np.isfinite(lowest_s)
    positive_s, negative_s = weight_2s[:, kept_s]
    columns = {"score": link.probability(lowest_s[kept_s]), "positive": positive_s, "negative": negative_s}
    columns |= {"promised": promised_s[kept_s] / (positive_s + negative_s)}
    return {name: column[::-1].tolist() for name, column in columns.items()}


def _promised(side: Side, at_s: Array, link: Link) -> Array:
    """Weighted sums of probabilities from each place to the next."""
    sum_s = np.zeros(len(at_s) - 1)
    for start in range(0, len(side.score_m), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        probability_m = link.probability(side.score_m[some])
        weighed_m = probability_m * side.weight_m[some] if len(side.weight_m) else probability_m
        below_m = np.concatenate(([0.0], weighed_m.cumsum()))
        sum_s += np.diff(below_m[np.clip(at_s - start, 0, len(weighed_m))])
    return sum_s


def evenly_spread(n: int) -> slice:
    """At most `N_POINTS` of n rows."""
    return slice(None, None, -(-n // N_POINTS))


def residual_table(predicted_n: Tensor, target_n: Tensor) -> dict[str, Any]:
    """Predicted values and residuals."""
    return {"predicted": predicted_n.tolist(), "residual": (target_n - predicted_n).tolist()}
