"""Which solver suits a problem: what `auto` stands for, and which form of a named one.

The numbers are estimates of where times cross, from counts of operations; benchmarks/fit_peers.py shows what comes of
them. n rows, q = k * p parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.family import Family
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers import (
    ActiveNewton,
    Fista,
    Newton,
    NewtonCg,
    ProgressiveNewton,
    ProximalNewton,
    SampledLbfgs,
    Solver,
    SubspaceNewton,
)

MAX_FACTOR_PARAMETERS = 2000
"""Factors of more take longer than many passes over the rows."""
MAX_HESSIAN_PARAMETERS = 128
"""Up to here a Hessian of all rows costs no more than a few passes over them."""
MAX_POLISHED_COST = 2e8
"""n q^2 up to which a Newton step takes milliseconds, so that small fits go on to the last digits."""
MAX_PENALISED_COST = 4e9
"""n q^2 up to which Newton's method takes no longer than passes alone do with an l2 penalty."""
MAX_NEWTON_COST = 2e10
"""n q^2 up to which a few Hessians of all rows take a second or so."""
ROWS_PER_PARAMETER = 20
LEAST_SAMPLE = 20_000
ROWS_FOR_ONE_STEP = 250
"""A parameter: the gap of the sample's minimum is then about 2e-3, and one step on all rows with what the sample
foretells takes it well below 1e-6. With few parameters that is less than the least sample."""
CHEAP_SHARE = 1 / 64
"""Of all rows, which fitting costs little even where fewer would do."""
LEAST_RATIO = 2
"""All rows must be this many times the sample, or it saves nothing."""


class Choice(NamedTuple):
    name: str
    """As a spec names it."""
    reason: str
    """One sentence."""
    solver: Solver


def choose(objective: Objective, theta_bkp: Tensor) -> Choice:
    """The solver for this objective, about to take its first step from theta."""
    problem, q = objective.problem, theta_bkp[0].numel()
    size = f"{problem.n:,} rows and {q:,} parameters"
    if not objective.is_smooth:
        return _for_proximal_steps(objective, theta_bkp, size)
    if q > MAX_FACTOR_PARAMETERS or (problem.is_sparse and q > MAX_HESSIAN_PARAMETERS):
        why = "of sparse features " if problem.is_sparse else ""
        reason = f"{size} {why}are too many for a Hessian: conjugate gradients need only products with it."
        return Choice("newton-cg", reason, newton_cg_for(objective, theta_bkp))
    if _suits_sample_as_hessian(problem, q) and len(theta_bkp) == 1:
        reason = f"{size}: the Hessian of a sample of the rows makes few passes over all of them enough."
        return Choice("lbfgs", reason, SampledLbfgs(objective, theta_bkp, n_rows=sample_size(problem, q)))
    if _is_dear_for_newton(problem, q) and _suits_subspaces(objective, q):
        reason = f"{size} and an l2 penalty: conjugate gradients take less time than Hessians."
        return Choice("newton-cg", reason, newton_cg_for(objective, theta_bkp))
    solver = newton_for(objective, theta_bkp)
    how = ", started on a sample of the rows" if isinstance(solver, ProgressiveNewton) else ""
    return Choice("newton", f"{size}: a Hessian is cheap, and Newton's steps{how} are the fewest.", solver)


def _for_proximal_steps(objective: Objective, theta_bkp: Tensor, size: str) -> Choice:
    problem, q = objective.problem, theta_bkp[0].numel()
    size = f"{_asked_for(objective)} on {size}"
    if _suits_few_columns(objective, q):
        reason = f"{size}: few coefficients differ from 0, and proximal Newton needs no other columns."
        return Choice("proximal-newton", reason, proximal_newton_for(objective, theta_bkp))
    if q > MAX_FACTOR_PARAMETERS or problem.n * q * q > MAX_NEWTON_COST * 10:
        reason = f"{size}, too many for a Hessian: proximal gradient steps need none."
        return Choice("fista", reason, Fista(objective, theta_bkp, stops_on_gap=objective.has_dual))
    reason = f"{size}: a Hessian is cheap, and proximal Newton's steps are the fewest."
    return Choice("proximal-newton", reason, proximal_newton_for(objective, theta_bkp))


