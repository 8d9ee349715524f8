"""The regularisation path: fits for falling strengths of the penalty, and the strength that cross-validation chooses.

At each strength the fits that leave one fold out, and the one to all rows, are members of one fit that starts where the
last strength's ended.
Shapes: b members, k outputs, d features, p columns of x, s strengths.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.data.split import fold_weights
from gradline.specs.logistic_regression import LogisticRegressionSpec, Penalty, PenaltyPath
from gradline.training import Objective, Problem
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_fit import make_fold_fit

LEAST_RATIO = 1e-3
"""Below this share of l1 no strength makes every coefficient 0; the largest strength is that of this share."""

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


def choose_penalty(spec: LogisticRegressionSpec, prepared: Prepared, raise_if_stopped: Callable[[], None]) -> Chosen:
    """The spec as it is where it asks for no path."""
    path, fold_n = spec.penalty.path, prepared.fold_n
    if path is None:
        return Chosen(spec, None, {})
    assert fold_n is not None  # noqa: S101  a path has folds
    train, fold_n = prepared.train, fold_n.to(prepared.train.y_nk.device)
    problem = replace(train, weight_nb=_member_weights(train, fold_n))
    held_out = [prepared.judged.rows(torch.nonzero(fold_n == f).squeeze(1)) for f in range(int(fold_n.max()) + 1)]
    strengths = _strengths(spec, path, train)
    theta_bkp, losses, n_nonzero, kept = None, [], [], {}
    every = -(-len(strengths) * train.k * train.d // MAX_KEPT)
    for s, strength in enumerate(strengths):
        fit = make_fold_fit(_with_strength(spec, path, strength), problem, len(held_out) + 1, theta_bkp)
        for _step in fit:
            raise_if_stopped()
        theta_bkp = fit.theta_bkp
        losses.append(_losses(held_out, theta_bkp))
        w_kd = theta_bkp[-1, :, : train.d]
        n_nonzero.append(int((w_kd != 0).any(0).sum()))
        if s % every == 0 or s == len(strengths) - 1:
            kept[strength] = w_kd.float().cpu()
    mean_s, error_s = _spread(torch.stack(losses))
    best, one_standard_error = _choices(mean_s, error_s)
    chosen = best if path.choose == "best" else one_standard_error
    report = {
        "l1_ratio": path.l1_ratio,
        "choose": path.choose,
        "folds": len(held_out),
        "best": best,
        "one_standard_error": one_standard_error,
        "chosen": chosen,
        "strength": strengths[chosen],
        "points": [
            {"strength": s, "loss": finite(mean), "std_error": finite(error), "n_nonzero": n}
            for s, mean, error, n in zip(strengths, mean_s.tolist(), error_s.tolist(), n_nonzero, strict=True)
        ],
    }
    return Chosen(_with_strength(spec, path, strengths[chosen]), report, _lines(kept, prepared))


def _member_weights(train: Problem, fold_n: Tensor) -> Tensor:
    """One column a fold, which leaves it out, and a last one for all rows."""
    own_n1 = torch.ones(train.n, 1, dtype=torch.float64) if train.weight_nb is None else train.weight_nb.double()
    return torch.cat((fold_weights(fold_n, own_n1.to(fold_n.device)), own_n1.to(fold_n.device)), 1).to(train.y_nk.dtype)


def _with_strength(spec: LogisticRegressionSpec, path: PenaltyPath, strength: float) -> LogisticRegressionSpec:
    penalty = Penalty(l1=strength * path.l1_ratio, l2=strength * (1 - path.l1_ratio))
    return spec.model_copy(update={"penalty": penalty})


def _strengths(spec: LogisticRegressionSpec, path: PenaltyPath, train: Problem) -> list[float]:
    """Geometrically from the smallest strength at which every coefficient is 0: the gradient's largest entry there."""
    null = _null_parameters(spec, train)
    gradient_1kp = Objective(train).gradient(null)
    largest = float(gradient_1kp[..., : train.d].abs().max()) / max(path.l1_ratio, LEAST_RATIO)
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
    fit = make_fold_fit(auto, alone, 1)
    for _step in fit:
        pass
    theta_1kp[..., -1:] = fit.theta_bkp
    return theta_1kp


def _losses(held_out: list[Problem], theta_bkp: Tensor) -> Tensor:
    """Mean loss of each fold's rows under the member that has not seen them, float64."""
    return torch.stack(
        [Objective(rows).fitness(theta_bkp[f : f + 1]).loss_b[0].cpu() for f, rows in enumerate(held_out)]
    )


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
