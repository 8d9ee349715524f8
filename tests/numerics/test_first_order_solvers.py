"""sgd and adam step for step against torch.optim."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from gradline.training import Adam, Batches, Family, Objective, Problem, Sgd, make_problem

N_STEPS = 40


def problem_of(n_classes: int) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x_nd = torch.randn(50, 3, dtype=torch.float64, generator=generator)
    family = Family.BINOMIAL if n_classes == 2 else Family.MULTINOMIAL
    return make_problem(x_nd, torch.arange(50) % n_classes, family, n_classes)


def torch_path(
    problem: Problem, make: Callable[[list[Tensor]], torch.optim.Optimizer], batches: Batches | None, l2: float
) -> Tensor:
    leaf_kp = torch.full((problem.k, 4), 0.3, dtype=torch.float64).requires_grad_()
    optimizer = make([leaf_kp])
    for step in range(N_STEPS):
        rows = problem if batches is None else batches.at(step)
        z_nk = rows.x_np @ leaf_kp.T
        loss = (
            functional.binary_cross_entropy_with_logits(z_nk, rows.y_nk)
            if problem.k == 1
            else functional.cross_entropy(z_nk, rows.class_n)
        )
        optimizer.zero_grad()
        (loss + l2 / 2 * leaf_kp[:, :3].square().sum()).backward()
        optimizer.step()
    return leaf_kp.detach()


CASES = [
    (Sgd, torch.optim.SGD, {"learning_rate": 0.1}, {"lr": 0.1}),
    (Sgd, torch.optim.SGD, {"learning_rate": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9}),
    (
        Sgd,
        torch.optim.SGD,
        {"learning_rate": 0.1, "momentum": 0.7, "nesterov": True},
        {"lr": 0.1, "momentum": 0.7, "nesterov": True},
    ),
    (Adam, torch.optim.Adam, {"learning_rate": 0.05}, {"lr": 0.05}),
    (
        Adam,
        torch.optim.Adam,
        {"learning_rate": 0.05, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
        {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3},
    ),
]


@pytest.mark.parametrize("l2", [0.0, 0.2])
@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("ours", "theirs", "own_options", "torch_options"), CASES)
def test_the_path_is_that_of_torch_optim(ours, theirs, own_options, torch_options, n_classes, batch_size, l2):
    problem = problem_of(n_classes)
    batches = None if batch_size is None else Batches(problem, batch_size, seed=1)
    expected_kp = torch_path(problem, lambda leaves: theirs(leaves, **torch_options), batches, l2)
    with torch.inference_mode():
        theta_bkp = torch.full((1, problem.k, 4), 0.3, dtype=torch.float64)
        solver = ours(Objective(problem, l2=l2), theta_bkp, batches=batches, **own_options)
        for _ in range(N_STEPS):
            solver.step()
    torch.testing.assert_close(theta_bkp[0].clone(), expected_kp, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("ours", [Sgd, Adam])
def test_an_l1_penalty_ends_where_its_subgradient_vanishes(ours):
    problem = problem_of(2)
    objective = Objective(problem, l1=0.1, l2=0.01)
    theta_bkp = torch.full((1, 1, 4), 0.3, dtype=torch.float64)
    solver = ours(objective, theta_bkp, learning_rate=0.5 if ours is Sgd else 0.01)
    for _ in range(3000):
        solver.step()
    assert objective.stationarity(theta_bkp).item() < 1e-8
    assert 0 < (theta_bkp[..., :3] == 0).sum() <= 3


def test_an_epoch_of_batches_holds_every_row_once_in_an_order_of_its_own():
    problem = make_problem(torch.arange(10.0).unsqueeze(1), torch.arange(10) % 2, Family.BINOMIAL)
    batches = Batches(problem, 4, seed=3)
    assert batches.n_per_epoch == 3
    epochs = [torch.cat([batches.at(3 * e + i).x_np[:, 0] for i in range(3)]) for e in range(2)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(10))
    assert epochs[0].tolist() != epochs[1].tolist()
    assert torch.equal(Batches(problem, 4, seed=3).at(5).x_np, batches.at(5).x_np), "no history is needed"
    assert not torch.equal(Batches(problem, 4, seed=4).at(5).x_np, batches.at(5).x_np)
