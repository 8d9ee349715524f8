"""The numbers of the curves that judge scores: what roc.png and its like show, and what curves.json holds.

A score table has falling scores and the weight of the positive and negative rows from each on to the one before:
`gradline.evaluation.tables`.
Shapes: s scores, h bins.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
N_BINS = 10
N_SHOWN = 200
"""Points of a curve in curves.json are at most about this many."""


@dataclass(frozen=True)
class Scores:
    """Rows by falling score."""

    score_s: Array
    """The lowest of the entry's rows."""
    positive_s: Array
    negative_s: Array
    promised_s: Array
    """The mean score of the entry's rows."""
    exact: dict[str, float]
    """`roc_auc`, `pr_auc` and `ks` of all rows, where entries gather rows of more than one score."""

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "Scores":
        exact: dict[str, float] = {name: raw[name] for name in ("roc_auc", "pr_auc", "ks") if name in raw}
        score_s, positive_s, negative_s, promised_s = (
            np.asarray(raw[name], float) for name in ("score", "positive", "negative", "promised")
        )
        return cls(score_s, positive_s, negative_s, promised_s, exact)

    @property
    def has_both(self) -> bool:
        """Whether there are positive and negative rows: without both there is no curve."""
        return bool(self.positive_s.sum() > 0 and self.negative_s.sum() > 0)

    @property
    def base_rate(self) -> float:
        return float(self.positive_s.sum() / (self.positive_s.sum() + self.negative_s.sum()))

    def true_rate(self) -> Array:
        """Recall with a threshold at each score, from 0."""
        return np.concatenate(([0.0], self.positive_s.cumsum() / self.positive_s.sum()))

    def false_rate(self) -> Array:
        return np.concatenate(([0.0], self.negative_s.cumsum() / self.negative_s.sum()))

    def called(self) -> Array:
        """Share of all rows that are called positive with a threshold at each score, from 0."""
        both_s = self.positive_s + self.negative_s
        return np.concatenate(([0.0], both_s.cumsum() / both_s.sum()))

    def precision(self) -> Array:
        """With a threshold at each score."""
        true_s = self.positive_s.cumsum()
        return np.asarray(true_s / (true_s + self.negative_s.cumsum()))

    def roc_auc(self) -> float:
        return self.exact.get("roc_auc", float(np.trapezoid(self.true_rate(), self.false_rate())))

    def average_precision(self) -> float:
        return self.exact.get("pr_auc", float((np.diff(self.true_rate()) * self.precision()).sum()))

    def ks(self) -> float:
        """Kolmogorov-Smirnov statistic: how far the ROC curve rises above its diagonal."""
        return self.exact.get("ks", float((self.true_rate() - self.false_rate()).max()))


@dataclass(frozen=True)
class Calibration:
    """Bins of equal width that hold rows."""

    promised_h: Array
    """Mean probability."""
    came_h: Array
    """Share of positive rows."""
    low_h: Array
    high_h: Array
    """95 % interval of that share (Wilson 1927), with weights as counts."""
    weight_h: Array


def calibration(scores: Scores) -> Calibration:
    bin_s = np.minimum((scores.score_s * N_BINS).astype(int), N_BINS - 1)
    both_s = scores.positive_s + scores.negative_s
    weight_h = np.bincount(bin_s, both_s, N_BINS)
    kept_h = weight_h > 0
    n_h = weight_h[kept_h]
    promised_h = np.bincount(bin_s, both_s * scores.promised_s, N_BINS)[kept_h] / n_h
    came_h = np.bincount(bin_s, scores.positive_s, N_BINS)[kept_h] / n_h
    z = 1.959964
    centre_h = (came_h + z**2 / (2 * n_h)) / (1 + z**2 / n_h)
    half_h = z / (1 + z**2 / n_h) * np.sqrt(came_h * (1 - came_h) / n_h + z**2 / (4 * n_h**2))
    low_h, high_h = np.minimum(centre_h - half_h, came_h), np.maximum(centre_h + half_h, came_h)
    return Calibration(promised_h, came_h, low_h, high_h, np.asarray(n_h, float))


def f1(scores: Scores) -> Array:
    """With a threshold at each score."""
    recall_s, precision_s = scores.true_rate()[1:], scores.precision()
    total_s = recall_s + precision_s
    return np.divide(2 * recall_s * precision_s, total_s, out=np.zeros_like(total_s), where=total_s > 0)


def numbers_of(scores: Scores) -> dict[str, Any]:
    """Everything that is drawn of one table, for curves.json."""
    at = np.unique(np.linspace(0, len(scores.score_s) - 1, N_SHOWN).round().astype(int))
    from_0 = np.concatenate(([0], at + 1))
    bins = calibration(scores)
    recall, called = scores.true_rate(), scores.called()
    lift = np.divide(recall[1:], called[1:])
    return {
        "roc": {
            "false_positive_rate": _listed(scores.false_rate(), from_0),
            "true_positive_rate": _listed(recall, from_0),
        },
        "precision_recall": {"recall": _listed(recall[1:], at), "precision": _listed(scores.precision(), at)},
        "thresholds": {
            "threshold": _listed(scores.score_s, at),
            "precision": _listed(scores.precision(), at),
            "recall": _listed(recall[1:], at),
            "f1": _listed(f1(scores), at),
        },
        "gains": {"called": _listed(called, from_0), "captured": _listed(recall, from_0), "lift": _listed(lift, at)},
        "calibration": {
            "promised": bins.promised_h.tolist(),
            "came": bins.came_h.tolist(),
            "low": bins.low_h.tolist(),
            "high": bins.high_h.tolist(),
            "weight": bins.weight_h.tolist(),
        },
        "roc_auc": scores.roc_auc(),
        "average_precision": scores.average_precision(),
        "ks": scores.ks(),
    }


def _listed(values: Array, at: Any) -> list[float]:
    found: list[float] = values[at].tolist()
    return found
