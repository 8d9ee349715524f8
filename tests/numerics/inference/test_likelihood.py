"""The likelihood's derivatives against autograd, and against what training minimises."""

import warnings
from typing import Any

import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from gradline.inference.likelihood import Likelihood
from gradline.inference.parameters import all_parameters, free_parameters
from gradline.inference.penalised import FirthLikelihood, RidgeLikelihood, ridge_matrix
from gradline.training import Family, Objective, Problem, make_problem

FAMILIES = list(Family)
PENALISED = [Family.BINOMIAL, Family.MULTINOMIAL, Family.POISSON]


def some_problem(family: Family, *, has_intercept: bool = True, n: int = 60) -> Problem:
    draw = torch.Generator().manual_seed(4)
    x_nd = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    target_n: Any = torch.randint(3 if family == Family.MULTINOMIAL else 2, (n,), generator=draw)
    more: dict[str, Any] = {"weight_n": torch.rand(n, generator=draw, dtype=torch.float64) * 3}
    if family != Family.MULTINOMIAL:
        more["offset_n"] = torch.randn(n, generator=draw, dtype=torch.float64)
    if not family.is_classification:
        target_n = target_n.double() * 3
    n_classes = 3 if family == Family.MULTINOMIAL else 2
    return make_problem(x_nd, target_n, family, n_classes, has_intercept=has_intercept, **more)


def some_theta(likelihood: Likelihood, n_members: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    return torch.randn(n_members, likelihood.q, generator=draw, dtype=torch.float64) / 2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_members", [1, 12])
def test_gradient_and_information_are_the_derivatives_of_the_value(family, n_members):
    likelihood = Likelihood(some_problem(family))
    theta_bq = some_theta(likelihood, n_members)
    told = likelihood.evaluate(theta_bq)
    for b in range(n_members):
        value = lambda theta_q: likelihood.value(theta_q.unsqueeze(0))[0]  # noqa: E731
        torch.testing.assert_close(told.gradient_bq[b], jacobian(value, theta_bq[b]))
        torch.testing.assert_close(told.information_bqq[b], hessian(value, theta_bq[b]))
    torch.testing.assert_close(told.value_b, likelihood.value(theta_bq))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_value_is_the_whole_weight_times_the_loss_that_training_minimises(family):
    problem = some_problem(family)
    likelihood = Likelihood(problem)
    theta_bq = some_theta(likelihood, 2)
    objective = Objective(problem, n_members=2)
    value_b = objective.smooth_value(all_parameters(problem, theta_bq))
    torch.testing.assert_close(likelihood.value(theta_bq), value_b * likelihood.n_weighed)


def test_blocks_of_rows_add_up_to_the_whole(monkeypatch):
    likelihood = Likelihood(some_problem(Family.MULTINOMIAL, n=500))
    theta_bq = some_theta(likelihood, 3)
    whole = likelihood.evaluate(theta_bq)
    monkeypatch.setattr("gradline.inference.rows._BLOCK_NUMBERS", 1)
    for ours, theirs in zip(likelihood.evaluate(theta_bq), whole, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("how", ["implied ones", "sparse"])
def test_rows_kept_otherwise_say_the_same(how):
    draw = torch.Generator().manual_seed(4)
    x_nd = torch.randn(80, 3, generator=draw, dtype=torch.float64) * (torch.rand(80, 3, generator=draw) > 0.5)
    target_n = torch.randint(3, (80,), generator=draw)
    plain = Likelihood(make_problem(x_nd, target_n, Family.MULTINOMIAL, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls its sparse rows a beta
        kept_nd = x_nd.to_sparse_csr() if how == "sparse" else x_nd
    other = Likelihood(make_problem(kept_nd, target_n, Family.MULTINOMIAL, 3, implies_ones=True))
    theta_bq = some_theta(plain, 2)
    for ours, theirs in zip(other.evaluate(theta_bq), plain.evaluate(theta_bq), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_free_parameters_of_classes_come_back_adding_up_to_zero():
    problem = some_problem(Family.MULTINOMIAL)
    theta_q = some_theta(Likelihood(problem), 1)
    theta_bkp = all_parameters(problem, theta_q)
    torch.testing.assert_close(theta_bkp.sum(1), torch.zeros(1, 4, dtype=torch.float64))
    torch.testing.assert_close(free_parameters(problem, theta_bkp[0]), theta_q[0])


@pytest.mark.parametrize("family", PENALISED)
def test_firths_gradient_is_the_derivative_of_the_penalised_value(family):
    likelihood = Likelihood(some_problem(family))
    theta_q = some_theta(likelihood, 1)[0]

    def value(theta_q: torch.Tensor) -> torch.Tensor:
        plain = lambda t_q: likelihood.value(t_q.unsqueeze(0))[0]  # noqa: E731
        return plain(theta_q) - torch.logdet(hessian(plain, theta_q, create_graph=True)) / 2

    told = FirthLikelihood(likelihood).evaluate(theta_q.unsqueeze(0))
    torch.testing.assert_close(told.value_b[0], value(theta_q))
    torch.testing.assert_close(told.gradient_bq[0], jacobian(value, theta_q))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("has_intercept", [True, False])
def test_ridge_is_the_penalty_of_training(family, has_intercept):
    problem = some_problem(family, has_intercept=has_intercept)
    likelihood = Likelihood(problem)
    theta_bq = some_theta(likelihood, 1)
    told = RidgeLikelihood(likelihood, 0.7).evaluate(theta_bq)
    value_b = Objective(problem, l2=0.7).smooth_value(all_parameters(problem, theta_bq))
    torch.testing.assert_close(told.value_b, value_b * likelihood.n_weighed)

    def value(theta_q: torch.Tensor) -> torch.Tensor:
        ridge = theta_q @ ridge_matrix(problem) @ theta_q
        return likelihood.value(theta_q.unsqueeze(0))[0] + likelihood.n_weighed * 0.35 * ridge

    torch.testing.assert_close(told.gradient_bq[0], jacobian(value, theta_bq[0]))
