"""Constant columns, dependent sets and inflation factors."""

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from statsmodels.stats.outliers_influence import variance_inflation_factor

from gradline.inference.collinearity import examine_collinearity
from gradline.inference.covariance import inverse_of
from gradline.inference.likelihood import Likelihood
from gradline.training import Family, Problem, make_problem


def problem_of(x: object, *, has_intercept: bool = True, dtype: torch.dtype = torch.float64) -> Problem:
    x_nd = torch.as_tensor(np.array(x, dtype=float)).to(dtype)
    return make_problem(x_nd, torch.arange(len(x_nd)) % 2, Family.BINOMIAL, has_intercept=has_intercept)


def normal(n: int = 100, d: int = 4, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_inflation_factors_are_those_of_statsmodels():
    x = sm.datasets.longley.load_pandas().exog.to_numpy(float)
    told = examine_collinearity(problem_of((x - x.mean(0)) / x.std(0)))
    theirs = [variance_inflation_factor(sm.add_constant(x), j + 1) for j in range(x.shape[1])]
    np.testing.assert_allclose(told.vif_d, theirs, rtol=1e-7)
    assert told.sets == []
    assert told.rank == 6
    standardised = (x - x.mean(0)) / x.std(0)
    assert told.condition_number == pytest.approx(np.linalg.cond(standardised), rel=1e-6)


def test_columns_far_from_zero_inflate_as_they_do_about_it():
    x = normal(d=3)
    x[:, 2] = x[:, 0] + x[:, 1] + x[:, 2] / 3
    near, far = examine_collinearity(problem_of(x)), examine_collinearity(problem_of(x + np.array([1e7, 0.0, -1e6])))
    np.testing.assert_allclose(far.vif_d, near.vif_d, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dependent_columns_are_named_with_those_they_depend_on(dtype):
    x = normal()
    told = examine_collinearity(problem_of(np.column_stack((x, x[:, 0] * 3, x[:, 1] - x[:, 2])), dtype=dtype))
    assert [(s.feature, s.others) for s in told.sets] == [(4, [0]), (5, [1, 2])]
    assert told.rank == 4
    assert told.condition_number == torch.inf
    assert [bool(v) for v in told.vif_d.isinf()] == [True, True, True, False, True, True]


def test_many_rows_are_glanced_at_and_what_hides_between_them_is_still_told_right():
    x = normal(100_001, 3)
    told = examine_collinearity(problem_of(x))
    assert (told.rank, told.n_rows) == (3, 20_001)
    copy = x[:, 0].copy()
    assert examine_collinearity(problem_of(np.column_stack((x, copy)))).sets[0].others == [0]
    copy[1] += 1.0  # in a row that the glance passes over: no longer a copy
    told = examine_collinearity(problem_of(np.column_stack((x, copy))))
    assert (told.sets, told.rank, told.n_rows) == ([], 4, 100_001)


@pytest.mark.parametrize("by_factors", [True, False])
@pytest.mark.parametrize("far", [0.0, 300.0])
def test_a_sum_rounded_to_single_precision_is_dependent_if_it_is_known_to_be_so_rounded(by_factors, far):
    x = (normal() + far).astype(np.float32)
    x = np.column_stack((x, x[:, 1] + x[:, 2])).astype(float)
    deviation = x.std(0)
    given = problem_of((x - x.mean(0)) / deviation), torch.as_tensor(np.abs(x.mean(0)) / deviation)
    are_single = torch.tensor([False, True, True, False, True])
    told = examine_collinearity(*given, are_single, by_factors=by_factors)
    assert [{s.feature, *s.others} for s in told.sets] == [{1, 2, 4}]
    assert (told.rank, bool(told.vif_d[0].isfinite())) == (4, True)
    if by_factors:
        assert examine_collinearity(*given, by_factors=True).sets == []
    near = x[:, 1] + 1e-4 * normal(seed=3)[:, 0]
    told = examine_collinearity(problem_of(np.column_stack((x[:, :3], near)) - far), None, are_single[:4])
    assert told.sets == [], "near, but further than rounding explains"


def test_all_levels_beside_an_intercept_are_one_set():
    level = np.eye(3)[np.arange(90) % 3]
    told = examine_collinearity(problem_of(np.column_stack((normal(90, 1), level))))
    assert [(s.feature, s.others) for s in told.sets] == [(3, [1, 2])]
    assert examine_collinearity(problem_of(np.column_stack((normal(90, 1), level)), has_intercept=False)).sets == []


def test_constant_columns_are_named_and_harm_nothing_else():
    x = normal()
    told = examine_collinearity(problem_of(np.column_stack((x, np.full(100, 7.0)))))
    assert told.constant == [4]
    assert told.sets == []
    assert told.rank == 4
    assert [bool(v) for v in told.vif_d.isnan()] == [False] * 4 + [True]


def test_what_the_rows_do_not_determine_is_told_apart_from_what_they_do():
    x = normal()
    problem = problem_of(np.column_stack((x, x[:, 0] * 3)))
    information_bqq = Likelihood(problem).evaluate(torch.zeros(1, 6, dtype=torch.float64)).information_bqq
    inverse = inverse_of(information_bqq[0])
    assert inverse.null_qz.shape[1] == 1
    assert inverse.determines(torch.eye(6, dtype=torch.float64)).tolist() == [False, True, True, True, False, True]
    without = Likelihood(problem_of(x)).evaluate(torch.zeros(1, 5, dtype=torch.float64)).information_bqq
    kept = [1, 2, 3, 5]
    torch.testing.assert_close(inverse.inverse_qq[kept][:, kept], torch.linalg.inv(without[0])[1:][:, 1:])
