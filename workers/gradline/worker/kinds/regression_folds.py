"""Cross-validation: all fits that leave one fold out are the members of one, and each is judged on its own fold.

How columns become features is learned once, from all training rows, so that all members share one matrix.
Shapes: n rows, b members, one a fold.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from gradline.data.prepare import Prepared
from gradline.data.split import fold_weights
from gradline.evaluation.judge import judge
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import linear_predictor
from gradline.worker.kinds.regression_fit import make_fold_fit


def cross_validate(
    spec: LogisticRegressionSpec, prepared: Prepared, threshold: float, raise_if_stopped: Callable[[], None]
) -> dict[str, Any] | None:
    """Metrics over the folds, under the penalty that was given or chosen; None where there are no folds."""
    if prepared.fold_n is None:
        return None
    train, fold_n = prepared.train, prepared.fold_n.to(prepared.train.y_nk.device)
    weight_nb = fold_weights(fold_n, train.weight_nb).to(train.y_nk.dtype)
    fit = make_fold_fit(spec, replace(train, weight_nb=weight_nb), weight_nb.shape[1])
    for _step in fit:
        raise_if_stopped()
    assert fit.outcome is not None  # noqa: S101  the loop has ended
    held_out = []
    for fold in range(weight_nb.shape[1]):
        rows = prepared.judged.rows(torch.nonzero(fold_n == fold).squeeze(1))
        z_nk = linear_predictor(rows, fit.theta_bkp[fold : fold + 1])
        held_out.append(judge(rows, z_nk, threshold=threshold, is_log=spec.model.family == "log-linear").metrics())
    return {
        "folds": len(held_out),
        "outcome": fit.outcome.value,
        "steps": fit.n_steps - 1,
        "metrics": _spread(held_out),
    }


def _spread(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of every measure that is one number."""
    names = [name for name, value in folds[0].items() if isinstance(value, float | None) and name != "n"]
    return {name: _summary([fold[name] for fold in folds]) for name in names}


def _summary(values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "std": None, "values": values}
    return {"mean": statistics.fmean(known), "std": statistics.stdev(known), "values": values}
