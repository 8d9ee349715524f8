"""Whole fits of a sample in one compiled function, against autograd and against Newton's method in torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gradline.training import Family, Objective, ProgressiveNewton
from gradline.training.cpu.fused import FusedPass
from gradline.training.cpu.kernel import NARROW, _factorise
from gradline.training.model import null_parameters
from gradline.training.problem import Problem
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.sample import Sample
from tests.numerics.problems import random_problem, solve, zeros

FAMILIES = [Family.BINOMIAL, Family.POISSON, Family.GAUSSIAN]
L2 = 0.01
N_ROWS = 3_000
KINDS = [
    {},
    {"dtype": torch.float32, "has_offset": True},
    {"is_weighted": True, "has_offset": True},
    {"is_weighted": True, "has_intercept": False},
]


def implying_ones(problem: Problem) -> Problem:
    return replace(problem, x_np=problem.x_np[:, :-1].contiguous(), implies_ones=True)


def drawn(family: Family, kind: int, n: int = 2_000, d: int = 6) -> Problem:
    problem = random_problem(family, 30 + kind, n=n, d=d, **KINDS[kind])
    return implying_ones(problem) if kind % 2 == 0 else problem


def gradient_at(problem: Problem, theta_bkp: Tensor) -> Tensor:
    """Of the loss, by autograd of torch's own losses."""
    theta_p = theta_bkp.flatten().clone().requires_grad_()
    mean_loss(problem, theta_p).backward()
    return theta_p.grad.view_as(theta_bkp)


def mean_loss(problem: Problem, theta_p: Tensor) -> Tensor:
    x_np, y_n = problem.x_np.double(), problem.y_nk[:, 0].double()
    if problem.implies_ones:
        x_np = torch.cat((x_np, x_np.new_ones(problem.n, 1)), 1)
    z_n = x_np @ theta_p
    if problem.offset_n1 is not None:
        z_n = z_n + problem.offset_n1[:, 0].double()
    if problem.family == Family.BINOMIAL:
        loss_n = torch.nn.functional.binary_cross_entropy_with_logits(z_n, y_n, reduction="none")
    elif problem.family == Family.POISSON:
        loss_n = torch.nn.functional.poisson_nll_loss(z_n, y_n, reduction="none") + torch.xlogy(y_n, y_n) - y_n
    else:
        loss_n = (z_n - y_n).square() / 2
    return (problem.share_nb[:, 0].double() * loss_n).sum()


def minimised(objective: Objective, tolerance: float = 1e-13, max_passes: int = 30) -> tuple[float | None, Tensor]:
    theta_bkp = null_parameters(objective.problem)
    first = FusedPass(objective.problem).minimise(
        theta_bkp, objective.l2_bq, tolerance=tolerance, sufficient_decrease=1e-4, max_passes=max_passes
    )
    return first, theta_bkp


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_the_gradient_is_zero_where_the_compiled_fit_ends(family: Family, kind: int) -> None:
    problem = drawn(family, kind)
    objective = Objective(problem, l2=L2, scale_bd=torch.linspace(0.5, 2.0, problem.d).double().unsqueeze(0))
    first, theta_bkp = minimised(objective)
    start_bkp = null_parameters(problem)
    assert first == pytest.approx(float(mean_loss(problem, start_bkp.flatten())), rel=1e-12)
    gradient_bkp = gradient_at(problem, theta_bkp) + objective.l2_bq.view_as(theta_bkp) * theta_bkp
    assert float(gradient_bkp.abs().max()) < 1e-5 * float(gradient_at(problem, start_bkp).abs().max())
    assert bool(objective.l2_bq.unique().numel() > 2)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-12])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_the_compiled_fit_takes_the_steps_of_lazy_newton(family: Family, kind: int, tolerance: float) -> None:
    objective = Objective(drawn(family, kind), l2=L2)
    newton = LazyNewton(objective, null_parameters(objective.problem))
    while not newton.is_within(tolerance):
        newton.step()
        assert newton.ending is None
    first, theta_bkp = minimised(objective, tolerance, max_passes=newton.n_passes)
    assert first == pytest.approx(float(newton.first_value()), rel=1e-12)
    torch.testing.assert_close(theta_bkp, newton.theta_bkp, rtol=1e-7, atol=1e-9)
    assert minimised(objective, tolerance, max_passes=newton.n_passes - 1)[0] is None


