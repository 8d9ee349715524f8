"""What can be said for sure about the parameters that a fit ended with, whatever solver found them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.bounds import Gap
from gradline.training.factor import Factor
from gradline.training.model import null_parameters
from gradline.training.objective import Objective
from gradline.training.solvers import Fista, Lbfgs, Newton, ProximalNewton, Solver
from gradline.training.solvers.first_order import FirstOrder

MAX_HESSIAN_COST = 2e9
"""Products up to which a Hessian is made and factorised for the certificate alone."""
MAX_SPECTRUM = 1000
"""Parameters up to which a Hessian's eigenvalues are computed."""
MAX_REFERENCE_COST = 1e8
MAX_REFERENCE_STEPS = 50


class Reference(NamedTuple):
    """A second fit: Newton's method in float64, to the last digits."""

    objective: float
    relative_gap: float
    """(F - F_reference) / F_reference."""
    largest_difference: float
    """Of any parameter, as a share of the largest one."""


class Certificate(NamedTuple):
    objective: float
    """F."""
    gap: Gap | None
    """None where nothing bounds it."""
    gradient_max_norm: float
    relative_gradient_norm: float
    """As a share of that at parameters of zero."""
    condition_number: float | None
    """Of the Hessian of the smooth part; None where it is too large to look at."""
    reference: Reference | None
    """None where a second fit is dear or does not converge, and after first-order steps, which promise no optimum."""


def certify(objective: Objective, theta_bkp: Tensor, solver: Solver | None, gap: Gap | None = None) -> Certificate:
    """For one member. `solver` is the one that ended at theta or a little above it, and `gap` what it said there."""
    theta_bkp = theta_bkp.double()
    newton = _newton_at(objective, theta_bkp, solver)
    value, norm, first_norm = (told_b.item() for told_b in objective.value_and_stationarities(theta_bkp))
    return Certificate(
        value,
        _least_gap(objective, theta_bkp, gap, None if newton is solver else newton),
        norm,
        norm / first_norm if first_norm > 0 else 0.0,
        None if newton is None else condition_number(newton.look().factor),
        None if isinstance(solver, FirstOrder) else _reference(objective, theta_bkp, newton),
    )


def _newton_at(objective: Objective, theta_bkp: Tensor, solver: Solver | None) -> Newton | None:
    """Newton's method about to step from theta; None where its Hessian is too dear."""
    if isinstance(solver, Newton):
        return solver
    is_smooth = objective.is_smooth and bool(theta_bkp.isfinite().all())
    is_cheap = _cost(objective, theta_bkp) <= MAX_HESSIAN_COST
    return Newton(objective, theta_bkp.clone()) if is_smooth and is_cheap else None


def _cost(objective: Objective, theta_bkp: Tensor) -> int:
    """Of a Hessian: n q^2 products for its entries, or q^3 for its factors where that is more."""
    q = theta_bkp[0].numel()
    return int(q**2 * max(objective.problem.n, q))


def _least_gap(objective: Objective, theta_bkp: Tensor, gap: Gap | None, newton: Newton | None) -> Gap | None:
    """The smallest of the bounds at hand."""
    gaps = [gap] if gap is not None else []
    if newton is not None:
        gaps.append(newton.gap())
    if objective.box is not None and _cost(objective, theta_bkp) <= MAX_HESSIAN_COST:
        gaps.append(ProximalNewton(objective, theta_bkp.clone()).gap())
    elif gap is None and objective.has_dual:
        solver = Lbfgs if objective.is_smooth else Fista
        gaps.append(solver(objective, theta_bkp.clone()).gap())
    known = [gap for gap in gaps if bool(gap.bound_b.isfinite())]
    return min(known, key=lambda gap: gap.bound_b.item(), default=None)


def condition_number(factor: Factor) -> float | None:
    """Largest over smallest eigenvalue; inf where columns are collinear."""
    if factor.scale_bq.shape[1] > MAX_SPECTRUM:
        return None
    if bool(factor.is_singular_b):
        return math.inf
    spectrum_q = torch.linalg.eigvalsh(factor.hessian()[0])
    return float(spectrum_q[-1] / spectrum_q[0].clamp(min=0.0))


def _reference(objective: Objective, theta_bkp: Tensor, newton: Newton | None) -> Reference | None:
    if newton is None or _cost(objective, theta_bkp) > MAX_REFERENCE_COST:
        return None
    second = Newton(objective.in_float64(), null_parameters(objective.problem), is_polished=True)
    for _ in range(MAX_REFERENCE_STEPS):
        if second.is_converged(1e-10):
            break
        second.step()
        if second.ending is not None:
            return None
    else:
        return None
    value, least = second.objective.smooth_value(theta_bkp).item(), second.look().value_b.item()
    difference = (theta_bkp - second.theta_bkp).abs().amax() / second.theta_bkp.abs().amax()
    return Reference(least, (value - least) / least if least > 0 else 0.0, difference.nan_to_num(nan=0.0).item())
