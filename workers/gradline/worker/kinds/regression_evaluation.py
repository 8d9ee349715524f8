"""How well a finished fit predicts: its metrics with intervals, the threshold, and what its curves are drawn from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.evaluation.judge import Judgement, judge
from gradline.evaluation.tables import evenly_spread, residual_table, score_table
from gradline.evaluation.threshold import TOLERANCE, choose_threshold
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.specs.regression.judgement import ThresholdTarget
from gradline.training import Family, Problem, linear_predictor

CURVE_CLASSES = 10
"""Of more classes, curves are drawn of the first so many."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of the training and the validation rows."""

    spec: LogisticRegressionSpec
    prepared: Prepared
    theta_bkp: Tensor

    @cached_property
    def is_finite(self) -> bool:
        return bool(self.theta_bkp.isfinite().all())

    @cached_property
    def threshold(self) -> float:
        """From which probability on class 1 is predicted."""
        wanted = self.spec.evaluation.threshold
        if not isinstance(wanted, ThresholdTarget):
            return wanted
        if self.prepared.train.family != Family.BINOMIAL or not self.is_finite:
            return 0.5
        said = self._judge(self.prepared.validation or self.prepared.judged, 0.5)
        return choose_threshold(said.ordered(1), wanted.metric, wanted.at_least)

    @cached_property
    def train(self) -> Judgement:
        return self._judge(self.prepared.judged, self.threshold)

    @cached_property
    def validation(self) -> Judgement | None:
        return None if self.prepared.validation is None else self._judge(self.prepared.validation, self.threshold)

    def _judge(self, problem: Problem, threshold: float) -> Judgement:
        theta_bkp = self.theta_bkp if self.is_finite else torch.zeros_like(self.theta_bkp)
        is_log = self.spec.model.family == "log-linear"
        return judge(problem, linear_predictor(problem, theta_bkp[:1]), threshold=threshold, is_log=is_log)

    def metrics(self) -> dict[str, Any]:
        """Of the training rows, and of the validation rows with intervals; None where a measure is not defined."""
        train = self.train.metrics()
        validation = None
        if self.validation is not None:
            validation = self.validation.metrics_with_intervals(self.spec.evaluation.bootstrap, self.spec.seed)
        if self.is_finite:
            return {"train": train, "validation": validation}
        return {"train": _unknown(train), "validation": validation and _unknown(validation)}

    def decision(self) -> dict[str, Any] | None:
        """The threshold and where it comes from; None where there are no two classes."""
        if self.prepared.train.family != Family.BINOMIAL:
            return None
        wanted = self.spec.evaluation.threshold
        if not isinstance(wanted, ThresholdTarget):
            return {"threshold": wanted, "chosen_for": None, "chosen_on": None, "reached": None}
        chosen_on, said = ("train", self.train) if self.validation is None else ("validation", self.validation)
        reached = said.metrics()[wanted.metric] if self.is_finite else None
        chosen_for = wanted.model_dump()
        return {"threshold": self.threshold, "chosen_for": chosen_for, "chosen_on": chosen_on, "reached": reached}

    # --- for the plots

    def confusion(self) -> dict[str, Any]:
        """Rows counted as [true class][predicted class], for each part."""
        return {name: said.confusion_counts() for name, said in self._parts() if said.family.is_classification}

    def scores(self) -> dict[str, Any]:
        """A table of scores for each class against the rest, of the last part only; of two classes for the second only,
        of each part."""
        parts = self._parts() if self.prepared.train.k == 1 else self._parts()[-1:]
        return {name: _score_tables(said) for name, said in parts if said.family.is_classification}

    def residuals(self) -> dict[str, Any]:
        """Of each part, predicted values and residuals."""
        return {
            name: residual_table(some.response_nc[:, 0], some.target_n)
            for name, said in self._parts()
            if not (some := said.at(evenly_spread(len(said.z_nk)))).family.is_classification
        }

    def _parts(self) -> list[tuple[str, Judgement]]:
        if not self.is_finite:
            return []
        return [("train", self.train)] + ([] if self.validation is None else [("validation", self.validation)])


def missed_target(decision: dict[str, Any] | None) -> str | None:
    """What to say where no threshold reaches what one was to be chosen for."""
    wanted = (decision or {}).get("chosen_for")
    if decision is None or wanted is None or wanted["at_least"] is None:
        return None
    reached, metric = decision["reached"], wanted["metric"]
    if reached is not None and reached >= wanted["at_least"] - TOLERANCE:
        return None
    rows = "training" if decision["chosen_on"] == "train" else "validation"
    return (
        f"no threshold reaches a {metric} of {wanted['at_least']:.6g} on the {rows} rows; the one in use, "
        f"{decision['threshold']:.6g}, has {'none' if reached is None else f'{reached:.6g}'}, the closest to it"
    )


def _score_tables(said: Judgement) -> dict[str, Any]:
    shown = [1] if said.n_classes == 2 else range(min(said.n_classes, CURVE_CLASSES))
    return {str(c): score_table(said.ordered(c, as_they_are=True), said.link) for c in shown}


def _unknown(metrics: dict[str, Any]) -> dict[str, Any]:
    """Of a fit that is not finite."""
    return dict.fromkeys(metrics) | {"n": metrics["n"]}
