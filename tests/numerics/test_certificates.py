"""A bound of the objective gap is one: at every step, for every family, penalty and solver."""

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradline.training import (
    Family,
    Fista,
    Lbfgs,
    Newton,
    NewtonCg,
    Objective,
    ProgressiveNewton,
    ProximalNewton,
    SampledLbfgs,
    Sgd,
    SubspaceNewton,
    certify,
)
from gradline.training.bounds import ESTIMATE
from gradline.training.derivatives import Want
from gradline.training.reach import Reach
from tests.numerics.problems import FAMILIES, least_value, random_problem, solve, value, zeros

ROUNDING = 1e-12
SMOOTH = {
    "newton": Newton,
    "newton-cg": NewtonCg,
    "lbfgs": lambda objective, theta_bkp: Lbfgs(objective, theta_bkp, stops_on_gap=True),
    "progressive": lambda objective, theta_bkp: ProgressiveNewton(objective, theta_bkp, n_rows=120),
    "sampled": lambda objective, theta_bkp: SampledLbfgs(objective, theta_bkp, n_rows=120),
}
PENALISED = {**SMOOTH, "subspace": SubspaceNewton}
"""Those that need an l2 penalty, too."""
PROXIMAL = {"proximal-newton": ProximalNewton, "fista": Fista}


def assert_bounded(objective, solver, least, n_steps):
    """At every step that the solver takes."""
    for _ in range(n_steps):
        gap = solver.gap()
        if gap.method != ESTIMATE:
            true_gap = value(objective, solver.theta_bkp) - least
            assert gap.bound_b.item() >= true_gap - ROUNDING * abs(least)
        if solver.is_converged(1e-9):
            break
        solver.step()


@pytest.mark.parametrize(
    ("name", "l2"), [*((name, l2) for name in PENALISED for l2 in (1e-4, 0.1)), *((name, 0.0) for name in SMOOTH)]
)
@pytest.mark.parametrize("family", FAMILIES)
@given(st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_the_bound_is_at_least_the_true_gap(family, name, l2, seed):
    problem = random_problem(family, seed, is_weighted=seed % 2 == 0, has_offset=seed % 3 == 0)
    assume(not family.is_classification or n_in_rarest_class(problem) > problem.p)  # a row alone can be told apart
    objective = Objective(problem, l2=l2)
    least = least_value(objective)
    assert_bounded(objective, PENALISED[name](objective, zeros(objective)), least, 40)


def n_in_rarest_class(problem):
    per_class = problem.y_nk.sum(0)
    return min(per_class.min().item(), problem.n - per_class.max().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.MULTINOMIAL, Family.POISSON])
def test_cheaper_reaches_are_no_shorter_than_that_of_the_rows(family, dtype):
    problem = random_problem(family, 3, d=6)
    newton = Newton(Objective(problem, l2=1e-3), zeros(Objective(problem)))
    factor = newton.look().factor
    reach = Reach(problem.to(dtype))
    exact_b = largest_move(problem, factor)
    by_rows_b, by_columns_b = reach.by_rows(factor), reach.by_columns(factor)
    assert (by_rows_b >= exact_b * (1 - 1e-6)).all()
    assert (by_rows_b <= exact_b * 1.01).all()
    assert (by_columns_b >= exact_b * (1 - 1e-6)).all()
    assert (reach.by_largest(factor) >= by_columns_b).all()


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.POISSON])
def test_a_pass_for_the_hessian_tells_a_reach_no_shorter_than_that_of_the_rows(family, dtype, is_weighted):
    problem = random_problem(family, 4, d=40, n=400, is_weighted=is_weighted)
    objective = Objective(problem.to(dtype), l2=1e-3)
    newton = Newton(objective, zeros(objective))
    newton.step()
    factor = newton.look().factor
    exact_b, told_b = largest_move(problem, factor), Reach(objective.problem).by_weight(factor)
    weight_n = objective.derivatives(newton.theta_bkp, Want.PRODUCTS).weights.flatten()
    torch.testing.assert_close(told_b, weight_n.amin().rsqrt().view(1))
    assert (told_b >= exact_b * (1 - 1e-6)).all()