def test_a_sample_is_fitted_by_the_compiled_function() -> None:
    objective = Objective(drawn(Family.BINOMIAL, 0, n=10_000), l2=L2)
    sample = Sample(objective, N_ROWS)
    found, newton = sample.minimum(zeros(objective)), sample.fit(zeros(objective))
    assert found is not None
    assert newton is not None
    assert torch.equal(found.theta_bkp, minimised(sample.objective, sample.tolerance)[1])
    torch.testing.assert_close(found.theta_bkp, newton.theta_bkp, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(found.first_value_b, newton.first_value())


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.POISSON])
@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("is_here", [False, True])
def test_the_linearisation_error_is_that_of_autograd(family: Family, kind: int, is_here: bool) -> None:
    problem = drawn(family, kind)
    stream = torch.Generator().manual_seed(kind)
    scale_p = torch.cat((problem.x_np.double().std(0), torch.ones(int(problem.implies_ones), dtype=torch.float64)))
    scale_p[scale_p == 0] = 1.0
    theta_bkp, step_bkp, curved_at_bkp = (
        0.2 * torch.randn(1, 1, problem.p, generator=stream, dtype=torch.float64) / scale_p for _ in range(3)
    )
    curved_at_bkp = theta_bkp.clone() if is_here else curved_at_bkp
    found_bkp = FusedPass(problem).linearisation_error(theta_bkp, step_bkp, curved_at_bkp)
    _, straight_p = torch.autograd.functional.hvp(
        lambda theta_p: mean_loss(problem, theta_p), curved_at_bkp.flatten(), step_bkp.flatten()
    )
    change_bkp = gradient_at(problem, theta_bkp + step_bkp) - gradient_at(problem, theta_bkp)
    exact_bkp = change_bkp - straight_p.view_as(theta_bkp)
    scale = float(change_bkp.abs().max())
    torch.testing.assert_close(found_bkp, exact_bkp, rtol=1e-10, atol=1e-11 * scale)
    assert float(exact_bkp.abs().max()) > 1e-3 * scale


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_what_the_compiled_fit_gives_up_is_left_to_torch(noise: float) -> None:
    problem = random_problem(Family.BINOMIAL, 40, n=10_000, d=4)
    x_n, other_n = problem.x_np[:, 0], problem.x_np[:, 2]
    problem.x_np[:, 1] = x_n + noise * x_n.norm() / other_n.norm() * other_n
    objective = Objective(problem)
    sample = Sample(objective, N_ROWS)
    assert minimised(sample.objective, sample.tolerance)[0] is None, "a singular Hessian needs a ridge"
    newton, found = sample.fit(zeros(objective)), sample.minimum(zeros(objective))
    assert (newton is None) == (found is None)
    assert newton is None or found is None or torch.equal(found.theta_bkp, newton.theta_bkp)


def test_a_compiled_fit_ends_where_there_is_no_minimum() -> None:
    problem = random_problem(Family.BINOMIAL, 41, n=10_000, d=4)
    problem.y_nk[:] = (problem.x_np[:, :1] > 0).double()
    objective = Objective(problem)
    assert minimised(objective)[0] is None
    assert Sample(objective, N_ROWS).minimum(zeros(objective)) is None


@pytest.mark.parametrize("below", [1.5, 8.0])
def test_a_step_that_goes_too_far_is_given_up(below: float) -> None:
    """From an intercept too low, Newton's step leads to where F is higher, or infinite."""
    problem = random_problem(Family.POISSON, 42, n=5_000, d=2)
    objective = Objective(problem)
    start_bkp = null_parameters(problem)
    start_bkp[0, 0, -1] -= below
    fused, theta_bkp = FusedPass(problem), start_bkp.clone()
    assert fused.minimise(theta_bkp, objective.l2_bq, tolerance=1e-6, sufficient_decrease=1e-4, max_passes=30) is None
    assert solve(ProgressiveNewton(objective, start_bkp, n_rows=1_500))


def test_wide_rows_and_too_few_passes_have_no_compiled_fit() -> None:
    wide = Objective(random_problem(Family.BINOMIAL, 43, n=500, d=NARROW), l2=L2)
    assert wide.problem.x_np.shape[1] > NARROW
    assert minimised(wide)[0] is None
    narrow = Objective(random_problem(Family.BINOMIAL, 43, n=500, d=NARROW - 1), l2=L2)
    assert minimised(narrow)[0] is not None
    assert minimised(narrow, max_passes=2)[0] is None


@pytest.mark.parametrize(("pivot", "is_found"), [(1e-12, True), (1e-14, False), (0.0, False)])
def test_a_pivot_of_rounding_is_no_factor(pivot: float, is_found: bool) -> None:
    hessian_qq = np.array([[4.0, 6.0], [6.0, 9.0 * (1.0 + pivot)]])
    assert _factorise(hessian_qq, np.empty(2)) == is_found
