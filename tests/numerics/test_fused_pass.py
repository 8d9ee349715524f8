"""The fused kernel against torch's products, on a CUDA device or in Triton's interpreter.

Without a device: TRITON_INTERPRET=1 pytest tests/numerics/test_fused_pass.py, where the package triton is installed.
"""

import os
from importlib.util import find_spec

import pytest
import torch

from gradline.training import Family, Objective, make_problem
from gradline.training.cuda.fused import FusedPass, fused_pass_of
from gradline.training.derivatives import Want
from gradline.training.problem import Problem
from tests.numerics.problems import drawn_rows

FAMILIES = [Family.BINOMIAL, Family.GAUSSIAN, Family.POISSON]


@pytest.fixture
def device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get("TRITON_INTERPRET") == "1" and find_spec("triton") is not None:
        return "cpu"
    pytest.skip("no CUDA device, and no Triton interpreter (TRITON_INTERPRET=1 and the package triton)")


def drawn(family: Family, n: int, d: int, device: str, **options: bool) -> Problem:
    """Features in float32 that stand far from 0, with weights and an offset where asked for."""
    x_nd, target_n, stream = drawn_rows(family, n, d)
    weight_n = torch.rand(n, generator=stream) * options.get("is_weighted", False)
    offset_n = torch.randn(n, generator=stream)
    return make_problem(
        x_nd.to(device),
        target_n.to(device),
        family,
        weight_n=weight_n.to(device) if options.get("is_weighted") else None,
        offset_n=offset_n.to(device) if options.get("has_offset") else None,
        implies_ones=options.get("implies_ones", False),
    )


def drawn_theta(problem: Problem, seed: int = 0) -> torch.Tensor:
    theta_bkp = torch.randn(1, 1, problem.p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (theta_bkp * 0.3 / problem.p**0.5).to(problem.y_nk.device)


def given_by(fused: FusedPass, theta_bkp: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found = fused.derivatives(theta_bkp, Want.GRADIENT, follow_drift=False)
    assert found is not None
    return found.value_b, found.gradient_bkp


def assert_agrees(problem: Problem, theta_bkp: torch.Tensor) -> None:
    value_b, gradient_bkp = given_by(FusedPass(problem, 7), theta_bkp)
    exact = Objective(problem.to(torch.float64)).derivatives(theta_bkp)
    torch.testing.assert_close(value_b, exact.value_b, rtol=1e-6, atol=0.0)
    scale = float(exact.gradient_bkp.abs().max())
    torch.testing.assert_close(gradient_bkp, exact.gradient_bkp, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1000, 20), (777, 33)])
def test_value_and_gradient_are_those_of_the_products(family: Family, n: int, d: int, device: str) -> None:
    problem = drawn(family, n, d, device)
    assert_agrees(problem, drawn_theta(problem))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_an_offset_and_an_implied_column_of_ones_count(family: Family, device: str) -> None:
    problem = drawn(family, 500, 9, device, is_weighted=True, has_offset=True, implies_ones=True)
    assert_agrees(problem, drawn_theta(problem))


def test_rows_that_are_told_apart_with_certainty_keep_their_small_losses(device: str) -> None:
    x_nd = torch.tensor([[-50.0], [50.0], [-30.0], [90.0]], device=device)
    problem = make_problem(x_nd, torch.tensor([0, 1, 0, 1], device=device), Family.BINOMIAL)
    theta_bkp = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64, device=device)
    value_b, gradient_bkp = given_by(FusedPass(problem, 2), theta_bkp)
    exact = torch.nn.functional.softplus(-x_nd.double().abs()).mean()
    assert float(value_b) == pytest.approx(float(exact), rel=1e-12)
    assert float(gradient_bkp.abs().max()) > 0


def test_the_same_rows_give_the_same_bits(device: str) -> None:
    problem = drawn(Family.BINOMIAL, 3000, 12, device)
    theta_bkp = drawn_theta(problem)
    one, two = (given_by(FusedPass(problem, 5), theta_bkp) for _ in range(2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])


def test_an_objective_takes_it_for_what_a_step_asks_of_all_rows(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = drawn(Family.BINOMIAL, 400, 6, device)
    theta_bkp, plain = drawn_theta(problem), Objective(problem.to(torch.float64), l2=0.3)
    expected = plain.derivatives(theta_bkp)
    passes = []
    monkeypatch.setattr("gradline.training.loss.fused_pass_of", lambda of, _: passes.append(1) or FusedPass(of, 3))
    found = Objective(problem, l2=0.3).derivatives(theta_bkp)
    assert passes
    torch.testing.assert_close(found.gradient_bkp, expected.gradient_bkp, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.value_b, expected.value_b, rtol=1e-6, atol=0.0)


def test_problems_that_it_does_not_suit_are_left_to_the_products() -> None:
    x_nd, target_n = torch.randn(10, 2), torch.arange(10) % 3
    multinomial = make_problem(x_nd, target_n, Family.MULTINOMIAL, n_classes=3)
    assert fused_pass_of(multinomial) is None
    assert fused_pass_of(make_problem(x_nd, target_n.double(), Family.GAUSSIAN)) is None, "not on a CUDA device"
