"""The penalised quadratic of proximal Newton's step: its minimum, also where columns are collinear."""

import pytest
import torch
from torch import Tensor

from gradline.training.solvers import lasso as solver
from gradline.training.solvers.lasso import Lasso, minimise_lasso

N_MEMBERS = 4


def collinear(seed: int) -> Lasso:
    """Of rows with a column of ones, which is not penalised, one for each of three levels, and two of numbers."""
    draw = torch.Generator().manual_seed(seed)
    level_n = torch.randint(0, 3, (30,), generator=draw)
    number_n2 = torch.randn(30, 2, generator=draw, dtype=torch.float64) * torch.tensor([1.0, 30.0])
    x_nq = torch.cat((torch.nn.functional.one_hot(level_n).double(), number_n2, torch.ones(30, 1)), 1)
    weight_bn = torch.rand(N_MEMBERS, 30, generator=draw, dtype=torch.float64)
    y_bn = torch.randn(N_MEMBERS, 30, generator=draw, dtype=torch.float64)
    l1_b1 = torch.logspace(-5, -1, N_MEMBERS, dtype=torch.float64).unsqueeze(1)
    weighted_bqn = x_nq.T * weight_bn.unsqueeze(1) / 30
    r_bq = -(weighted_bqn @ y_bn.unsqueeze(2)).squeeze(2)
    return Lasso(weighted_bqn @ x_nq, r_bq, l1_b1 * torch.tensor([1.0, 1, 1, 1, 1, 0]))


def subgradient(lasso: Lasso, v_bq: Tensor) -> float:
    """The largest entry of the smallest one, each on the scale of its column."""
    dual_bq = lasso.dual(v_bq)
    at_zero_bq = (dual_bq.abs() - lasso.l1_bq).clamp(min=0.0)
    least_bq = torch.where(v_bq == 0, at_zero_bq, (dual_bq - lasso.l1_bq * v_bq.sign()).abs())
    return float((least_bq / lasso.hessian_bqq.diagonal(dim1=1, dim2=2).sqrt()).max())


@pytest.mark.parametrize("seed", range(10))
def test_collinear_columns_take_few_looks_and_the_minimum_is_found_to_the_last_digits(seed, monkeypatch):
    n_looks, dual = 0, Lasso.dual

    def counted(lasso: Lasso, v_bq: Tensor) -> Tensor:
        nonlocal n_looks
        n_looks += 1
        return dual(lasso, v_bq)

    monkeypatch.setattr(Lasso, "dual", counted)
    lasso = collinear(seed)
    v_bq = minimise_lasso(lasso, torch.zeros_like(lasso.r_bq))
    assert n_looks < 150
    assert subgradient(lasso, v_bq) < 1e-12


def within(lasso: Lasso, seed: int) -> Lasso:
    """With bounds on either side, on both, at 0 and away from it; one parameter is held at a number."""
    draw = torch.Generator().manual_seed(seed)
    low_bq = torch.randn(lasso.r_bq.shape, generator=draw, dtype=torch.float64) / 4
    high_bq = low_bq + torch.rand(lasso.r_bq.shape, generator=draw, dtype=torch.float64) / 2
    low_bq[:, 0], low_bq[:, 1], high_bq[:, 2] = 0.0, -torch.inf, torch.inf
    high_bq[:, 0] = high_bq[:, 0].abs()
    high_bq[:, 3] = low_bq[:, 3]
    low_bq[:, -1], high_bq[:, -1] = -torch.inf, torch.inf
    return lasso._replace(box_bq=(low_bq, high_bq))


def way_down(lasso: Lasso, v_bq: Tensor) -> float:
    """The steepest way down that the bounds leave along any parameter, each on the scale of its column."""
    assert lasso.box_bq is not None
    (low_bq, high_bq), dual_bq = lasso.box_bq, lasso.dual(v_bq)
    rises_bq = (dual_bq - torch.where(v_bq >= 0, lasso.l1_bq, -lasso.l1_bq)) * (v_bq < high_bq - 1e-12)
    falls_bq = (-dual_bq + torch.where(v_bq > 0, lasso.l1_bq, -lasso.l1_bq)) * (v_bq > low_bq + 1e-12)
    steepest_bq = torch.maximum(rises_bq, falls_bq).clamp(min=0.0)
    return float((steepest_bq / lasso.hessian_bqq.diagonal(dim1=1, dim2=2).sqrt()).max())


@pytest.mark.parametrize("is_penalised", [True, False])
@pytest.mark.parametrize("start", [0.0, 7.0])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("guesses", [15, 0], ids=["guessed", "walked"])
def test_within_bounds_the_minimum_is_found_too(seed, start, is_penalised, guesses, monkeypatch):
    monkeypatch.setattr(solver, "MAX_GUESSES", guesses)
    monkeypatch.setattr(solver, "N_GRADIENT_STEPS", 3)
    monkeypatch.setattr(solver, "GRADIENT_STEPS_PER_PARAMETER", 0)
    lasso = within(collinear(seed), seed)
    lasso = lasso if is_penalised else lasso._replace(l1_bq=torch.zeros_like(lasso.l1_bq))
    assert lasso.box_bq is not None
    v_bq = minimise_lasso(lasso, torch.full_like(lasso.r_bq, start).clamp(*lasso.box_bq))
    assert bool(((v_bq >= lasso.box_bq[0] - 1e-14) & (v_bq <= lasso.box_bq[1] + 1e-14)).all())
    assert way_down(lasso, v_bq.clamp(*lasso.box_bq)) < 1e-12
