"""The regularisation path: fits for falling strengths of the penalty, and the strength that cross-validation chooses.

At each strength the fits that leave one fold out, and the one to all rows, start where the last strength's ended: as
the members of one fit where they share a matrix of features, else each path by itself.
Shapes: b members, k outputs, d features, p columns of x, s strengths.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.data.folds import HeldOut
from gradline.data.prepare import Prepared
from gradline.specs.logistic_regression import LogisticRegressionSpec, Penalty, PenaltyPath
from gradline.training import Objective, Problem
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_fit import make_fold_fit
from gradline.worker.kinds.regression_folds import Members, members_of

LEAST_RATIO = 1e-3
"""Below this share of l1 no strength makes every coefficient 0; the largest strength is that of this share."""

MARGIN = 1e-6

MAX_LINES = 100
"""More coefficients than this hide each other in a plot."""
MAX_KEPT = 1 << 25
"""Coefficients that are kept until it is known which are largest: 128 MiB; of more, those of every n-th strength."""


class Chosen(NamedTuple):
    spec: LogisticRegressionSpec
    """With the penalty that was chosen."""
    report: dict[str, Any] | None
    """The path, for the result; None where none was asked for."""
    lines: dict[str, Any]
    """Coefficients along it, for its plot."""


class Walk(NamedTuple):
    """A path of fits that share a matrix."""

    loss_sb: Tensor
    """Held-out loss of each fold that is among them."""
    n_nonzero: list[int]
    """Coefficients that are not 0 of the fit to all rows; empty where that is not among them."""
    kept: dict[float, Tensor]
    """And its coefficients w_kd, of every n-th strength where they are many."""


def choose_penalty(spec: LogisticRegressionSpec, prepared: Prepared, raise_if_stopped: Callable[[], None]) -> Chosen:
    """The spec as it is where it asks for no path."""
    path, folds = spec.penalty.path, prepared.folds
    if path is None:
        return Chosen(spec, None, {})
    assert folds is not None  # noqa: S101  a path has folds
    strengths = _strengths(spec, path, prepared.train)
    specs = {strength: _with_strength(spec, path, strength) for strength in strengths}
    every = members_of(prepared, folds, with_whole=True, is_penalised=True)
    walks = [_walk(specs, members, raise_if_stopped) for members in every]
    loss_sb, whole = torch.cat([walk.loss_sb for walk in walks], 1), next(walk for walk in walks if walk.n_nonzero)
    mean_s, error_s = _spread(loss_sb)
    best, one_standard_error = _choices(mean_s, error_s)
    chosen = best if path.choose == "best" else one_standard_error
    report = {
        "l1_ratio": path.l1_ratio,
        "choose": path.choose,
        "folds": loss_sb.shape[1],
        "best": best,
        "one_standard_error": one_standard_error,
        "chosen": chosen,
        "strength": strengths[chosen],
        "points": [
            {"strength": s, "loss": finite(mean), "std_error": finite(error), "n_nonzero": n}
            for s, mean, error, n in zip(strengths, mean_s.tolist(), error_s.tolist(), whole.n_nonzero, strict=True)
        ],
    }
    return Chosen(_with_strength(spec, path, strengths[chosen]), report, _lines(whole.kept, prepared))


def _walk(specs: dict[float, LogisticRegressionSpec], members: Members, raise_if_stopped: Callable[[], None]) -> Walk:
    """One strength after another, each fit from where the last one ended."""
    problem, theta_bkp, losses, n_nonzero, kept = members.problem, None, [], [], {}
    every = -(-len(specs) * problem.k * problem.d // MAX_KEPT)
    for s, (strength, spec) in enumerate(specs.items()):
        fit = make_fold_fit(spec, problem, members.scale_bd, theta_bkp, members.box)
        for _step in fit:
            raise_if_stopped()
        theta_bkp = fit.theta_bkp
        losses.append(_losses(members.held_out, theta_bkp))
        if len(theta_bkp) > members.held_out.n_members:
            w_kd = theta_bkp[-1, :, : problem.d]
            n_nonzero.append(int((w_kd != 0).any(0).sum()))
            if s % every == 0 or s == len(specs) - 1:
                kept[strength] = w_kd.float().cpu()
    return Walk(torch.stack(losses), n_nonzero, kept)


def _with_strength(spec: LogisticRegressionSpec, path: PenaltyPath, strength: float) -> LogisticRegressionSpec:
    penalty = Penalty(l1=strength * path.l1_ratio, l2=strength * (1 - path.l1_ratio))
    return spec.model_copy(update={"penalty": penalty})


def _strengths(spec: LogisticRegressionSpec, path: PenaltyPath, train: Problem) -> list[float]:
    """Geometrically from the smallest strength at which every coefficient is 0: the gradient's largest entry there.

    A little more of it, or rounding and where a fit stops would decide whether there is a coefficient of 1e-17.
    """
    null = _null_parameters(spec, train)
    gradient_1kp = Objective(train).gradient(null)
    largest = float(gradient_1kp[..., : train.d].abs().max()) / max(path.l1_ratio, LEAST_RATIO) * (1 + MARGIN)
    largest = largest if largest > 0 and math.isfinite(largest) else 1.0
    return [largest * path.smallest ** (i / (path.n_values - 1)) for i in range(path.n_values)]


def _null_parameters(spec: LogisticRegressionSpec, train: Problem) -> Tensor:
    """theta_1kp of the model without features: the intercepts that fit best, where there are any."""
    theta_1kp = torch.zeros(1, train.k, train.p, dtype=torch.float64, device=train.y_nk.device)
    if not train.has_intercept:
        return theta_1kp
    ones_n1 = torch.ones(train.n, 1, dtype=train.y_nk.dtype, device=train.y_nk.device)
    alone = replace(train, x_np=ones_n1)
    auto = spec.model_copy(update={"penalty": Penalty(), "solver": type(spec).model_fields["solver"].default})
    fit = make_fold_fit(auto, alone)
    for _step in fit:
        pass
    theta_1kp[..., -1:] = fit.theta_bkp
    return theta_1kp


def _losses(held_out: HeldOut, theta_bkp: Tensor) -> Tensor:
    """Mean loss of each fold's rows under the member that has not seen them, float64."""
    z_nk = held_out.predictor(theta_bkp)
    predicted = replace(held_out.problem, x_np=z_nk, has_intercept=False, offset_n1=None, implies_ones=False)
    as_it_is_1kk = torch.eye(z_nk.shape[1], dtype=torch.float64, device=z_nk.device).unsqueeze(0)
    folds = [predicted.rows(held_out.rows_of(fold)) for fold in range(held_out.n_members)]
    losses = [Objective(rows).fitness(as_it_is_1kk).loss_b[0].cpu() for rows in folds]
    return torch.stack(losses) if losses else torch.empty(0, dtype=torch.float64)


