"""Fits within bounds, against scipy's bounded minimisers and scikit-learn's positive ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, lsq_linear, minimize
from torch import Tensor

from gradline.inference.recession import find_recession
from gradline.training import (
    Box,
    Family,
    Fista,
    Objective,
    ProximalNewton,
    choose,
    make_problem,
    proximal_newton_for,
)
from gradline.training.choice import _suits_few_columns
from gradline.training.decrement import decrement_bound
from gradline.training.solvers import ActiveNewton
from tests.numerics.problems import FAMILIES, random_problem, solve, value, zeros
from tests.numerics.test_newton_solvers import wide_problem

PENALTIES = [(0.0, 0.0), (0.02, 0.0), (0.0, 0.05), (0.03, 0.02)]


def drawn_box(objective: Objective, seed: int, share: float = 0.3) -> Box:
    """Around the minimum without it, so that about half of the bounds hold; of some coefficients 0 is outside, and one
    is held at a number."""
    chosen = choose(objective, zeros(objective))
    assert solve(chosen.solver, 1e-10)
    w_d = chosen.solver.theta_bkp[0, 0, : objective.problem.d]
    draw = torch.Generator().manual_seed(seed)

    def near() -> Tensor:
        return w_d + share * w_d.abs() * torch.randn(len(w_d), generator=draw, dtype=torch.float64)

    low_d, high_d = near(), near()
    low_d, high_d = torch.minimum(low_d, high_d), torch.maximum(low_d, high_d)
    low_d[torch.rand(len(w_d), generator=draw) < 0.3] = -torch.inf
    high_d[torch.rand(len(w_d), generator=draw) < 0.4] = torch.inf
    low_d[0] = high_d[0] = w_d[0] * 1.1
    return Box(low_d, high_d)


def by_scipy(objective: Objective, box: Box) -> tuple[NDArray[np.float64], float]:
    """By L-BFGS-B on features of unit scale, a coefficient being a difference of two that are not negative; and F."""
    problem, l1 = objective.problem, float(objective.l1_b[0])
    smooth = Objective(problem, 0.0, float(objective.l2_b[0]))
    scale_p = np.append(problem.x_np[:, : problem.d].std(0).numpy(), np.ones(problem.p - problem.d))
    scale_q, q = np.tile(scale_p, problem.k), problem.k * problem.p
    low_kp, high_kp = np.full((problem.k, problem.p), -np.inf), np.full((problem.k, problem.p), np.inf)
    low_kp[:, : problem.d], high_kp[:, : problem.d] = box.lower_d, box.upper_d
    low_q, high_q = low_kp.ravel() * scale_q, high_kp.ravel() * scale_q
    l1_q = np.tile(l1 * (np.arange(problem.p) < problem.d), problem.k) / scale_q

    def f(u: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta_bkp = torch.tensor((u[:q] - u[q:]) / scale_q).view(1, problem.k, problem.p)
        value_b, gradient_bkp = smooth.smooth_value_and_gradient(theta_bkp)
        gradient_q = gradient_bkp.numpy().ravel() / scale_q
        return float(value_b) + l1_q @ (u[:q] + u[q:]), np.append(gradient_q + l1_q, l1_q - gradient_q)

    within = Bounds(
        np.append(np.maximum(low_q, 0), np.maximum(-high_q, 0)), np.append(np.maximum(high_q, 0), np.maximum(-low_q, 0))
    )
    options = {"maxiter": 50_000, "maxfun": 500_000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 60}
    found = minimize(f, np.clip(np.zeros(2 * q), within.lb, within.ub), jac=True, bounds=within, options=options)
    return (found.x[:q] - found.x[q:]) / scale_q, found.fun


@pytest.mark.parametrize(("l1", "l2"), PENALTIES)
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_minimum_is_scipys(family, seed, l1, l2):
    if family == Family.MULTINOMIAL and l1 == l2 == 0:
        return  # the spec refuses it: nothing tells classes' coefficients apart from what is added to them all
    problem = random_problem(family, seed, is_weighted=seed == 3, has_offset=seed == 3)
    free = Objective(problem, l1, l2)
    box = drawn_box(free, seed)
    objective = Objective(problem, l1, l2, box=box)
    chosen = choose(objective, zeros(objective))
    assert solve(chosen.solver, 1e-10)
    assert (chosen.name, "bounds" in chosen.reason) == ("proximal-newton", True)
    theirs_q, least = by_scipy(free, box)
    theta_bkp = chosen.solver.theta_bkp
    assert value(objective, theta_bkp) == pytest.approx(least, rel=1e-9)
    assert abs(value(objective, theta_bkp) - least) <= chosen.solver.gap().bound_b.item() + 1e-9 * least
    theirs_kp = torch.tensor(theirs_q).view(problem.k, problem.p)
    scale_p = torch.cat((problem.x_np[:, : problem.d].std(0), torch.ones(problem.p - problem.d)))
    if problem.k > 1:  # the intercepts' own gauge
        theirs_kp[:, -1] -= theirs_kp[:, -1].mean()
        theta_bkp[..., -1] -= theta_bkp[..., -1].mean()
    largest = (theirs_kp * scale_p).abs().max()
    assert ((theta_bkp[0] - theirs_kp) * scale_p).abs().max() <= 2e-6 * largest
    w_kd = theta_bkp[0, :, : problem.d]
    assert bool(((w_kd >= box.lower_d) & (w_kd <= box.upper_d)).all())
    assert objective.stationarity(theta_bkp).item() < 1e-6


@pytest.mark.parametrize(("l1", "l2"), PENALTIES)
@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.GAUSSIAN, Family.POISSON])
def test_no_bound_of_the_gap_is_below_it_on_the_way(family, l1, l2):
    problem = random_problem(family, 4)
    objective = Objective(problem, l1, l2, box=drawn_box(Objective(problem, l1, l2), 1))
    best = choose(objective, zeros(objective)).solver
    assert solve(best, 1e-13) or best.ending is not None
    least = value(objective, best.theta_bkp)
    n_finite = 0
    for solver in (ProximalNewton(objective, zeros(objective)), Fista(objective, zeros(objective))):
        for _ in range(30):
            here = ProximalNewton(objective, solver.theta_bkp.clone())
            for gap in (solver.gap(), here.gap()):
                bound = gap.bound_b.item()
                n_finite += bound < np.inf
                assert bound >= (gap.value_b.item() - least) - 1e-13 * abs(least)
            solver.step()
    assert n_finite > 20


def test_two_sided_bounds_bound_the_gap_by_duality_without_a_penalty():
    problem = random_problem(Family.BINOMIAL, 4)
    box = Box(torch.full((problem.d,), -0.1), torch.full((problem.d,), 0.1))
    objective = Objective(problem, box=box)
    fista = Fista(objective, zeros(objective), stops_on_gap=True)
    assert objective.has_dual
    assert solve(fista, 1e-8, 5000)
    assert fista.gap().method == "duality_gap"
    assert not Objective(problem, box=box._replace(upper_d=torch.full((problem.d,), torch.inf))).has_dual


@pytest.mark.parametrize(("low", "high"), [(-1.0, 2.0), (0.5, 2.0), (-3.0, -0.2), (0.0, np.inf), (-np.inf, 0.3)])
def test_the_proximal_operator_is_the_minimum_also_where_0_is_outside(low, high):
    problem = random_problem(Family.GAUSSIAN, 0, d=1)
    objective = Objective(problem, 0.7, box=Box(torch.tensor([low]), torch.tensor([high])))
    grid = np.linspace(max(low, -8.0), min(high, 8.0), 160_001)
    for start in np.linspace(-4, 4, 41):
        theta_bkp = torch.tensor([[[start, 5.0]]], dtype=torch.float64)
        objective.shrink(theta_bkp, 0.9)
        least = grid[np.argmin((grid - start) ** 2 / 2 + 0.9 * 0.7 * np.abs(grid))]
        assert theta_bkp[0, 0].tolist() == pytest.approx([least, 5.0], abs=1e-4)


def test_bounds_that_are_not_active_change_nothing():
    problem = random_problem(Family.POISSON, 3)
    free = Objective(problem, 0.01)
    alone = choose(free, zeros(free)).solver
    assert solve(alone, 1e-12)
    wide = torch.full((problem.d,), 1e6)
    bounded = Objective(problem, 0.01, box=Box(-wide, wide))
    within = choose(bounded, zeros(bounded)).solver
    assert solve(within, 1e-12)
    torch.testing.assert_close(within.theta_bkp, alone.theta_bkp, rtol=1e-6, atol=1e-9)


def test_members_have_penalties_and_scales_of_their_own_within_the_same_bounds():
    problem = random_problem(Family.BINOMIAL, 4, d=4)
    scale_bd = torch.tensor([[1.0, 2.0, 0.5, 1.0], [3.0, 1.0, 1.0, 0.2]], dtype=torch.float64)
    l1_b, l2_b = torch.tensor([0.01, 0.03]), torch.tensor([0.02, 0.0])
    box = Box(torch.tensor([0.0, -torch.inf, 0.05, -0.1]), torch.tensor([torch.inf, 0.01, 0.2, 0.1]))
    weight_nb = torch.rand(problem.n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    both = Objective(replace(problem, weight_nb=weight_nb), l1_b, l2_b, n_members=2, scale_bd=scale_bd, box=box)
    together = choose(both, zeros(both, 2)).solver
    assert solve(together, 1e-12)
    for b in range(2):
        own = replace(problem, weight_nb=weight_nb[:, b : b + 1])
        alone = Objective(own, float(l1_b[b]), float(l2_b[b]), scale_bd=scale_bd[b : b + 1], box=box)
        solver = choose(alone, zeros(alone)).solver
        assert solve(solver, 1e-12)
        torch.testing.assert_close(together.theta_bkp[b], solver.theta_bkp[0], rtol=1e-6, atol=1e-8)


def test_proximal_newton_within_few_columns_keeps_the_bounds():
    problem = wide_problem(80, 2100)
    low_d = torch.full((problem.d,), -torch.inf, dtype=torch.float64)
    low_d[::2] = 0.0
    low_d[5] = 0.3
    objective = Objective(problem, 0.05, box=Box(low_d, torch.full((problem.d,), 0.4)))
    assert _suits_few_columns(objective, problem.p)
    few = proximal_newton_for(objective, zeros(objective))
    assert isinstance(few, ActiveNewton)
    assert solve(few, 1e-9)
    w_d = few.theta_bkp[0, 0, : problem.d]
    assert bool(((w_d >= low_d) & (w_d <= 0.4)).all())
    assert w_d[5] == 0.3
    fista = Fista(objective, zeros(objective), stops_on_gap=True)
    assert solve(fista, 1e-7, 3000)
    assert value(objective, few.theta_bkp) == pytest.approx(value(objective, fista.theta_bkp), rel=2e-7)


def test_least_squares_within_bounds_are_scipys():
    problem = random_problem(Family.GAUSSIAN, 8, d=12, has_intercept=False)
    box = drawn_box(Objective(problem), 3)
    box = box._replace(upper_d=torch.where(box.upper_d == box.lower_d, box.upper_d + 1e-3, box.upper_d))
    objective = Objective(problem, box=box)
    solver = choose(objective, zeros(objective)).solver
    assert solve(solver, 1e-12)
    theirs = lsq_linear(
        problem.x_np.numpy(), problem.y_nk[:, 0].numpy(), (box.lower_d.numpy(), box.upper_d.numpy()), tol=1e-14
    )
    np.testing.assert_allclose(solver.theta_bkp[0, 0], theirs.x, rtol=1e-6, atol=1e-8)


def test_a_start_far_from_0_does_not_overflow():
    problem = random_problem(Family.POISSON, 3)
    objective = Objective(problem, box=Box(torch.full((problem.d,), 0.5), torch.full((problem.d,), torch.inf)))
    solver = choose(objective, zeros(objective)).solver
    assert solve(solver, 1e-8)
    assert json.dumps(solver.theta_bkp.tolist()).count("NaN") == 0


def test_rows_that_have_lost_their_curvature_bound_no_gap_and_the_cone_of_the_bounds_decides():
    own_n = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0], dtype=torch.float64)
    problem = make_problem(own_n.unsqueeze(1), torch.tensor([1, 1, 1, 0, 1, 0, 1, 1]), Family.BINOMIAL)
    box = Box(torch.tensor([0.0]), torch.tensor([torch.inf]))
    objective = Objective(problem, box=box)
    far_bkp = torch.tensor([[[20.0, np.log(3 / 2)]]], dtype=torch.float64)
    assert decrement_bound(objective, far_bkp).item() == np.inf
    assert objective.on_rows(torch.arange(4)).box is not None
    may_rise, may_fall = torch.tensor([[False, True], [True, True]]), torch.tensor([[True, True], [False, True]])
    assert find_recession(problem, far_bkp[0, 0], may_rise) is not None
    assert find_recession(problem, far_bkp[0, 0] * 0, may_fall) is None
