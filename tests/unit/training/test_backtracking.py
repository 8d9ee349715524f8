"""How long a step becomes, and after how many looks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gradline.training.solvers.backtracking import MAX_HALVINGS, backtrack


def stepped(value_of: Callable[[Tensor], Tensor], value: float, step: float, slope: float) -> tuple[float, int]:
    """Where a step from 0 ends, and how often F was looked at."""
    theta_bkp, looks = torch.zeros(1, 1, 1, dtype=torch.float64), []

    def evaluate() -> Tensor:
        looks.append(float(theta_bkp))
        return value_of(theta_bkp.flatten())

    numbers = (torch.tensor([number], dtype=torch.float64) for number in (step, value, slope))
    backtrack(theta_bkp, *numbers, 1e-12, evaluate, evaluate)
    return float(theta_bkp), len(looks)


@pytest.mark.parametrize("exponent", [10, 60, 1000])
def test_a_step_that_is_far_too_long_is_halved_until_it_serves(exponent: int):
    end, n_looks = stepped(lambda theta: 1 - theta + theta.square(), 1.0, 2.0**exponent, 2.0**exponent)
    assert 0.25 <= end <= 1.0
    assert n_looks <= exponent + 3


def test_a_step_from_which_f_is_infinite_is_halved_until_it_is_not():
    end, _ = stepped(lambda theta: theta.exp() - 2 * theta, 1.0, 2.0**60, 2.0**60)
    assert 0 < end <= 1.3


@pytest.mark.parametrize("noise", [1.5, 3.0, 1e9])
def test_rounding_that_no_step_lowers_is_looked_at_a_few_times_and_the_step_not_taken(noise: float):
    """As where the fit is exact, and another way to add up gives another rest."""
    end, n_looks = stepped(lambda theta: torch.full_like(theta, noise * 1e-30), 1e-30, 1e-15, 1e-31)
    assert end == 0.0
    assert n_looks <= MAX_HALVINGS + 4


def test_no_number_is_no_step():
    end, n_looks = stepped(lambda theta: torch.where(theta == 0, 1.0, torch.nan), 1.0, 1.0, 1.0)
    assert end == 0.0
    assert n_looks <= MAX_HALVINGS + 4
