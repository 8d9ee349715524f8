"""What a finished fit says: how it ended, how good it is, and its coefficients on the columns' own scale."""

import hashlib
import json
from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.training import Objective, Outcome, Problem, linear_predictor
from gradline.worker.kinds.history import finite

ADVICE = {
    Outcome.DIVERGED: "the loss is not finite: lower solver.learning_rate or penalty.l2, or standardise the columns",
    Outcome.STALLED: "no step lowers the objective at this precision: standardise the columns or set dtype to float64; "
    "the certificate says how flat it is",
}


def objective_of(objective: Objective, theta_bkp: Tensor) -> float | None:
    """Mean log loss plus penalty: what was minimised."""
    fitness = objective.fitness(theta_bkp)
    return finite((fitness.loss_b + fitness.penalty_b).item())


def coefficients_of(prepared: Prepared, theta_bkp: Tensor) -> dict[str, Any]:
    """`coefficients` and `intercepts` on the columns' own scale; each names its class where there are more than one."""
    w_kd, c_k = prepared.preprocessing.on_own_scale(theta_bkp[0].cpu())
    names = prepared.preprocessing.feature_names
    has_intercept = theta_bkp.shape[2] > len(names)
    classes = [{}] if len(c_k) == 1 else [{"class": name} for name in prepared.classes or []]
    rows = zip(classes, w_kd.tolist(), strict=True)
    return {
        "coefficients": [
            {"feature": name, **own, "estimate": finite(w)}
            for own, row in rows
            for name, w in zip(names, row, strict=True)
        ],
        "intercepts": [{**own, "estimate": finite(c)} for own, c in zip(classes, c_k.tolist(), strict=True)]
        if has_intercept
        else [],
    }


def certificate_of(objective: Objective, theta_bkp: Tensor, outcome: Outcome, tolerance: float) -> dict[str, Any]:
    """What can be said for sure about the last parameters, on the scale that training saw.

    `separable`: every row lies strictly on its own side of the fitted boundary, so without a penalty the log loss has
    no minimum. False only says that these parameters do not separate the rows.
    """
    is_penalised = objective.has_l1 or objective.has_l2
    is_separable = separates(objective.problem, theta_bkp)
    gradient_max_norm = objective.stationarity(theta_bkp).item()
    minimum_exists = True if is_penalised else False if is_separable else None
    return {
        "converged": outcome == Outcome.CONVERGED,
        "gradient_max_norm": finite(gradient_max_norm),
        "tolerance": tolerance,
        "within_tolerance": gradient_max_norm <= tolerance,
        "separable": is_separable,
        "minimum_exists": minimum_exists,
        "scale": "training",
    }


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


def fingerprint_of(theta_bkp: Tensor, environment: dict[str, Any]) -> str:
    """SHA-256 of the last weights and of what their bits depend on."""
    digest = hashlib.sha256(theta_bkp.cpu().contiguous().numpy().tobytes())
    digest.update(json.dumps(environment, sort_keys=True).encode())
    return digest.hexdigest()
