"""The bootstrap (Efron 1979): the fit repeated on rows drawn with replacement, all replicates as members.

A replicate weighs each row by how often it was drawn: multinomial counts where every row counts once; where rows have
frequencies, counts from the Poisson distribution with them as mean (Hanley and MacGibbon 2006). Newton's method starts
from the estimate on all rows, so that it needs a few steps only.

Shapes: b replicates, n rows, k outputs, p columns of x.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Evaluator, Likelihood
from gradline.inference.newton import minimise
from gradline.inference.parameters import all_parameters, free_parameters
from gradline.inference.penalised import FirthLikelihood, RidgeLikelihood
from gradline.inference.separation import have_maximum
from gradline.training import Family, Fista, Objective, Problem

_MAX_WEIGHTS = 1 << 23
"""Weights of the replicates that are fitted at once: 64 MiB."""
_MAX_CURVATURES = 1 << 25
"""Entries of their Hessians, where there are any: 256 MiB."""
_TOLERANCE = 1e-8
"""Squared Newton decrement: a ten-thousandth of a standard error."""
_MAX_STEPS = 25
_MAX_FISTA_STEPS = 2_000


class Penalty(NamedTuple):
    l1: float = 0.0
    l2: float = 0.0
    is_firth: bool = False


class Replicates(NamedTuple):
    theta_bkp: Tensor
    """Only those that have a minimum."""
    n_failed: int
    """Left out: their rows could be separated, or the fit did not end."""


def bootstrap(
    problem: Problem,
    theta_kp: Tensor,
    penalty: Penalty,
    n_replicates: int,
    generator: torch.Generator,
    *,
    are_frequencies: bool = True,
    between: Callable[[], None] = lambda: None,
) -> Replicates:
    """Fits to `n_replicates` draws of the rows, from the estimate on all of them.

    Without `are_frequencies` a row is drawn like any other and takes its weight along. `between` is called now and then
    and may raise.
    """
    size = min(n_replicates, _MAX_WEIGHTS // problem.n)
    if penalty.l1 == 0:
        size = min(size, _MAX_CURVATURES // theta_kp.numel() ** 2)
    size = max(1, size)
    kept, n_failed = [], 0
    for start in range(0, n_replicates, size):
        between()
        weight_nb = draw_weights(problem, min(size, n_replicates - start), generator, are_frequencies=are_frequencies)
        theta_bkp, is_fitted_b = _fit(problem, theta_kp, penalty, weight_nb)
        kept.append(theta_bkp[is_fitted_b])
        n_failed += int((~is_fitted_b).sum())
    return Replicates(torch.cat(kept), n_failed)


def draw_weights(
    problem: Problem, n_replicates: int, generator: torch.Generator, *, are_frequencies: bool = True
) -> Tensor:
    """weight_nb in float64; drawn on the CPU whatever the device."""
    if problem.weight_nb is not None and are_frequencies:
        rate_nb = problem.weight_nb[:, :1].double().cpu().expand(-1, n_replicates)
        return torch.poisson(rate_nb, generator=generator).to(problem.y_nk.device)
    weight_bn = torch.empty(n_replicates, problem.n, dtype=torch.float64)
    for b in range(n_replicates):
        drawn_n = torch.randint(problem.n, (problem.n,), generator=generator)
        weight_bn[b] = torch.bincount(drawn_n, minlength=problem.n)
    weight_nb = weight_bn.T.contiguous().to(problem.y_nk.device)
    return weight_nb if problem.weight_nb is None else weight_nb * problem.weight_nb[:, :1]


def _fit(problem: Problem, theta_kp: Tensor, penalty: Penalty, weight_nb: Tensor) -> tuple[Tensor, Tensor]:
    if penalty.l1 > 0:
        return _fit_l1(problem, theta_kp, penalty, weight_nb)
    likelihood, n_members = Likelihood(problem, weight_nb), weight_nb.shape[1]
    evaluator: Evaluator = likelihood
    if penalty.is_firth:
        evaluator = FirthLikelihood(likelihood)
    elif penalty.l2 > 0:
        evaluator = RidgeLikelihood(likelihood, penalty.l2)
    start_bq = free_parameters(problem, theta_kp).unsqueeze(0).repeat(n_members, 1)
    unit = 1.0
    if problem.family == Family.GAUSSIAN:
        unit = max(2 * float(likelihood.value(start_bq).sum()), 1e-300) / max(
            float(likelihood.n_weighed_b.sum()), 1e-300
        )
    least = minimise(evaluator, start_bq, tolerance=_TOLERANCE, max_steps=_MAX_STEPS, unit=unit)
    is_fitted_b = least.is_converged_b & have_maximum(problem, least.step_bq) & (likelihood.n_weighed_b > 0)
    return all_parameters(problem, least.theta_bq), is_fitted_b


def _fit_l1(problem: Problem, theta_kp: Tensor, penalty: Penalty, weight_nb: Tensor) -> tuple[Tensor, Tensor]:
    """By proximal gradients, in the dtype of the data.

    Replicates are near the estimate from the start: with 50 of them proximal Newton's Hessians took three times as long
    for 5,000 rows and 50 columns, twenty times for 2,000 and 200; only with columns correlated by 0.96 they took half.
    """
    dtype = problem.y_nk.dtype
    drawn = replace(problem, weight_nb=weight_nb.to(dtype))
    objective = Objective(drawn, penalty.l1, penalty.l2, n_members=weight_nb.shape[1])
    solver = Fista(objective, theta_kp.to(dtype).unsqueeze(0).repeat(weight_nb.shape[1], 1, 1))
    for _ in range(_MAX_FISTA_STEPS):
        if solver.is_converged(1e-5) or solver.ending is not None:
            break
        solver.step()
    theta_bkp = solver.theta_bkp.double()
    return theta_bkp, torch.isfinite(theta_bkp).all(2).all(1)
