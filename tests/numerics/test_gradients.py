"""Closed forms against torch's autograd, and several members against one at a time."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gradline.training import Family, Objective, Problem, make_problem

N, D = 23, 4


FAMILIES = [
    (Family.BINOMIAL, 2),
    (Family.MULTINOMIAL, 2),
    (Family.MULTINOMIAL, 5),
    (Family.GAUSSIAN, 0),
    (Family.POISSON, 0),
]


def problem_of(family: Family, n_classes: int = 2, *, has_intercept: bool = True, weighted: bool = False) -> Problem:
    """With an offset where the family takes one."""
    generator = torch.Generator().manual_seed(n_classes)
    x_nd = torch.randn(N, D, dtype=torch.float64, generator=generator)
    target_n = torch.arange(N) % n_classes if family.is_classification else torch.arange(N) % 7
    offset_n = torch.randn(N, dtype=torch.float64, generator=generator)
    return make_problem(
        x_nd,
        target_n,
        family,
        n_classes,
        has_intercept=has_intercept,
        weight_n=torch.rand(N, dtype=torch.float64, generator=generator) + 0.1 if weighted else None,
        offset_n=None if family == Family.MULTINOMIAL else offset_n,
    )


def parameters(problem: Problem, n_members: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n_members, problem.k, problem.x_np.shape[1], dtype=torch.float64, generator=generator)


def reference(problem: Problem, theta_kp: Tensor, l2: float) -> Tensor:
    """Torch's own losses and autograd's way through them."""
    z_nk = problem.x_np @ theta_kp.T
    if problem.offset_n1 is not None:
        z_nk = z_nk + problem.offset_n1
    weight_n = torch.ones(problem.n, dtype=torch.float64) if problem.weight_nb is None else problem.weight_nb[:, 0]
    loss_n = LOSSES[problem.family](z_nk, problem)
    return (weight_n * loss_n).sum() / weight_n.sum() + l2 / 2 * theta_kp[:, : problem.d].square().sum()


def poisson_loss(z_nk: Tensor, problem: Problem) -> Tensor:
    """Half the unit deviance: torch's loss apart from what does not depend on z."""
    y_n = problem.y_nk[:, 0]
    return functional.poisson_nll_loss(z_nk[:, 0], y_n, reduction="none") + torch.xlogy(y_n, y_n) - y_n


