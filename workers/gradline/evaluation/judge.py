"""All that is said of how well one problem's rows are predicted.

Shapes: n rows, m of them drawn from, k outputs, c classes, r weightings.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gradline.evaluation import classes, numbers
from gradline.evaluation.bootstrap import intervals
from gradline.training import Family, Problem


@dataclass(frozen=True, eq=False)
class Judgement:
    """Predictions of one problem's rows, ready to be measured and drawn; float64, on the CPU."""

    family: Family
    target_n: Tensor
    """Index of the class, or the number on the target's own scale."""
    weight_n: Tensor
    response_nc: Tensor
    """Probabilities of all classes, or the predicted number."""
    loss_n: Tensor
    """-log of the probability of the own class, or the unit deviance."""
    predicted_n: Tensor
    """Index of the class; empty where the target is a number."""

    def measures(self, row_m: Tensor, share_mr: Tensor) -> dict[str, Tensor]:
        """Of some rows under some weightings."""
        if self.family.is_classification:
            said = classes.Predicted(self.response_nc[row_m], self.loss_n[row_m], self.predicted_n[row_m])
            return classes.measures(said, self.target_n[row_m], share_mr).overall
        return numbers.measures(self.response_nc[row_m, 0], self.target_n[row_m], self.loss_n[row_m], share_mr)

    def metrics(self) -> dict[str, Any]:
        """Over all rows; None where a measure is not defined."""
        share_n1 = (self.weight_n / self.weight_n.sum()).unsqueeze(1)
        if not self.family.is_classification:
            found = numbers.measures(self.response_nc[:, 0], self.target_n, self.loss_n, share_n1)
            return _plain(found) | {"n": len(self.target_n)}
        said = classes.Predicted(self.response_nc, self.loss_n, self.predicted_n)
        measured = classes.measures(said, self.target_n, share_n1)
        metrics = _plain(measured.overall) | {"n": len(self.target_n)}
        if self.response_nc.shape[1] > 2:
            by_class = {
                name: [_finite(v) for v in value_1c[0].tolist()] for name, value_1c in measured.by_class.items()
            }
            metrics["by_class"] = by_class
        return metrics

    def metrics_with_intervals(self, n_draws: int, seed: int) -> dict[str, Any]:
        """As `metrics`, and under `intervals` the 95 % bootstrap interval of each."""
        metrics = self.metrics()
        if n_draws == 0:
            return metrics
        generator = torch.Generator().manual_seed(seed)
        spread = intervals(self.measures, self.weight_n, n_draws, generator)
        ends = {name: _around(metrics[name], offsets, name) for name, offsets in spread.items()}
        return metrics | {"intervals": ends}

    def confusion_counts(self) -> list[list[int]]:
        """Rows counted as [true class][predicted class]; each counts once, whatever its weight."""
        n_classes = self.response_nc.shape[1]
        counts: list[list[int]] = (
            torch.bincount(self.target_n * n_classes + self.predicted_n, minlength=n_classes**2)
            .view(n_classes, n_classes)
            .tolist()
        )
        return counts


def judge(problem: Problem, z_nk: Tensor, *, threshold: float = 0.5, is_log: bool = False) -> Judgement:
    """From linear predictors. `is_log`: the problem's target is the logarithm of what is predicted."""
    z_nk, weight_n = z_nk.double().cpu(), _weights(problem)
    if problem.family == Family.BINOMIAL:
        is_one_n = problem.class_n.cpu()
        response_nc = torch.cat((torch.sigmoid(-z_nk), torch.sigmoid(z_nk)), 1)
        loss_n = -logsigmoid(z_nk[:, 0] * (2 * is_one_n - 1))
        predicted_n = (z_nk[:, 0] >= math.log(threshold / (1 - threshold))).long()
        return Judgement(problem.family, is_one_n, weight_n, response_nc, loss_n, predicted_n)
    if problem.family == Family.MULTINOMIAL:
        class_n, log_nc = problem.class_n.cpu(), torch.log_softmax(z_nk, 1)
        loss_n = -log_nc.gather(1, class_n.unsqueeze(1)).squeeze(1)
        return Judgement(problem.family, class_n, weight_n, log_nc.exp(), loss_n, z_nk.argmax(1))
    y_n, z_n = problem.y_nk[:, 0].double().cpu(), z_nk[:, 0]
    if problem.family == Family.POISSON:
        mean_n = z_n.exp()
        deviance_n = 2 * (torch.xlogy(y_n, y_n) - y_n * z_n - y_n + mean_n)
        return Judgement(problem.family, y_n, weight_n, mean_n.unsqueeze(1), deviance_n, torch.empty(0))
    deviance_n = (y_n - z_n).square()
    if is_log:
        y_n, z_n = y_n.exp(), z_n.exp()
    return Judgement(problem.family, y_n, weight_n, z_n.unsqueeze(1), deviance_n, torch.empty(0))


def _weights(problem: Problem) -> Tensor:
    if problem.weight_nb is None:
        return torch.ones(problem.n, dtype=torch.float64)
    return problem.weight_nb[:, 0].double().cpu()


def _plain(values: dict[str, Tensor]) -> dict[str, Any]:
    return {name: _finite(value_r[0].item()) for name, value_r in values.items()}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


_UNBOUNDED = {"log_loss", "mse", "rmse", "mae", "r2", "deviance", "brier"}


def _around(value: float | None, offsets: list[float | None], name: str) -> list[float | None]:
    """The interval around the measured value; what is a share stays within 0 and 1."""
    if value is None:
        return [None, None]
    low, high = (None if offset is None else value + offset for offset in offsets)
    if name in _UNBOUNDED:
        return [low, high]
    return [None if low is None else max(low, 0.0), None if high is None else min(high, 1.0)]
