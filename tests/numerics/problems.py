"""Random problems of every family, and their minima to the last digits."""

from typing import Any

import torch
from torch import Tensor

from gradline.training import Family, Newton, Objective, Problem, ProximalNewton, Solver, make_problem, zero_parameters

FAMILIES = list(Family)


def random_problem(
    family: Family,
    seed: int,
    *,
    n: int = 300,
    d: int = 5,
    k: int = 3,
    signal: float = 1.0,
    is_weighted: bool = False,
    has_offset: bool = False,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> Problem:
    """Columns on scales of their own; targets drawn from the family, with noise that keeps classes mixed."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scale_d = 10 ** (draw(d) / 2)
    x_nd, offset_n = draw(n, d) * scale_d + draw(d), 0.3 * draw(n)
    z_nk = (x_nd / scale_d) @ draw(d, k) * signal / d**0.5 + draw(k) / 2
    if has_offset and family != Family.MULTINOMIAL:
        z_nk[:, 0] += offset_n
    target_n = _target(family, z_nk.clamp(-3, 3), generator)
    if family.is_classification:
        target_n[:k] = torch.arange(k) % (k if family == Family.MULTINOMIAL else 2)
    return make_problem(
        x_nd.to(dtype),
        target_n,
        family,
        k if family == Family.MULTINOMIAL else 2,
        weight_n=torch.rand(n, generator=generator, dtype=torch.float64).to(dtype) + 0.1 if is_weighted else None,
        offset_n=offset_n.to(dtype) if has_offset and family != Family.MULTINOMIAL else None,
        **options,
    )


def drawn_rows(family: Family, n: int, d: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Features in float32 that stand far from 0, targets, and the stream to go on from."""
    stream = torch.Generator().manual_seed(n + d)
    x_nd = torch.randn(n, d, generator=stream) * 2 + 3
    z_nk = (x_nd[:, :1] - 3) / 2
    return x_nd, _target(family, z_nk, stream), stream


def _target(family: Family, z_nk: Tensor, generator: torch.Generator) -> Tensor:
    if family == Family.BINOMIAL:
        return torch.bernoulli(torch.sigmoid(z_nk[:, 0]), generator=generator).long()
    if family == Family.MULTINOMIAL:
        return torch.multinomial(torch.softmax(z_nk, 1), 1, generator=generator).squeeze(1)
    if family == Family.POISSON:
        return torch.poisson(z_nk[:, 0].exp(), generator=generator)
    return z_nk[:, 0] + torch.randn(len(z_nk), generator=generator, dtype=torch.float64)


def zeros(objective: Objective, n_members: int = 1) -> Tensor:
    problem = objective.problem
    return zero_parameters(
        problem.d, problem.k, has_intercept=problem.has_intercept, dtype=torch.float64, n_members=n_members
    )


def solve(solver: Solver, tolerance: float = 1e-6, max_steps: int = 300) -> bool:
    """Whether it converged."""
    for _ in range(max_steps):
        if solver.is_converged(tolerance):
            return True
        solver.step()
        if solver.ending is not None:
            return False
    return False


def least_value(objective: Objective) -> float:
    """F at its minimum, in float64 and to the last digits."""
    exact = objective.in_float64()
    solver = ProximalNewton(exact, zeros(exact)) if exact.has_l1 else Newton(exact, zeros(exact), is_polished=True)
    assert solve(solver, 1e-11)
    fitness = exact.fitness(solver.theta_bkp)
    return (fitness.loss_b + fitness.penalty_b).item()


def value(objective: Objective, theta_bkp: Tensor) -> float:
    fitness = objective.in_float64().fitness(theta_bkp)
    return (fitness.loss_b + fitness.penalty_b).item()