LOSSES = {
    Family.BINOMIAL: lambda z_nk, problem: functional.binary_cross_entropy_with_logits(
        z_nk, problem.y_nk, reduction="none"
    )[:, 0],
    Family.MULTINOMIAL: lambda z_nk, problem: functional.cross_entropy(z_nk, problem.class_n, reduction="none"),
    Family.GAUSSIAN: lambda z_nk, problem: functional.mse_loss(z_nk, problem.y_nk, reduction="none")[:, 0] / 2,
    Family.POISSON: poisson_loss,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("has_intercept", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize(("family", "n_classes"), FAMILIES)
def test_value_gradient_and_hessian_are_those_of_autograd(family, n_classes, l2, has_intercept, weighted):
    problem = problem_of(family, n_classes, has_intercept=has_intercept, weighted=weighted)
    theta_bkp = parameters(problem)
    leaf_kp = theta_bkp[0].clone().requires_grad_()
    expected = reference(problem, leaf_kp, l2)
    expected.backward()
    with torch.no_grad():
        value_b, gradient_bkp = Objective(problem, l2=l2).smooth_value_and_gradient(theta_bkp)
        hessian_bqq = Objective(problem, l2=l2).hessian(theta_bkp)
    torch.testing.assert_close(value_b[0], expected.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient_bkp[0], leaf_kp.grad, rtol=1e-12, atol=1e-14)
    q = leaf_kp.numel()
    expected_qq = torch.autograd.functional.hessian(lambda theta_kp: reference(problem, theta_kp, l2), theta_bkp[0])
    torch.testing.assert_close(hessian_bqq[0], expected_qq.view(q, q), rtol=1e-11, atol=1e-13)


def test_the_loss_is_exact_where_probabilities_round_to_0_and_1():
    x_nd = torch.tensor([[800.0], [-800.0]], dtype=torch.float64)
    objective = Objective(make_problem(x_nd, torch.tensor([0, 1]), Family.BINOMIAL, has_intercept=False))
    value_b, gradient_bkp = objective.smooth_value_and_gradient(torch.ones(1, 1, 1, dtype=torch.float64))
    assert value_b.item() == 800.0
    assert gradient_bkp.item() == 800.0


@pytest.mark.parametrize("own_weights", [False, True])
@pytest.mark.parametrize(("family", "n_classes"), FAMILIES)
def test_members_are_computed_as_if_each_were_alone(family, n_classes, own_weights):
    problem = problem_of(family, n_classes, weighted=True)
    if own_weights:
        generator = torch.Generator().manual_seed(8)
        problem = replace(problem, weight_nb=torch.rand(N, 3, dtype=torch.float64, generator=generator))
    theta_bkp = parameters(problem, n_members=3)
    l1_b, l2_b = torch.tensor([0.0, 0.2, 0.1]), torch.tensor([0.5, 0.0, 0.1])
    together = Objective(problem, l1_b, l2_b, n_members=3)
    value_b, gradient_bkp = together.smooth_value_and_gradient(theta_bkp)
    gradient_bkp = gradient_bkp.clone()
    fitness, hessian_bqq = together.fitness(theta_bkp), together.hessian(theta_bkp)
    shrunk_bkp = theta_bkp.clone()
    together.shrink(shrunk_bkp, 0.7)
    for b in range(3):
        own_1kp = theta_bkp[b : b + 1].contiguous()
        own_weight_nb = problem.weight_nb[:, b : b + 1] if own_weights else problem.weight_nb
        alone = Objective(replace(problem, weight_nb=own_weight_nb), l1_b[b].item(), l2_b[b].item())
        value, gradient_1kp = alone.smooth_value_and_gradient(own_1kp)
        torch.testing.assert_close(value_b[b : b + 1], value)
        torch.testing.assert_close(gradient_bkp[b : b + 1], gradient_1kp.clone())
        for of_all, of_one in zip(fitness, alone.fitness(own_1kp), strict=True):
            assert (
                (of_all is None) == (of_one is None) == (of_all is fitness.accuracy_b and not family.is_classification)
            )
            if of_all is not None:
                torch.testing.assert_close(of_all[b : b + 1], of_one)
        torch.testing.assert_close(hessian_bqq[b : b + 1], alone.hessian(own_1kp))
        torch.testing.assert_close(together.stationarity(theta_bkp)[b : b + 1], alone.stationarity(own_1kp))
        alone.shrink(own_1kp, 0.7)
        torch.testing.assert_close(shrunk_bkp[b : b + 1], own_1kp)


def test_soft_thresholding_leaves_the_intercept_alone():
    problem = problem_of(Family.BINOMIAL)
    theta_bkp = torch.tensor([[[0.5, -0.5, 0.05, -0.05, 0.01]]], dtype=torch.float64)
    Objective(problem, l1=0.1).shrink(theta_bkp, 1.0)
    torch.testing.assert_close(theta_bkp, torch.tensor([[[0.4, -0.4, 0.0, 0.0, 0.01]]], dtype=torch.float64))


@pytest.mark.parametrize(("family", "n_classes"), FAMILIES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("has_offset", [False, True])
def test_what_is_said_of_parameters_of_zero_is_what_a_pass_there_says(
    family: Family, n_classes: int, weighted: bool, has_offset: bool, monkeypatch: pytest.MonkeyPatch
):
    problem = problem_of(family, n_classes, weighted=weighted)
    problem = problem if has_offset else replace(problem, offset_n1=None)
    for n_chunks in (1, 4):
        if n_chunks > 1:
            monkeypatch.setattr("gradline.training.problem.CHUNK_BYTES", 7 * problem.p * 8)
        assert len(problem.chunks()) == n_chunks
        objective = Objective(problem, l1=0.02, l2=0.3)
        zero_bkp = torch.zeros(1, problem.k, problem.p, dtype=torch.float64)
        for told, of_pass in zip(objective.fitness_at_zero(), objective.fitness(zero_bkp), strict=True):
            if told is not None or of_pass is not None:
                torch.testing.assert_close(told, of_pass)
        value_b, norm_b, first_b = objective.value_and_stationarities(parameters(problem))
        torch.testing.assert_close(norm_b, objective.stationarity(parameters(problem)))
        torch.testing.assert_close(first_b, objective.stationarity(zero_bkp))
        of_theta = objective.fitness(parameters(problem))
        torch.testing.assert_close(value_b, of_theta.loss_b + of_theta.penalty_b)