@pytest.mark.parametrize("implies_ones", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pass_for_the_hessian_tells_how_long_the_longest_row_is_and_so_a_reach(dtype, implies_ones):
    problem = random_problem(Family.BINOMIAL, 4, d=8, n=2000)
    problem = replace(problem, x_np=problem.x_np[:, :-1].contiguous(), implies_ones=True) if implies_ones else problem
    objective = Objective(problem.to(dtype), l2=1e-3)
    factor = Newton(objective, zeros(objective)).look().factor
    length_n = problem.products.block(0, problem.n).norm(dim=1)
    torch.testing.assert_close(factor.length_b, length_n.amax().view(1), rtol=1e-6, atol=0)
    exact = (problem.products.block(0, problem.n) @ factor.inverse_root()[0].T).norm(dim=1).amax()
    assert float(Reach(objective.problem).by_length(factor)) >= float(exact) * (1 - 1e-6)


def largest_move(problem, factor):
    """Of any row, by the definition: for classes twice the largest of (e_i - 1 / k) x_n."""
    k, p = problem.k, problem.p
    inverse_qq = torch.linalg.inv(factor.hessian()[0])
    centre_kk = torch.eye(k, dtype=torch.float64) - (1 / k if k > 1 else 0.0)
    lengths = [
        torch.einsum("nq,qr,nr->n", moved_nq, inverse_qq, moved_nq).amax().sqrt()
        for moved_nq in (torch.einsum("j,np->njp", centre_kk[i], problem.x_np).reshape(-1, k * p) for i in range(k))
    ]
    return (2 if k > 1 else 1) * torch.stack(lengths).amax()


@pytest.mark.parametrize("l2", [0.0, 0.05])
@pytest.mark.parametrize("name", PROXIMAL)
@pytest.mark.parametrize("family", FAMILIES)
@given(st.integers(0, 10_000))
@settings(max_examples=3, deadline=None)
def test_the_dual_bound_is_at_least_the_true_gap_with_an_l1_penalty(family, name, l2, seed):
    objective = Objective(random_problem(family, seed, is_weighted=seed % 2 == 0, has_offset=seed % 3 == 0), 0.02, l2)
    least = least_value(objective)
    assert_bounded(objective, PROXIMAL[name](objective, zeros(objective)), least, 25)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("name", PENALISED)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_solver_ends_within_the_tolerance(family, name, is_weighted):
    problem = random_problem(family, 3, n=2000, is_weighted=is_weighted, has_offset=True)
    objective = Objective(problem, l2=1e-3)
    solver = PENALISED[name](objective, zeros(objective))
    assert solve(solver, 1e-6)
    assert solver.gap().relative_b.item() <= 1e-6
    least = least_value(objective)
    assert (value(objective, solver.theta_bkp) - least) / least <= 1e-6


def test_float32_features_reach_the_tolerance_with_float64_parameters():
    problem = random_problem(Family.BINOMIAL, 5, n=60_000, d=30, dtype=torch.float32, implies_ones=True)
    objective = Objective(problem, l2=1 / problem.n)
    for solver in (
        ProgressiveNewton(objective, zeros(objective), n_rows=5000),
        SampledLbfgs(objective, zeros(objective), n_rows=5000),
    ):
        assert solve(solver, 1e-6)
        least = least_value(objective)
        assert (value(objective, solver.theta_bkp) - least) / least <= solver.gap().relative_b.item() <= 1e-6


@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_a_certificate_says_how_far_sgd_is_from_the_minimum(l1: float):
    objective = Objective(random_problem(Family.BINOMIAL, 2, d=2), l1=l1, l2=0.01)
    solver = Sgd(objective, zeros(objective), learning_rate=0.05)
    for _ in range(50):
        solver.step()
    found = certify(objective, solver.theta_bkp, solver)
    least = least_value(objective)
    true_gap = (value(objective, solver.theta_bkp) - least) / least
    assert found.gap is not None
    assert true_gap > 1e-4
    assert found.gap.relative_b.item() >= true_gap
    assert 0 < found.relative_gradient_norm < 1
    assert found.reference is None  # steps of sgd promise no optimum to compare with


def test_a_certificate_tells_the_objective_with_its_penalties():
    objective = Objective(random_problem(Family.BINOMIAL, 2, d=3), l1=0.02, l2=0.01)
    theta_bkp = torch.tensor([[[0.5, -1.0, 0.0, 0.2]]], dtype=torch.float64)
    found, fitness = certify(objective, theta_bkp, None), objective.fitness(theta_bkp)
    assert found.objective == pytest.approx(float(fitness.loss_b + fitness.penalty_b), rel=1e-14)


def test_a_reference_says_how_far_newton_is_from_the_minimum():
    objective = Objective(random_problem(Family.BINOMIAL, 2, d=2), l2=0.01)
    solver = Newton(objective, zeros(objective))
    solver.step()
    found = certify(objective, solver.theta_bkp, solver)
    least = least_value(objective)
    assert found.reference is not None
    true_gap = (value(objective, solver.theta_bkp) - least) / least
    assert found.reference.relative_gap == pytest.approx(true_gap, rel=1e-6)


def test_few_rows_of_many_columns_are_no_cheap_hessian_to_factorise():
    for d, is_cheap in ((100, True), (600, False)):
        objective = Objective(random_problem(Family.BINOMIAL, 2, n=20, d=d), l2=0.1)
        newton = Newton(objective, zeros(objective))
        assert solve(newton)
        assert (certify(objective, newton.theta_bkp, newton).reference is not None) == is_cheap


def test_the_condition_number_is_that_of_the_hessian():
    objective = Objective(random_problem(Family.POISSON, 4))
    newton = Newton(objective, zeros(objective))
    assert solve(newton)
    spectrum_q = torch.linalg.eigvalsh(objective.hessian(newton.theta_bkp)[0])
    found = certify(objective, newton.theta_bkp, newton)
    assert found.condition_number == pytest.approx((spectrum_q[-1] / spectrum_q[0]).item(), rel=1e-6)
