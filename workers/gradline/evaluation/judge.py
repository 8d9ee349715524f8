"""All that is said of how well one problem's rows are predicted.

Shapes: n rows, m of them drawn from, k outputs, c classes, r weightings.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gradline.evaluation import classes, numbers
from gradline.evaluation.bootstrap import intervals
from gradline.evaluation.ordered import LOGARITHM, LOGISTIC, Link, Ordered, in_order
from gradline.evaluation.ranking import MEASURES, rank_measures
from gradline.training import Family, Problem

BLOCK_ROWS = 1 << 16
"""Of more rows so many are measured at once, and what is found of them is added up."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """Predictions of rows, ready to be measured and drawn: float64 as they are needed, on the CPU."""

    family: Family
    y_nk: Tensor
    """As a problem has it."""
    z_nk: Tensor
    """Linear predictors."""
    weight_n: Tensor
    threshold: float
    is_log: bool
    """Whether y is the logarithm of what is predicted."""

    @cached_property
    def target_n(self) -> Tensor:
        """Index of the class, or the number on the target's own scale."""
        if self.family.is_classification:
            return self.y_nk[:, 0].long() if self.y_nk.shape[1] == 1 else self.y_nk.argmax(1)
        y_n = self.y_nk[:, 0].double()
        return y_n.exp() if self.is_log else y_n

    @cached_property
    def response_nc(self) -> Tensor:
        """Probabilities of all classes, or the predicted number."""
        z_nk = self.z_nk.double()
        if self.family == Family.BINOMIAL:
            return torch.cat((-z_nk.T, z_nk.T)).sigmoid_().T
        if self.family == Family.MULTINOMIAL:
            return torch.log_softmax(z_nk, 1).exp()
        return z_nk.exp() if self.family == Family.POISSON or self.is_log else z_nk

    @property
    def loss_n(self) -> Tensor:
        """-log of the probability of the own class, or the unit deviance."""
        z_nk = self.z_nk.double()
        if self.family == Family.BINOMIAL:
            return -logsigmoid(z_nk[:, 0] * (2 * self.y_nk[:, 0] - 1))
        if self.family == Family.MULTINOMIAL:
            return -torch.log_softmax(z_nk, 1).gather(1, self.target_n.unsqueeze(1)).squeeze(1)
        y_n, z_n = self.y_nk[:, 0].double(), z_nk[:, 0]
        if self.family == Family.POISSON:
            return 2 * (torch.xlogy(y_n, y_n) - y_n * z_n - y_n + z_n.exp())
        return (y_n - z_n).square()

    @property
    def predicted_n(self) -> Tensor:
        """Index of the class."""
        if self.family == Family.BINOMIAL:
            return (self.z_nk[:, 0].double() >= self._boundary).long()
        return self.z_nk.argmax(1)

    def at(self, rows: Tensor | slice) -> "Judgement":
        return replace(self, y_nk=self.y_nk[rows], z_nk=self.z_nk[rows], weight_n=self.weight_n[rows])

    @property
    def is_in_parts(self) -> bool:
        return len(self.z_nk) > BLOCK_ROWS

    def parts(self) -> Iterator["Judgement"]:
        """All rows in order: few at once, many in blocks."""
        if not self.is_in_parts:
            yield self
            return
        for start in range(0, len(self.z_nk), BLOCK_ROWS):
            yield self.at(slice(start, start + BLOCK_ROWS))

    def measures(self, row_m: Tensor, weight_mr: Tensor) -> dict[str, Tensor]:
        """Of some rows under some weightings."""
        some = self.at(row_m)
        if self.family.is_classification:
            return classes.measures(some._said_classes(), some.target_n, weight_mr).overall
        return numbers.measures(some._said_numbers(), some.target_n, weight_mr)

    def metrics(self) -> dict[str, Any]:
        """Over all rows; None where a measure is not defined."""
        n = len(self.z_nk)
        if not self.family.is_classification:
            sums = (numbers.sums(part._said_numbers(), part.target_n, w_n1) for part, w_n1 in self._weighed_parts())
            return _plain(numbers.measured(sums)) | {"n": n}
        measured = self._measured_classes()
        metrics = _plain(measured.overall) | {"n": n}
        if self.y_nk.shape[1] > 1:
            by_class = {
                name: [_finite(v) for v in value_1c[0].tolist()] for name, value_1c in measured.by_class.items()
            }
            metrics["by_class"] = by_class
        return metrics

    def _measured_classes(self) -> classes.Measured:
        if not self.is_in_parts:
            return classes.measures(self._said_classes(), self.target_n, (self.weight_n / self._unit).unsqueeze(1))
        return classes.measured((part._class_sums(w_n1) for part, w_n1 in self._weighed_parts()), self._ranked())

    def _class_sums(self, weight_n1: Tensor) -> classes.Sums:
        if self.family == Family.BINOMIAL:
            return classes.sums_of_two(self.z_nk[:, 0], self.y_nk[:, 0], weight_n1, self._boundary)
        return classes.sums(self._said_classes(), self.target_n, weight_n1)

    def _ranked(self) -> classes.Ranked:
        found = [rank_measures(self.ordered(c)) for c in classes.ranked_classes(self.n_classes)]
        each = {name: [measures[name] for measures in found] for name in MEASURES if found}
        return {name: torch.tensor([value_c], dtype=torch.float64) for name, value_c in each.items()}

    @property
    def n_classes(self) -> int:
        return max(2, int(self.y_nk.shape[1]))

    def ordered(self, c: int, *, as_they_are: bool = False) -> Ordered:
        """Rows of class c and the others, in the order of their scores: linear predictors, of which probabilities are
        the logistic function, or logarithms of probabilities. Of two classes only c = 1. `as_they_are`: also rows that
        only rounding parts stand apart."""
        least, largest = self._weight_range
        is_plain = least == largest and not self._are_frequencies
        weight_n = None if is_plain else (self.weight_n / self._unit).numpy()
        is_own_n = (self.y_nk[:, 0 if self.family == Family.BINOMIAL else c] > 0.5).numpy()
        score_n = self._score_n(c) if as_they_are else _told_apart(self._score_n(c))
        return in_order(score_n.numpy(), is_own_n, weight_n)

    @property
    def link(self) -> Link:
        """Of the scores of `ordered`."""
        return LOGISTIC if self.family == Family.BINOMIAL else LOGARITHM

    def _score_n(self, c: int) -> Tensor:
        return self.z_nk[:, 0] if self.family == Family.BINOMIAL else self.z_nk[:, c].double() - self._log_total_n

    @cached_property
    def _log_total_n(self) -> Tensor:
        """Logarithms of what softmax divides by."""
        return torch.cat([part.z_nk.double().logsumexp(1) for part in self.parts()])

    @property
    def _boundary(self) -> float:
        """The linear predictor from which class 1 is predicted."""
        return math.log(self.threshold / (1 - self.threshold))

    def _weighed_parts(self) -> Iterator[tuple["Judgement", Tensor]]:
        unit = self._unit
        for part in self.parts():
            yield part, (part.weight_n / unit).unsqueeze(1)

    @property
    def _unit(self) -> float:
        """Of weights: 1 of frequencies, of others a power of two near the largest. In it their digits are the same, and
        no sum leaves the range."""
        return 1.0 if self._are_frequencies else 2.0 ** math.floor(math.log2(self._weight_range[1]))

    @cached_property
    def _are_frequencies(self) -> bool:
        """Whether weights are whole numbers, not all 1, of so few rows in all that float64 can count them."""
        if self._weight_range == (1.0, 1.0) or float(self.weight_n.sum()) > 2.0**53:
            return False
        return all(bool((some == some.round()).all()) for some in self.weight_n.split(BLOCK_ROWS))

    @cached_property
    def _weight_range(self) -> tuple[float, float]:
        is_even = self.weight_n.stride() == (0,)
        least, largest = torch.aminmax(self.weight_n[:1] if is_even else self.weight_n)
        return float(least), float(largest)

    def _said_classes(self) -> classes.Predicted:
        if self.family == Family.BINOMIAL:
            score_n1 = _told_apart(self.z_nk).double()
            score_nc = torch.cat((-score_n1, score_n1), 1)
        else:
            score_nc = _told_apart(torch.log_softmax(self.z_nk.double(), 1))
        return classes.Predicted(self.response_nc, self.loss_n, self.predicted_n, score_nc)

    def _said_numbers(self) -> numbers.Predicted:
        return numbers.Predicted(self.response_nc[:, 0], self.loss_n)

    def metrics_with_intervals(self, n_draws: int, seed: int) -> dict[str, Any]:
        """As `metrics`, and under `intervals` the 95 % bootstrap interval of each."""
        metrics = self.metrics()
        if n_draws == 0:
            return metrics
        generator = torch.Generator().manual_seed(seed)
        weight_n, counts = self.weight_n / self._unit, self._are_frequencies
        spread = intervals(self.measures, weight_n, self._pull_n, n_draws, generator, are_frequencies=counts)
        ends = {name: _around(metrics[name], offsets, name) for name, offsets in spread.items()}
        return metrics | {"intervals": ends}

    @property
    def _pull_n(self) -> Tensor:
        """How much measures hang on a row, float32: one half spread evenly over the classes and their rows, so that a
        rare one keeps its rows, the other in proportion to how wrong the probability of the own class is, which are the
        rows where curves bend (local case-control sampling, Fithian and Hastie 2014)."""
        if not self.family.is_classification:
            return torch.ones(len(self.z_nk))
        even_c = 1 / torch.bincount(self.target_n).float()
        wrong_n = torch.cat([-torch.expm1(-part.loss_n).float() for part in self.parts()])
        pull_n = even_c[self.target_n] / (even_c.isfinite().sum() * 2)
        return pull_n.add_(wrong_n, alpha=0.5 / max(float(wrong_n.sum()), 1e-30))

    def confusion_counts(self) -> list[list[int]]:
        """Rows counted as [true class][predicted class]; each counts once, whatever its weight."""
        n_classes = self.n_classes
        count = torch.zeros(n_classes**2, dtype=torch.long)
        for part in self.parts():
            count += torch.bincount(part.target_n * n_classes + part.predicted_n, minlength=n_classes**2)
        counts: list[list[int]] = count.view(n_classes, n_classes).tolist()
        return counts


