"""Scores and classes in few enough rows to draw every curve from.

Shapes: n rows, s distinct scores.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

N_SCORES = 2000
"""More distinct scores than this are gathered in steps of this many to 1."""
N_POINTS = 2000
"""Of fitted values and residuals."""


class Scored(NamedTuple):
    """Some of the rows."""

    probability_n: Tensor
    is_positive_n: Tensor
    weight_n: Tensor


def score_table(parts: Callable[[], Iterator[Scored]]) -> dict[str, list[float]]:
    """Falling `score`, and the weight of the positive and of the negative rows at each. Parts are looked at twice."""
    few_s = _few_scores(part.probability_n for part in parts())
    score_s = torch.linspace(-1, 0, N_SCORES + 1, dtype=torch.float64) if few_s is None else few_s
    positive_s, negative_s = torch.zeros(2, len(score_s), dtype=torch.float64)
    for part in parts():
        if few_s is None:
            place_n = N_SCORES - (part.probability_n * N_SCORES).round().long()
        else:
            place_n = torch.searchsorted(few_s, -part.probability_n)
        positive_s.index_add_(0, place_n, part.weight_n * part.is_positive_n)
        negative_s.index_add_(0, place_n, part.weight_n * ~part.is_positive_n)
    kept_s = (positive_s + negative_s) > 0
    columns = {"score": -score_s, "positive": positive_s, "negative": negative_s}
    return {name: column[kept_s].tolist() for name, column in columns.items()}


def _few_scores(probabilities: Iterator[Tensor]) -> Tensor | None:
    """The distinct scores, negative so that they rise; None where they are many."""
    score_s = torch.empty(0, dtype=torch.float64)
    for probability_n in probabilities:
        score_s = torch.unique(torch.cat((score_s, -probability_n)))
        if len(score_s) > N_SCORES:
            return None
    return score_s


def evenly_spread(n: int) -> slice:
    """At most `N_POINTS` of n rows."""
    return slice(None, None, -(-n // N_POINTS))


def residual_table(predicted_n: Tensor, target_n: Tensor) -> dict[str, Any]:
    """Predicted values and residuals."""
    return {"predicted": predicted_n.tolist(), "residual": (target_n - predicted_n).tolist()}
