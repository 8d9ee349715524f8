"""From which probability on to predict class 1, for a wanted recall, precision or F1.

Shapes: s rows of class 1, in falling order.
"""

import math
from typing import Any

import numpy as np

from gradline.evaluation.ordered import LOGISTIC, Array, Ordered

SMALLEST = 1e-9
"""Thresholds keep this far from 0 and 1, where the log odds end."""
ROWS_AT_ONCE = 1 << 16
TOLERANCE = 1e-12
"""Shares that differ by less are taken for equal."""


def choose_threshold(rows: Ordered, metric: str, at_least: float | None) -> float:
    """`recall` and `precision`: of the thresholds that reach `at_least`, the one with the highest other of the two;
    where none reaches it, the one that comes closest. `f1`: the highest. Of equals the highest threshold.

    Scores are linear predictors. Any other threshold is beaten by one at a row of class 1: lowering it to the next one
    of class 0 only calls more rows wrongly.
    """
    score_s = rows.positive.score_m if len(rows.positive.score_m) else rows.negative.score_m[-1:]
    best, chosen = -math.inf, 0.0
    largest = math.log((1 - SMALLEST) / SMALLEST)
    for end in range(len(score_s), 0, -ROWS_AT_ONCE):
        some_s = np.clip(score_s[max(0, end - ROWS_AT_ONCE) : end][::-1].astype(float), -largest, largest)
        wanted_s = _wanted(rows, some_s, metric, at_least)
        first = int((wanted_s >= wanted_s.max() - TOLERANCE).argmax())
        if wanted_s[first] > best + TOLERANCE:
            best, chosen = wanted_s[first], some_s[first]
    return _between(rows, chosen)


def _wanted(rows: Ordered, score_s: Array, metric: str, at_least: float | None) -> Array:
    """What is to be made as high as it goes, with a threshold at each score."""
    total = rows.positive.total
    true_s, false_s = rows.positive.weight_from(score_s), rows.negative.weight_from(score_s)
    if metric == "f1":
        return np.asarray(2 * true_s / (true_s + false_s + total))
    recall_s, precision_s = _share(true_s, total), _share(true_s, true_s + false_s)
    assert at_least is not None  # noqa: S101  the spec asks for it
    reached_s, other_s = (recall_s, precision_s) if metric == "recall" else (precision_s, recall_s)
    return np.where(reached_s >= at_least - TOLERANCE, other_s + 2, reached_s)


def _share(part_s: Array, whole: Any) -> Array:
    return np.asarray(part_s / np.maximum(whole, 1e-300))


def _between(rows: Ordered, score: float) -> float:
    """Halfway from the lowest probability that is called down to the next: rounding on another machine must not push a
    row over the edge."""
    lowest, below = math.inf, -math.inf
    for side in rows:
        at = int(side.before(np.array([score]))[0])
        lowest = min([lowest, *side.score_m[at : at + 1].tolist()])
        below = max([below, *side.score_m[max(0, at - 1) : at].tolist()])
    between = float(LOGISTIC.probability(np.array([lowest, below])).mean())
    return min(max(between, SMALLEST), 1 - SMALLEST)
