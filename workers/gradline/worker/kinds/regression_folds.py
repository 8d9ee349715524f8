"""Cross-validation: fits that leave one fold out, each judged on its own fold.

They are the members of one fit wherever they can share one matrix of features (see `gradline.data.folds`).
Shapes: n rows, b members, d features.
"""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.data.folds import Folds, HeldOut, fold_scales
from gradline.data.prepare import Prepared
from gradline.data.split import fold_weights
from gradline.evaluation.judge import judge
from gradline.inference.likelihood import Likelihood
from gradline.inference.parameters import all_parameters
from gradline.inference.penalised import firth_minimum
from gradline.specs.logistic_regression import AutoSolver, LogisticRegressionSpec, Penalty
from gradline.training import Box, Outcome, Problem
from gradline.worker.kinds.regression_fit import make_fold_fit


class Members(NamedTuple):
    """Fits that share a matrix of features."""

    problem: Problem
    """With a column of weights for each."""
    scale_bd: Tensor | None
    """What each divides the features by before they are penalised; None: nothing."""
    held_out: HeldOut
    """The rows that each has not seen; a member more than it counts has seen all."""
    box: Box | None
    """Bounds of the coefficients of these features."""


def members_of(prepared: Prepared, folds: Folds, *, with_whole: bool, is_penalised: bool) -> Iterator[Members]:
    """All folds, and a fit to all rows if asked for: together, or one after another, the whole first."""
    train, fold_n = prepared.train, folds.fold_n.to(prepared.train.y_nk.device)
    own_n1 = torch.ones_like(train.y_nk[:, :1]) if train.weight_nb is None else train.weight_nb
    weight_nb = fold_weights(fold_n, own_n1).to(train.y_nk.dtype)
    held_out = HeldOut(prepared.judged, fold_n, weight_nb.shape[1])
    if folds.features is None:
        scale_bd = _scales(prepared, held_out) if folds.is_standardized and is_penalised else None
        if with_whole:
            weight_nb = torch.cat((weight_nb, own_n1), 1)
            scale_bd = None if scale_bd is None else torch.cat((scale_bd, torch.ones_like(scale_bd[:1])))
        yield Members(replace(train, weight_nb=weight_nb), scale_bd, held_out, prepared.box)
        return
    if with_whole:
        yield Members(train, None, replace(held_out, n_members=0), prepared.box)
    for fold in range(held_out.n_members):
        with folds.features(fold) as (made_np, box):
            x_np = made_np.to(train.x_np.device)
            own = replace(train, x_np=x_np, weight_nb=weight_nb[:, fold : fold + 1])
            member_n = torch.where(fold_n == fold, 0, -1)
            yield Members(own, None, HeldOut(replace(prepared.judged, x_np=x_np), member_n, 1), box)


def _scales(prepared: Prepared, held_out: HeldOut) -> Tensor:
    return fold_scales(held_out, prepared.preprocessing.centre_d, prepared.preprocessing.scale_d)


class Fitted(NamedTuple):
    theta_bkp: Tensor
    outcome: Outcome
    n_steps: int


def cross_validate(
    spec: LogisticRegressionSpec,
    prepared: Prepared,
    threshold: float,
    raise_if_stopped: Callable[[], None],
    separation: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Metrics over the folds, each fitted as all rows were, also where the doctor mended that fit; None where there are
    no folds."""
    if prepared.folds is None:
        return None
    mend = (separation or {}).get("mend")
    if separation is not None and mend == "ridge":
        spec = spec.model_copy(update={"penalty": Penalty(l2=separation["l2"]), "solver": AutoSolver()})
    is_log, found, fits = spec.model.family == "log-linear", [], []
    is_penalised = spec.penalty.l1 + spec.penalty.l2 > 0
    for members in members_of(prepared, prepared.folds, with_whole=False, is_penalised=is_penalised):
        fit = _by_firth(members, raise_if_stopped) if mend == "firth" else _fit(spec, members, raise_if_stopped)
        held_out = members.held_out
        said = judge(held_out.problem, held_out.predictor(fit.theta_bkp), threshold=threshold, is_log=is_log)
        found += [said.at(held_out.rows_of(b).cpu()).metrics() for b in range(held_out.n_members)]
        fits.append(fit)
    return {
        "folds": len(found),
        "outcome": next((fit.outcome for fit in fits if fit.outcome != Outcome.CONVERGED), Outcome.CONVERGED).value,
        "steps": max(fit.n_steps for fit in fits) - 1,
        "metrics": _spread(found),
    }


def _fit(spec: LogisticRegressionSpec, members: Members, raise_if_stopped: Callable[[], None]) -> Fitted:
    fit = make_fold_fit(spec, members.problem, members.scale_bd, box=members.box)
    for _step in fit:
        raise_if_stopped()
    assert fit.outcome is not None  # noqa: S101  the loop has ended
    return Fitted(fit.theta_bkp, fit.outcome, fit.n_steps)


def _by_firth(members: Members, raise_if_stopped: Callable[[], None]) -> Fitted:
    """One after another: each has its own determinant of the information."""
    problem, ends = members.problem, []
    assert problem.weight_nb is not None  # noqa: S101  members have weights
    for weight_n1 in problem.weight_nb.split(1, 1):
        raise_if_stopped()
        ends.append(firth_minimum(Likelihood(replace(problem, weight_nb=weight_n1))))
    are_ended = all(bool(end.is_converged_b) for end in ends)
    theta_bkp = all_parameters(problem, torch.cat([end.theta_bq for end in ends]))
    return Fitted(theta_bkp, Outcome.CONVERGED if are_ended else Outcome.STEP_LIMIT, max(end.n_steps for end in ends))


def _spread(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of every measure that is one number."""
    names = [name for name, value in folds[0].items() if isinstance(value, float | None) and name != "n"]
    return {name: _summary([fold[name] for fold in folds]) for name in names}


def _summary(values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "std": None, "values": values}
    return {"mean": statistics.fmean(known), "std": statistics.stdev(known), "values": values}