def _asked_for(objective: Objective) -> str:
    if objective.box is None:
        return "an l1 penalty"
    return "an l1 penalty and bounds" if objective.has_l1 else "bounds"


def _suits_few_columns(objective: Objective, q: int) -> bool:
    """About as many coefficients as rows differ from 0, for each output: of so many a Hessian is cheap."""
    problem = objective.problem
    is_wide = q > MAX_FACTOR_PARAMETERS >= problem.n * problem.k and not problem.is_sparse
    return is_wide and bool((objective.l1_b > 0).all())


def proximal_newton_for(objective: Objective, theta_bkp: Tensor) -> ProximalNewton | Newton:
    """Without an l1 penalty or bounds its steps are those of Newton's method, which can tell how far the minimum is."""
    if objective.is_smooth:
        return newton_for(objective, theta_bkp)
    problem, q = objective.problem, theta_bkp[0].numel()
    if _suits_few_columns(objective, q):
        return ActiveNewton(objective, theta_bkp)
    n_rows = sample_size(problem, q)
    is_large = problem.n >= LEAST_RATIO * n_rows and not problem.is_sparse
    is_polished = problem.n * q * q <= MAX_POLISHED_COST
    return ProximalNewton(objective, theta_bkp, is_polished=is_polished, n_rows=n_rows if is_large else None)


def _is_dear_for_newton(problem: Problem, q: int) -> bool:
    """Least squares take one Hessian; and a Hessian bounds the gap where gradients in float32 are too rough to."""
    is_costly = problem.n * q * q > MAX_PENALISED_COST
    return is_costly and problem.family != Family.GAUSSIAN and problem.y_nk.dtype == torch.float64


def newton_cg_for(objective: Objective, theta_bkp: Tensor) -> NewtonCg | SubspaceNewton:
    """Truncated Newton in the form that suits penalty, outputs and size."""
    suits = _suits_subspaces(objective, theta_bkp[0].numel())
    return SubspaceNewton(objective, theta_bkp) if suits else NewtonCg(objective, theta_bkp)


def _suits_subspaces(objective: Objective, q: int) -> bool:
    """With several outputs or few parameters, searches take longer than the passes that they save."""
    has_l2 = objective.is_smooth and bool((objective.l2_b > 0).all())
    return has_l2 and objective.problem.k == 1 and q > MAX_HESSIAN_PARAMETERS


def newton_for(objective: Objective, theta_bkp: Tensor) -> Newton:
    """Newton's method in the form that suits the number of rows."""
    problem, q = objective.problem, theta_bkp[0].numel()
    if problem.n >= LEAST_RATIO * sample_size(problem, q) and not problem.is_sparse:
        return ProgressiveNewton(objective, theta_bkp, n_rows=sample_size(problem, q))
    return Newton(objective, theta_bkp, is_polished=problem.n * q * q <= MAX_POLISHED_COST)


def sample_size(problem: Problem, q: int) -> int:
    """For multinomial a row tells about all classes at once, and its part of a Hessian is dearer."""
    if q <= MAX_HESSIAN_PARAMETERS:
        enough = max(ROWS_FOR_ONE_STEP * q, int(CHEAP_SHARE * problem.n))
        return max(ROWS_PER_PARAMETER * q, min(LEAST_SAMPLE, enough))
    if problem.k == 1:
        return ROWS_PER_PARAMETER * q
    return max(ROWS_PER_PARAMETER * q // 4, ROWS_PER_PARAMETER * problem.p)


def _suits_sample_as_hessian(problem: Problem, q: int) -> bool:
    is_costly = problem.n * q * q > MAX_NEWTON_COST
    return q > MAX_HESSIAN_PARAMETERS and is_costly and problem.n >= LEAST_RATIO * sample_size(problem, q)
