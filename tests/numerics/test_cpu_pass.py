"""The compiled kernels against the formulas of the families, computed by autograd in float64."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gradline.training import Family, Objective, ProgressiveNewton, make_problem
from gradline.training.cpu.fused import MIN_ENTRIES, FusedPass
from gradline.training.cpu.kernel import NARROW, TILE_ROWS
from gradline.training.derivatives import Derivatives, Want
from gradline.training.fused import fused_pass_of
from gradline.training.problem import Problem
from tests.numerics.problems import drawn_rows

FAMILIES = [Family.BINOMIAL, Family.GAUSSIAN, Family.POISSON]
WIDE = NARROW + 1
SIZES = [(1, 1), (3, NARROW), (TILE_ROWS + 1, 7), (777, 33), (2, WIDE), (777, 130)]


def drawn(family: Family, n: int, d: int, dtype: torch.dtype = torch.float64, **options: bool) -> Problem:
    """Features that stand far from 0, with weights and an offset where asked for."""
    x_nd, target_n, stream = drawn_rows(family, n, d)
    weight_n = torch.rand(n, generator=stream) + 0.1 if options.get("is_weighted") else None
    offset_n = torch.randn(n, generator=stream) if options.get("has_offset") else None
    problem = make_problem(x_nd.to(dtype), target_n, family, weight_n=weight_n, offset_n=offset_n)
    if not options.get("implies_ones"):
        return problem
    return Problem(problem.x_np[:, :-1].contiguous(), *_rest(problem), implies_ones=True)


def _rest(problem: Problem) -> tuple[Tensor, Family, bool, Tensor | None, Tensor | None]:
    return problem.y_nk, problem.family, problem.has_intercept, problem.weight_nb, problem.offset_n1


def drawn_theta(problem: Problem) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(1, 1, problem.p, generator=stream, dtype=torch.float64) * 0.3 / problem.p**0.5


def mean_loss(problem: Problem, theta_p: Tensor) -> Tensor:
    """By the table of `family`."""
    x_np, y_n = problem.x_np.double(), problem.y_nk[:, 0].double()
    if problem.implies_ones:
        x_np = torch.cat((x_np, x_np.new_ones(len(x_np), 1)), 1)
    z_n = x_np @ theta_p
    if problem.offset_n1 is not None:
        z_n = z_n + problem.offset_n1[:, 0].double()
    loss_n = {
        Family.BINOMIAL: lambda: softplus(z_n * (1 - 2 * y_n), threshold=1000),
        Family.GAUSSIAN: lambda: (z_n - y_n).square() / 2,
        Family.POISSON: lambda: z_n.exp() - y_n * z_n + torch.xlogy(y_n, y_n) - y_n,
    }[problem.family]()
    return (problem.share_nb[:, 0].double() * loss_n).sum()


def given(
    problem: Problem, theta_bkp: Tensor, want: Want = Want.GRADIENT, *, follow_drift: bool = False
) -> Derivatives:
    found = FusedPass(problem).derivatives(theta_bkp, want, follow_drift=follow_drift)
    assert found is not None
    return found


def exact_hessian(problem: Problem, theta_bkp: Tensor) -> Tensor:
    return torch.autograd.functional.hessian(lambda theta_p: mean_loss(problem, theta_p), theta_bkp.flatten())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_the_formulas_to_the_last_digits(
    family: Family, n: int, d: int, dtype: torch.dtype
) -> None:
    problem = drawn(family, n, d, dtype)
    theta_bkp = drawn_theta(problem)
    found = given(problem, theta_bkp)
    theta_p = theta_bkp.flatten().requires_grad_()
    value = mean_loss(problem, theta_p)
    value.backward()
    torch.testing.assert_close(found.value_b[0], value.detach(), rtol=1e-13, atol=1e-14)
    scale = float(theta_p.grad.abs().max())
    torch.testing.assert_close(found.gradient_bkp.flatten(), theta_p.grad, rtol=1e-12, atol=1e-13 * scale)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [6, WIDE])
@pytest.mark.parametrize("has_offset", [False, True])
@pytest.mark.parametrize("implies_ones", [False, True])
def test_the_gradient_at_zero_comes_from_the_pass_at_other_parameters(
    family: Family, d: int, has_offset: bool, implies_ones: bool
) -> None:
    problem = drawn(family, 500, d, is_weighted=has_offset, has_offset=has_offset, implies_ones=implies_ones)
    theta_bkp = drawn_theta(problem)
    found, plain = given(problem, theta_bkp, Want.GRADIENT_AT_ZERO), given(problem, theta_bkp)
    assert torch.equal(found.gradient_bkp, plain.gradient_bkp)
    assert plain.gradient_at_zero_bkp is None
    gradient_p = torch.func.grad(lambda theta_p: mean_loss(problem, theta_p))(torch.zeros_like(theta_bkp.flatten()))
    torch.testing.assert_close(found.gradient_at_zero_bkp.flatten(), gradient_p, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [6, WIDE])
def test_weights_an_offset_and_an_implied_column_of_ones_count(family: Family, d: int) -> None:
    problem = drawn(family, 500, d, is_weighted=True, has_offset=True, implies_ones=True)
    theta_bkp = drawn_theta(problem)
    found = given(problem, theta_bkp)
    gradient_p = torch.func.grad(lambda theta_p: mean_loss(problem, theta_p))(theta_bkp.flatten())
    torch.testing.assert_close(found.gradient_bkp.flatten(), gradient_p, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(found.value_b[0], mean_loss(problem, theta_bkp.flatten()), rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("d", [*range(1, 9), NARROW - 1])
@pytest.mark.parametrize("implies_ones", [False, True])
def test_the_hessian_of_narrow_rows_is_that_of_the_formulas(family: Family, d: int, implies_ones: bool) -> None:
    problem = drawn(family, 600, d, is_weighted=True, implies_ones=implies_ones)
    theta_bkp = drawn_theta(problem)
    found = given(problem, theta_bkp, Want.HESSIAN).hessian_bqq
    assert found is not None
    torch.testing.assert_close(found[0], exact_hessian(problem, theta_bkp), rtol=1e-11, atol=1e-12)
    assert torch.equal(found[0], found[0].T)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("implies_ones", [False, True])
def test_products_with_the_hessian_of_wide_rows_are_those_of_the_formulas(family: Family, implies_ones: bool) -> None:
    problem = drawn(family, 203, WIDE, is_weighted=True, implies_ones=implies_ones)
    theta_bkp, direction_bkp = drawn_theta(problem), torch.randn(1, 1, problem.p, dtype=torch.float64)
    weights = given(problem, theta_bkp, Want.PRODUCTS).weights
    product_bkp = FusedPass(problem).curvature_product(weights, direction_bkp)
    assert product_bkp is not None
    expected = exact_hessian(problem, theta_bkp) @ direction_bkp.flatten()
    torch.testing.assert_close(product_bkp.flatten(), expected, rtol=1e-11, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("implies_ones", [False, True])
@pytest.mark.parametrize("n", [1, 6, 203])
def test_products_of_float32_features_are_added_up_in_float64(n: int, implies_ones: bool, dtype: torch.dtype) -> None:
    problem = drawn(Family.BINOMIAL, n, WIDE, dtype, implies_ones=implies_ones)
    fused, theta_bkp = FusedPass(problem), drawn_theta(problem)
    weight_1n1 = torch.rand(1, n, 1, dtype=torch.float64)
    ones_n1 = torch.ones(n, 1, dtype=torch.float64)
    x_np = torch.cat((problem.x_np.double(), ones_n1), 1) if implies_ones else problem.x_np.double()
    sum_p, square_p = fused.moments(weight_1n1)
    for found, expected in (
        (fused.predict(theta_bkp), (x_np @ theta_bkp.flatten()).view(1, n, 1)),
        (fused.collect(weight_1n1), (weight_1n1.flatten() @ x_np).view(1, 1, -1)),
        (sum_p, weight_1n1.flatten() @ x_np),
        (square_p, weight_1n1.flatten() @ x_np.square()),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13 * float(expected.abs().max()))


def test_the_drift_is_the_largest_change_of_a_predictor_since_the_hessian() -> None:
    problem = drawn(Family.BINOMIAL, 1000, 5)
    fused, theta_bkp = FusedPass(problem), drawn_theta(problem)
    first = fused.derivatives(theta_bkp, Want.HESSIAN, follow_drift=True)
    assert first is not None
    assert first.drift_b is None
    for size in (1.0, 2.0):
        step_bkp = torch.full_like(theta_bkp, size)
        later = fused.derivatives(theta_bkp + step_bkp, Want.GRADIENT, follow_drift=True)
        assert later is not None
        assert float(later.drift_b) == pytest.approx(float((problem.x_np @ step_bkp[0, 0]).abs().max()), rel=1e-12)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("want", Want)
def test_a_pass_tells_the_fitness_that_the_products_tell(is_weighted: bool, want: Want) -> None:
    problem = drawn(Family.BINOMIAL, 2000, 7, is_weighted=is_weighted, has_offset=True)
    theta_bkp, objective = drawn_theta(problem), Objective(problem, l1=0.1, l2=0.3)
    told = objective.derivatives(theta_bkp, want)
    known = objective.fitness_of(theta_bkp, told.value_b, told.right_b)
    assert known is not None
    for of_pass_b, of_products_b in zip(known, objective.fitness(theta_bkp), strict=True):
        torch.testing.assert_close(of_pass_b, of_products_b, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("z", [-800.0, -700.0, -40.0, -1e-9, 0.0, 1e-300, 0.5, 36.0, 700.0, 800.0])
@pytest.mark.parametrize("target", [0, 1])
def test_losses_of_any_size_are_true_to_the_last_digits(z: float, target: int) -> None:
    problem = make_problem(torch.tensor([[z]], dtype=torch.float64), torch.tensor([target]), Family.BINOMIAL)
    found = given(problem, torch.tensor([[[1.0, 0.0]]], dtype=torch.float64))
    wrong = z if target == 0 else -z
    assert float(found.value_b) == pytest.approx(max(wrong, 0.0) + math.log1p(math.exp(-abs(z))), rel=1e-15, abs=1e-307)


@pytest.mark.parametrize("z", [-800.0, -707.0, -1.0, 0.0, 1.0, 100.0, 709.0, 710.5])
def test_means_of_counts_go_from_0_to_infinity(z: float) -> None:
    problem = make_problem(torch.tensor([[z]], dtype=torch.float64), torch.tensor([0.0]), Family.POISSON)
    found = given(problem, torch.tensor([[[1.0, 0.0]]], dtype=torch.float64))
    exact = float(torch.tensor(z, dtype=torch.float64).exp())
    assert float(found.value_b) == pytest.approx(exact, rel=1e-15, abs=1e-307)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_made_finite(value: float) -> None:
    problem = drawn(Family.BINOMIAL, 300, 4)
    theta_bkp = drawn_theta(problem)
    theta_bkp[0, 0, 1] = value
    assert not bool(given(problem, theta_bkp).value_b.isfinite())


def test_the_same_rows_give_the_same_bits() -> None:
    problem = drawn(Family.BINOMIAL, 3000, 12)
    one, two = (given(problem, drawn_theta(problem), Want.HESSIAN) for _ in range(2))
    assert torch.equal(one.gradient_bkp, two.gradient_bkp)
    assert torch.equal(one.hessian_bqq, two.hessian_bqq)


def test_fits_of_many_rows_use_it_and_end_where_the_products_end(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = drawn(Family.BINOMIAL, 30_000, 6, torch.float32)
    assert fused_pass_of(problem, 1) is not None
    fast = fitted(problem)
    monkeypatch.setattr("gradline.training.loss.fused_pass_of", lambda *_: None)
    torch.testing.assert_close(fast, fitted(problem), rtol=1e-4, atol=1e-5)


def fitted(problem: Problem) -> Tensor:
    start_bkp = torch.zeros(1, 1, problem.p, dtype=torch.float64)
    solver = ProgressiveNewton(Objective(problem, l2=1e-4), start_bkp, n_rows=5_000)
    while not solver.is_converged(1e-8):
        solver.step()
        assert solver.ending is None
    return solver.theta_bkp


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_problems_that_it_does_not_suit_are_left_to_the_products() -> None:
    n = MIN_ENTRIES
    x_nd, class_n = torch.randn(n, 2), torch.arange(n) % 3
    assert fused_pass_of(make_problem(x_nd, class_n, Family.MULTINOMIAL, n_classes=3), 1) is None
    plain = make_problem(x_nd, class_n.double(), Family.GAUSSIAN)
    assert fused_pass_of(plain, 1) is not None
    assert fused_pass_of(plain, 2) is None, "members share a matrix product"
    assert fused_pass_of(make_problem(x_nd.to_sparse_csr(), class_n.double(), Family.GAUSSIAN), 1) is None
    few = make_problem(x_nd[:100], class_n[:100].double(), Family.GAUSSIAN)
    assert fused_pass_of(few, 1) is None, "nothing to gain"
