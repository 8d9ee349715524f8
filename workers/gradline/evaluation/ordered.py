"""Rows of two classes, each in the order of their scores: what areas, thresholds and curves of many rows come from.

Shapes: n rows, m of them of one class, s scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
MIN_COMPILED = 2**16
"""Rows from which on a compiled kernel sorts them; those with weights always."""
_NOTHING: Array = np.empty(0)


@dataclass(frozen=True, eq=False)
class Side:
    """The rows of one class."""

    score_m: Array
    """Rising, float32 or float64."""
    weight_m: Array
    """Float64; empty where each row counts once."""

    @cached_property
    def _below_m(self) -> Array:
        """Weight of the rows before each, and of all: one more than there are rows."""
        return np.concatenate(([0.0], self.weight_m.cumsum()))

    def before(self, score_s: Array) -> Array:
        """How many rows score less."""
        return np.searchsorted(self.score_m, score_s.astype(self.score_m.dtype, copy=False))

    def weight_from(self, score_s: Array) -> Array:
        """Weight of the rows that score at least so much."""
        before_s = self.before(score_s)
        if len(self.weight_m) == 0:
            return len(self.score_m) - before_s.astype(float)
        return np.asarray(self._below_m[-1] - self._below_m[before_s])

    @cached_property
    def total(self) -> float:
        return float(self._below_m[-1]) if len(self.weight_m) else float(len(self.score_m))


class Ordered(NamedTuple):
    """Rows without a score, or without weight, are left out."""

    positive: Side
    negative: Side


class Link(NamedTuple):
    """What scores have to do with probabilities; both ways rise."""

    probability: Callable[[Array], Array]
    score: Callable[[Array], Array]


def _logistic(score_s: Array) -> Array:
    return np.asarray(torch.from_numpy(score_s).double().sigmoid())


LOGISTIC = Link(_logistic, lambda probability_s: np.log(probability_s / (1 - probability_s)))
LOGARITHM = Link(lambda score_s: np.exp(score_s.astype(float)), np.log)


def in_order(score_n: Array, is_positive_n: Array, weight_n: Array | None = None) -> Ordered:
    """One sort of each class, in up to 16 bytes for a row, or 32 with weights, half of which stay."""
    return Ordered(_sorted(score_n, is_positive_n, weight_n), _sorted(score_n, ~is_positive_n, weight_n))


def _sorted(score_n: Array, is_own_n: Array, weight_n: Array | None) -> Side:
    is_taken_n = is_own_n & ~np.isnan(score_n)
    if weight_n is None and len(score_n) < MIN_COMPILED:
        return Side(np.sort(score_n[is_taken_n]), _NOTHING)
    if weight_n is not None:
        is_taken_n &= weight_n > 0
    from gradline.evaluation import kernel  # noqa: PLC0415  half a second; few rows do without

    m, bits_n = np.count_nonzero(is_taken_n), np.ascontiguousarray(score_n).view(f"u{score_n.itemsize}")
    keys = [np.empty(m, bits_n.dtype) for _ in range(2)]
    weights = [_NOTHING if weight_n is None else np.empty(m) for _ in range(2)]
    found = kernel.sort_rows(
        bits_n, is_taken_n, _NOTHING if weight_n is None else weight_n, keys[0], weights[0], keys[1], weights[1]
    )
    return Side(keys[found].view(score_n.dtype), weights[found])
