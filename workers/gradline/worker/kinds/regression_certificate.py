"""What a result says for certain about how good its fit is, on the scale that training saw."""

from typing import Any

import torch
from torch import Tensor

from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Certificate, Fit, Objective, Outcome, Problem, certify, linear_predictor
from gradline.worker.kinds.history import finite


def certificate_of(
    spec: LogisticRegressionSpec, objective: Objective, theta_bkp: Tensor, outcome: Outcome, fit: Fit, mend: str | None
) -> dict[str, Any]:
    """`relative_gap` is an upper bound of (F - F*) / F*, by the `method` named; None where nothing bounds it.

    `separable`: every row lies strictly on its own side of the fitted boundary, so without a penalty the log loss has
    no minimum. False only says that these parameters do not separate the rows.
    """
    is_finite = bool(theta_bkp.isfinite().all())
    found = certify(objective, theta_bkp, fit.solver if mend is None else None) if is_finite else None
    norm = None if found is None else found.gradient_max_norm
    is_penalised = objective.has_l1 or objective.has_l2
    is_separable = separates(objective.problem, theta_bkp)
    return {
        "converged": outcome == Outcome.CONVERGED,
        **_gap(None if mend == "firth" else found),
        "gradient_max_norm": finite(norm),
        "relative_gradient_norm": None if found is None else finite(found.relative_gradient_norm),
        "tolerance": spec.stop.tolerance,
        "within_tolerance": norm is not None and _measure(spec, found, norm) <= spec.stop.tolerance,
        "passes": fit.solver.n_passes,
        "condition_number": None if found is None else finite(found.condition_number),
        "penalty": {"l1": float(objective.l1_b[0]), "l2": float(objective.l2_b[0])},
        "reference": None if found is None or found.reference is None else found.reference._asdict(),
        "separable": is_separable,
        "minimum_exists": True if is_penalised else False if is_separable or outcome == Outcome.SEPARATED else None,
        "scale": "training",
    }


def _gap(found: Certificate | None) -> dict[str, Any]:
    if found is None or found.gap is None:
        return {"relative_gap": None, "gap_bound": None, "method": None}
    gap = found.gap
    return {
        "relative_gap": finite(gap.relative_b.item()),
        "gap_bound": finite(gap.bound_b.item()),
        "method": gap.method,
    }


def _measure(spec: LogisticRegressionSpec, found: Certificate | None, norm: float) -> float:
    """What `stop.tolerance` is about: lbfgs and fista by name stop on the gradient."""
    if spec.solver.name in ("lbfgs", "fista"):
        return norm
    return torch.inf if found is None or found.gap is None else float(found.gap.relative_b)


def separates(problem: Problem, theta_bkp: Tensor) -> bool:
    """Whether every row is strictly on the side of its own class; numbers have no sides."""
    if not problem.family.is_classification:
        return False
    z_nk = linear_predictor(problem, theta_bkp)
    if problem.k == 1:
        return bool((z_nk * (problem.y_nk * 2 - 1) > 0).all())
    own_n1 = z_nk.gather(1, problem.class_n.unsqueeze(1))
    others_nk = z_nk.masked_fill(problem.y_nk.bool(), -torch.inf)
    return bool((own_n1 > others_nk.amax(1, keepdim=True)).all())
