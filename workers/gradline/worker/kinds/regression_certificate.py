"""What a result says for certain about how good its fit is, on the scale that training saw."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.evaluation.judge import Judgement
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Certificate, Family, Fit, Newton, Objective, Outcome, certify
from gradline.training.bounds import Gap
from gradline.worker.kinds.history import finite

ROWS_AT_ONCE = 4096


class Ending(NamedTuple):
    """How a fit came to its last parameters."""

    outcome: Outcome
    gap: Gap | None
    """What the solver knew at its end."""
    mend: str | None
    """What was fitted anew since, if anything."""
    separation: dict[str, Any] | None
    """What the doctor found, that there is none included; None where nothing was looked for."""

    @property
    def kind(self) -> str | None:
        return None if self.separation is None else str(self.separation["kind"])


def gap_at_end(fit: Fit) -> Gap | None:
    """To be asked before the parameters are touched."""
    return None if fit.is_restored or not bool(fit.theta_bkp.isfinite().all()) else fit.solver.gap()


def newton_at_end(fit: Fit) -> Newton | None:
    """The solver, where it has a regular Hessian at or near the parameters."""
    solver = fit.solver
    if fit.is_restored or not isinstance(solver, Newton) or not bool(fit.theta_bkp.isfinite().all()):
        return None
    return None if bool(solver.look().factor.is_singular_b.any()) else solver


def certify_end(objective: Objective, theta_bkp: Tensor, fit: Fit, ending: Ending) -> Certificate | None:
    """None where the parameters are not finite."""
    solver, gap = (fit.solver, ending.gap) if ending.mend is None else (None, None)
    if fit.is_restored and isinstance(solver, Newton):  # its Hessian is of other parameters
        solver = None
    return certify(objective, theta_bkp, solver, gap) if bool(theta_bkp.isfinite().all()) else None


def certificate_of(
    spec: LogisticRegressionSpec,
    objective: Objective,
    found: Certificate | None,
    fit: Fit,
    ending: Ending,
    *,
    is_separable: bool,
) -> dict[str, Any]:
    """`relative_gap` is an upper bound of (F - F*) / F*, by the `method` named; None where nothing bounds it.

    `separable`: every row lies strictly on its own side of the fitted boundary, so without a penalty the log loss has
    no minimum. False only says that these parameters do not separate the rows.
    """
    norm = None if found is None else found.gradient_max_norm
    return {
        "converged": ending.outcome == Outcome.CONVERGED,
        **_gap(None if ending.mend == "firth" else found),
        "gradient_max_norm": finite(norm),
        "relative_gradient_norm": None if found is None else finite(found.relative_gradient_norm),
        "tolerance": spec.stop.tolerance,
        "within_tolerance": norm is not None and _measure(spec, objective, found, norm) <= spec.stop.tolerance,
        "passes": fit.n_passes,
        "condition_number": None if found is None else finite(found.condition_number),
        "penalty": {"l1": float(objective.l1_b[0]), "l2": float(objective.l2_b[0])},
        "reference": None if found is None or found.reference is None else found.reference._asdict(),
        "separable": is_separable,
        "minimum_exists": _has_minimum(objective, found, ending, is_separable=is_separable),
        "scale": "training",
    }


def _has_minimum(objective: Objective, found: Certificate | None, ending: Ending, *, is_separable: bool) -> bool | None:
    """Of the objective that was minimised last; None where nothing shows it either way."""
    if (
        objective.has_dual
        or ending.mend is not None
        or objective.problem.family == Family.GAUSSIAN
        or ending.kind == "none"
    ):
        return True
    if objective.box is not None:  # within bounds rows can be on their own sides at a minimum
        is_known = found is not None and found.gap is not None
        return False if ending.outcome == Outcome.SEPARATED else True if is_known else None
    is_separated = is_separable or ending.outcome == Outcome.SEPARATED
    return False if is_separated or ending.kind in ("complete", "quasi_complete") else None


def _gap(found: Certificate | None) -> dict[str, Any]:
    if found is None or found.gap is None:
        return {"relative_gap": None, "gap_bound": None, "method": None}
    gap = found.gap
    return {
        "relative_gap": finite(gap.relative_b.item()),
        "gap_bound": finite(gap.bound_b.item()),
        "method": gap.method,
    }


def _measure(spec: LogisticRegressionSpec, objective: Objective, found: Certificate | None, norm: float) -> float:
    """What `stop.tolerance` is about: lbfgs by name, and fista without a penalty, stop on the gradient."""
    if spec.solver.name == "lbfgs" or (spec.solver.name == "fista" and not objective.has_dual):
        return norm
    return torch.inf if found is None or found.gap is None else float(found.gap.relative_b)


def separates(said: Judgement) -> bool:
    """Whether every row is strictly on the side of its own class; numbers have no sides."""
    if not said.family.is_classification:
        return False
    return all(
        _are_apart(said.at(slice(start, start + ROWS_AT_ONCE))) for start in range(0, len(said.z_nk), ROWS_AT_ONCE)
    )


def _are_apart(said: Judgement) -> bool:
    if said.y_nk.shape[1] == 1:
        return bool((said.z_nk * (said.y_nk * 2 - 1) > 0).all())
    own_n1 = said.z_nk.gather(1, said.target_n.unsqueeze(1))
    others_nk = said.z_nk.masked_fill(said.y_nk.bool(), -torch.inf)
    return bool((own_n1 > others_nk.amax(1, keepdim=True)).all())
