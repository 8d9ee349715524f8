"""What must not change a fit, on random tables."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradline.training import Family, Fit, Lbfgs, Objective, Outcome, Problem, StopRules, make_problem, zero_parameters

SEEDS = st.integers(0, 2**32)
SIZES = st.tuples(st.integers(6, 60), st.integers(1, 5), st.integers(2, 4))


def random_table(seed: int, size: tuple[int, int, int]) -> tuple[Tensor, Tensor, int]:
    n, d, n_classes = size
    generator = torch.Generator().manual_seed(seed)
    x_nd = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return x_nd, torch.arange(n) % n_classes, n_classes


def minimum(problem: Problem, l2: float = 0.1) -> Tensor:
    objective = Objective(problem, l2=l2)
    theta_bkp = zero_parameters(problem.d, problem.k, has_intercept=True, dtype=torch.float64)
    fit = Fit(objective, Lbfgs(objective, theta_bkp), StopRules(2000, tolerance=1e-9), 2000)
    for _ in fit:
        pass
    assert fit.outcome == Outcome.CONVERGED
    return fit.theta_bkp[0]


def close(one: Tensor, other: Tensor) -> None:
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


@given(SEEDS, SIZES)
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_does_not_matter(seed, size):
    x_nd, class_n, n_classes = random_table(seed, size)
    order_n = torch.randperm(len(x_nd), generator=torch.Generator().manual_seed(seed))
    family = Family.BINOMIAL if n_classes == 2 else Family.MULTINOMIAL
    straight = make_problem(x_nd, class_n, family, n_classes)
    shuffled = make_problem(x_nd[order_n], class_n[order_n], family, n_classes)
    close(minimum(straight), minimum(shuffled))


@given(SEEDS, SIZES)
@settings(max_examples=25, deadline=None)
def test_a_row_given_twice_is_a_row_of_weight_2(seed, size):
    x_nd, class_n, n_classes = random_table(seed, size)
    count_n = 1 + torch.arange(len(x_nd)) % 3
    family = Family.BINOMIAL if n_classes == 2 else Family.MULTINOMIAL
    weighted = make_problem(x_nd, class_n, family, n_classes, weight_n=count_n.double())
    rows_r = torch.repeat_interleave(count_n)
    repeated = make_problem(x_nd[rows_r], class_n[rows_r], family, n_classes)
    close(minimum(weighted), minimum(repeated))
    theta_bkp = minimum(weighted).unsqueeze(0)
    for one, other in zip(Objective(weighted).fitness(theta_bkp), Objective(repeated).fitness(theta_bkp), strict=True):
        close(one, other)


@given(SEEDS, SIZES)
@settings(max_examples=25, deadline=None)
def test_swapping_the_two_classes_flips_the_sign(seed, size):
    x_nd, class_n, _ = random_table(seed, (size[0], size[1], 2))
    straight = make_problem(x_nd, class_n, Family.BINOMIAL)
    flipped = make_problem(x_nd, 1 - class_n, Family.BINOMIAL)
    close(minimum(straight), -minimum(flipped))


@given(SEEDS, SIZES)
@settings(max_examples=15, deadline=None)
def test_two_classes_as_multinomial_say_the_same_as_binomial(seed, size):
    """With weights w and -w the multinomial penalty counts each twice, at half the size: l2 doubles."""
    x_nd, class_n, _ = random_table(seed, (size[0], size[1], 2))
    binomial = minimum(make_problem(x_nd, class_n, Family.BINOMIAL), l2=0.1)
    multinomial = minimum(make_problem(x_nd, class_n, Family.MULTINOMIAL), l2=0.2)
    close(binomial[0], multinomial[1] - multinomial[0])