def judge(problem: Problem, z_nk: Tensor, *, threshold: float = 0.5, is_log: bool = False) -> Judgement:
    """From linear predictors. `is_log`: the problem's target is the logarithm of what is predicted."""
    return Judgement(problem.family, problem.y_nk.cpu(), z_nk.cpu(), _weights(problem), threshold, is_log)


def _weights(problem: Problem) -> Tensor:
    if problem.weight_nb is None:
        return torch.ones(1, dtype=torch.float64).expand(problem.n)
    return problem.weight_nb[:, 0].double().cpu()


def _told_apart(score: Tensor) -> Tensor:
    """Scores in float64 as multiples of 2^-44 of the largest: the order in which a product adds up depends on where in
    a matrix a row stands, and rounding must not part rows that are equal."""
    if score.dtype != torch.float64:
        return score
    step = float(score.abs().amax()) * 2.0**-44
    return (score / step).round_().mul_(step) if 0 < step < math.inf else score


def _plain(values: dict[str, Tensor]) -> dict[str, Any]:
    return {name: _finite(value_r[0].item()) for name, value_r in values.items()}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


_UNBOUNDED = -math.inf, math.inf
_RANGES = {
    "mcc": (-1.0, 1.0),
    **dict.fromkeys(("log_loss", "mse", "rmse", "mae", "r2", "deviance", "brier"), _UNBOUNDED),
}
"""Of measures that are no share."""


def _around(value: float | None, offsets: list[float | None], name: str) -> list[float | None]:
    """The interval around the measured value, within the measure's range."""
    least, largest = _RANGES.get(name, (0.0, 1.0))
    if value is None:
        return [None, None]
    return [None if offset is None else min(max(value + offset, least), largest) for offset in offsets]