def _spread(loss_sb: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the folds and its standard error."""
    return loss_sb.mean(1), loss_sb.std(1) / math.sqrt(loss_sb.shape[1])


def _choices(mean_s: Tensor, error_s: Tensor) -> tuple[int, int]:
    """Indices of the best strength, and of the strongest within one standard error of it."""
    best = int(mean_s.nan_to_num(nan=math.inf).argmin())
    near = torch.nonzero(mean_s <= mean_s[best] + error_s[best])
    return best, int(near[0]) if len(near) else best


def _lines(kept: dict[float, Tensor], prepared: Prepared) -> dict[str, Any]:
    """The coefficients that are largest anywhere on the path, those of the weakest penalty first."""
    w_tq = torch.stack(list(kept.values())).flatten(1)
    largest_q = w_tq.abs().nan_to_num().amax(0)
    shown = largest_q.topk(min(MAX_LINES, len(largest_q))).indices
    shown = shown[w_tq[-1, shown].abs().argsort(descending=True, stable=True)]
    names, d = prepared.preprocessing.feature_names, prepared.train.d
    return {
        "scale": "training",
        "n_coefficients": len(largest_q),
        "strengths": list(kept),
        "lines": [
            {"feature": names[q % d]}
            | ({} if prepared.train.k == 1 else {"class": (prepared.classes or [])[q // d]})
            | {"coefficients": [finite(w) for w in w_tq[:, q].tolist()]}
            for q in shown.tolist()
        ],
    }
