"""Closed forms against torch's autograd, and several members against one at a time."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gradline.training import Objective, Problem, make_problem

N, D = 23, 4


def problem_of(n_classes: int, *, is_binomial: bool, has_intercept: bool = True, weighted: bool = False) -> Problem:
    generator = torch.Generator().manual_seed(n_classes)
    x_nd = torch.randn(N, D, dtype=torch.float64, generator=generator) * 3
    class_n = torch.arange(N) % n_classes
    weight_n = torch.rand(N, dtype=torch.float64, generator=generator) + 0.1 if weighted else None
    return make_problem(
        x_nd, class_n, n_classes, is_binomial=is_binomial, has_intercept=has_intercept, weight_n=weight_n
    )


def parameters(problem: Problem, n_members: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n_members, problem.k, problem.x_np.shape[1], dtype=torch.float64, generator=generator)


def reference(problem: Problem, theta_kp: Tensor, l2: float) -> Tensor:
    """Torch's own losses and autograd's way through them."""
    z_nk = problem.x_np @ theta_kp.T
    if problem.k == 1:
        loss_n = functional.binary_cross_entropy_with_logits(z_nk, problem.y_nk, reduction="none")[:, 0]
    else:
        loss_n = functional.cross_entropy(z_nk, problem.class_n, reduction="none")
    weight_n = torch.ones(problem.n, dtype=torch.float64) if problem.weight_n is None else problem.weight_n
    return (weight_n * loss_n).sum() / weight_n.sum() + l2 / 2 * theta_kp[:, : problem.d].square().sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("has_intercept", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize(("n_classes", "is_binomial"), [(2, True), (2, False), (5, False)])
def test_value_and_gradient_are_those_of_autograd(n_classes, is_binomial, l2, has_intercept, weighted):
    problem = problem_of(n_classes, is_binomial=is_binomial, has_intercept=has_intercept, weighted=weighted)
    theta_bkp = parameters(problem)
    leaf_kp = theta_bkp[0].clone().requires_grad_()
    expected = reference(problem, leaf_kp, l2)
    expected.backward()
    with torch.no_grad():
        value_b, gradient_bkp = Objective(problem, l2=l2).smooth_value_and_gradient(theta_bkp)
    torch.testing.assert_close(value_b[0], expected.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient_bkp[0], leaf_kp.grad, rtol=1e-12, atol=1e-14)


def test_the_loss_is_exact_where_probabilities_round_to_0_and_1():
    x_nd = torch.tensor([[800.0], [-800.0]], dtype=torch.float64)
    objective = Objective(make_problem(x_nd, torch.tensor([0, 1]), 2, is_binomial=True, has_intercept=False))
    value_b, gradient_bkp = objective.smooth_value_and_gradient(torch.ones(1, 1, 1, dtype=torch.float64))
    assert value_b.item() == 800.0
    assert gradient_bkp.item() == 800.0


@pytest.mark.parametrize(("n_classes", "is_binomial"), [(2, True), (4, False)])
def test_members_are_computed_as_if_each_were_alone(n_classes, is_binomial):
    problem = problem_of(n_classes, is_binomial=is_binomial, weighted=True)
    theta_bkp = parameters(problem, n_members=3)
    l1_b, l2_b = torch.tensor([0.0, 0.2, 0.1]), torch.tensor([0.5, 0.0, 0.1])
    together = Objective(problem, l1_b, l2_b, n_members=3)
    value_b, gradient_bkp = together.smooth_value_and_gradient(theta_bkp)
    gradient_bkp = gradient_bkp.clone()
    fitness = together.fitness(theta_bkp)
    shrunk_bkp = theta_bkp.clone()
    together.shrink(shrunk_bkp, 0.7)
    for b in range(3):
        own_1kp = theta_bkp[b : b + 1].contiguous()
        alone = Objective(problem, l1_b[b].item(), l2_b[b].item())
        value, gradient_1kp = alone.smooth_value_and_gradient(own_1kp)
        torch.testing.assert_close(value_b[b : b + 1], value)
        torch.testing.assert_close(gradient_bkp[b : b + 1], gradient_1kp.clone())
        for of_all, of_one in zip(fitness, alone.fitness(own_1kp), strict=True):
            torch.testing.assert_close(of_all[b : b + 1], of_one)
        torch.testing.assert_close(together.stationarity(theta_bkp)[b : b + 1], alone.stationarity(own_1kp))
        alone.shrink(own_1kp, 0.7)
        torch.testing.assert_close(shrunk_bkp[b : b + 1], own_1kp)


def test_soft_thresholding_leaves_the_intercept_alone():
    problem = problem_of(2, is_binomial=True)
    theta_bkp = torch.tensor([[[0.5, -0.5, 0.05, -0.05, 0.01]]], dtype=torch.float64)
    Objective(problem, l1=0.1).shrink(theta_bkp, 1.0)
    torch.testing.assert_close(theta_bkp, torch.tensor([[[0.4, -0.4, 0.0, 0.0, 0.01]]], dtype=torch.float64))
