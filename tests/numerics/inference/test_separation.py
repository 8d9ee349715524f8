"""Separation found, and the columns that separate named; nothing found where classes overlap."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from gradline.inference.likelihood import Evaluation, Likelihood
from gradline.inference.newton import minimise, newton_step
from gradline.inference.parameters import functionals
from gradline.inference.recession import _Rows
from gradline.inference.separation import Separation, examine_separation, have_maximum
from gradline.training import Family, Problem, make_problem


def problem_of(x: object, y: object, family: Family = Family.BINOMIAL, *, has_intercept: bool = True) -> Problem:
    y_n = torch.as_tensor(np.array(y))
    n_classes = int(y_n.max()) + 1 if family == Family.MULTINOMIAL else 2
    target_n = y_n.long() if family.is_classification else y_n.double()
    x_nd = torch.as_tensor(np.array(x, dtype=float))
    return make_problem(x_nd, target_n, family, n_classes, has_intercept=has_intercept)


def ended(problem: Problem, max_steps: int = 12) -> tuple[torch.Tensor, torch.Tensor, Evaluation]:
    """Where Newton's method stops, the step it would take next, and what that is from."""
    likelihood = Likelihood(problem)
    start_bq = torch.zeros(1, likelihood.q, dtype=torch.float64)
    theta_bq = minimise(likelihood, start_bq, max_steps=max_steps).theta_bq
    here = likelihood.evaluate(theta_bq)
    return theta_bq[0], newton_step(here)[0][0], here


def diagnose(problem: Problem) -> Separation | None:
    theta_q, step_q, here = ended(problem)
    a_mq = functionals(problem, torch.eye(problem.x_np.shape[1], dtype=torch.float64))
    found = examine_separation(problem, theta_q, step_q, a_mq)
    if found is not None:
        assert not bool(have_maximum(problem, step_q.unsqueeze(0), here)), (
            "the cheap test never takes a separated fit for a sound one"
        )
    return found


def two_sided(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 2))
    return x, (x[:, 0] + draw.logistic(size=n) > 0).astype(int)


def test_a_threshold_that_separates_completely_is_named():
    x, _ = two_sided()
    found = diagnose(problem_of(x, x[:, 1] > 0.1))
    assert found is not None
    assert found.is_complete
    assert found.n_rows == 60
    assert [(s.feature, s.is_above, s.is_strict) for s in found.separators] == [(1, True, True)]
    assert bool((found.direction_m != 0).all()), "every coefficient is infinite"
    assert found.direction_m[1] == 1


def test_a_level_seen_with_one_class_only_is_named_and_only_its_coefficient_is_infinite():
    x, y = two_sided(200)
    level = np.zeros(200)
    level[np.flatnonzero(y == 0)[:7]] = 1.0
    found = diagnose(problem_of(np.column_stack((x, level)), y))
    assert found is not None
    assert not found.is_complete
    assert found.n_rows == 7
    assert [(s.feature, s.is_above, s.is_strict) for s in found.separators] == [(2, False, False)]
    assert found.direction_m.tolist() == [0, 0, -1, 0]


def test_columns_that_repeat_each_other_are_infinite_only_where_they_separate():
    x, y = two_sided(200)
    level = np.zeros(200)
    level[np.flatnonzero(y == 0)[:7]] = 1.0
    found = diagnose(problem_of(np.column_stack((x, 2 * x[:, 0], level)), y))
    assert found is not None
    assert found.direction_m.tolist() == [0, 0, 0, -1, 0]
    found = diagnose(problem_of(np.column_stack((x, level, level)), y))
    assert found is not None
    assert found.direction_m.tolist() == [0, 0, -1, -1, 0]


def test_columns_that_separate_together_are_named_together():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(150, 6))
    found = diagnose(problem_of(x, x[:, 1] - 2 * x[:, 4] > 0.3))
    assert found is not None
    assert found.is_complete
    assert found.separators == []
    assert {1, 4} <= set(found.combination)
    assert found.direction_m[1] == 1
    assert found.direction_m[4] == -1


def test_ties_on_the_boundary_make_it_quasi_complete():
    found = diagnose(problem_of([[0.0], [1.0], [2.0], [2.0], [3.0], [4.0]], [0, 0, 0, 1, 1, 1]))
    assert found is not None
    assert not found.is_complete
    assert found.n_rows == 4
    assert [(s.is_above, s.is_strict) for s in found.separators] == [(True, False)]


def test_a_reference_level_seen_with_one_class_only_makes_all_levels_and_the_intercept_infinite():
    """With treatment coding, it is the intercept that runs away, and the levels the other way."""
    draw = np.random.default_rng(2)
    level = draw.integers(0, 3, 120)
    y = np.where(level == 0, 1, draw.integers(0, 2, 120))
    found = diagnose(problem_of(np.column_stack((level == 1, level == 2)), y))
    assert found is not None
    assert found.direction_m.tolist() == [-1, -1, 1]
    assert set(found.combination) == {0, 1}


def test_a_level_never_seen_with_one_of_three_classes_is_named_with_that_class():
    draw = np.random.default_rng(3)
    x, level = draw.normal(size=300), draw.integers(0, 2, 300)
    y = draw.integers(0, 3, 300)
    y[(level == 1) & (y == 2)] = 0
    problem = problem_of(np.column_stack((x, level)), y, Family.MULTINOMIAL)
    found = diagnose(problem)
    assert found is not None
    assert not found.is_complete
    assert [(s.feature, s.class_index, s.is_above) for s in found.separators] == [(1, 2, False)]
    assert found.direction_m.view(3, 3)[:, 1].tolist() == [1, 1, -1]
    assert found.direction_m.view(3, 3)[:, 0].tolist() == [0, 0, 0]


def test_poisson_counts_that_are_zero_at_a_level_have_no_maximum():
    draw = np.random.default_rng(3)
    x, level = draw.normal(size=200), draw.integers(0, 2, 200)
    y = np.where(level == 1, 0, draw.poisson(2.0, 200))
    found = diagnose(problem_of(np.column_stack((x, level)), y, Family.POISSON))
    assert found is not None
    assert found.combination == [1]
    assert found.direction_m.tolist() == [0, -1, 0]


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.MULTINOMIAL, Family.POISSON])
def test_where_rows_overlap_the_cheap_test_settles_it(family):
    x, y = two_sided(300)
    problem = problem_of(x, y if family != Family.MULTINOMIAL else y + (x[:, 1] ** 2 > 0.5) * y, family)
    theta_q, step_q, here = ended(problem, max_steps=30)
    assert bool(have_maximum(problem, step_q.unsqueeze(0), here))
    assert examine_separation(problem, theta_q, step_q, torch.eye(len(theta_q), dtype=torch.float64)) is None


@pytest.mark.parametrize("family", [Family.BINOMIAL, Family.POISSON])
def test_a_pass_that_tells_how_far_steps_reach_settles_it_alone(family):
    problem = problem_of(*two_sided(5_000), family)
    _, step_q, here = ended(problem, max_steps=30)
    assert here.reach_b is not None
    length = (step_q @ here.information_bqq[0] @ step_q).sqrt()
    assert float((problem.x_np @ step_q).abs().max()) <= float(here.reach_b * length) < 0.5
    assert bool(have_maximum(problem, step_q.unsqueeze(0), here))
    assert "highest_of_all" not in vars(problem)


def test_many_rows_enter_the_program_a_few_at_a_time():
    draw = np.random.default_rng(5)
    x = draw.normal(size=(30_000, 5))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    assert diagnose(problem_of(x, y)) is not None
    level = (draw.random(30_000) < 0.001) & (y == 1)
    noisy = np.where(draw.random(30_000) < 0.05, 1 - y, y) | level
    found = diagnose(problem_of(np.column_stack((x, level)), noisy))
    assert found is not None
    assert found.n_rows == level.sum()
    assert found.direction_m.tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert diagnose(problem_of(x, noisy)) is None


def test_a_few_rows_of_a_level_are_found_among_many_that_the_program_has_not_seen():
    draw = np.random.default_rng(6)
    x = draw.normal(size=(30_000, 3))
    y = (x[:, 0] + draw.logistic(size=30_000) > 0).astype(int)
    first, second = np.zeros(30_000), np.zeros(30_000)
    first[np.flatnonzero((y == 1) & (x[:, 0] > 1))[5:8]] = 1.0
    second[np.flatnonzero((y == 0) & (x[:, 0] < -1))[70:72]] = 1.0
    found = diagnose(problem_of(np.column_stack((x, first, second)), y))
    assert found is not None
    assert found.n_rows == 5
    assert found.direction_m.tolist() == [0, 0, 0, 1, -1, 0]


def test_rows_that_the_unmoved_ones_do_not_determine_are_asked_for():
    x, y = two_sided(50)
    level = np.zeros(50)
    level[40:43] = 1.0
    rows = _Rows(problem_of(np.column_stack((x, level)), y))
    unseen_r = rows.outside_span(torch.arange(40), torch.zeros(4, dtype=torch.float64))
    assert unseen_r.tolist() == [40, 41, 42]
    assert rows.outside_span(torch.arange(30, 50), torch.zeros(4, dtype=torch.float64)).tolist() == []


def slow_verdict(problem: Problem) -> bool:
    """Konis' program on all rows: whether some direction gains."""
    a = (problem.x_np * (2 * problem.y_nk - 1)).numpy()
    answer = linprog(-a.sum(0), -a, np.zeros(len(a)), bounds=[(-1, 1)] * a.shape[1])
    return -answer.fun > 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 14))
def test_the_verdict_is_that_of_the_whole_program(seed, n):
    draw = np.random.default_rng(seed)
    problem = problem_of(draw.integers(-2, 3, size=(n, 2)), np.r_[0, 1, draw.integers(0, 2, n - 2)])
    if torch.linalg.matrix_rank(problem.x_np) < 3:
        return
    assert (diagnose(problem) is not None) == slow_verdict(problem)


def test_rows_of_weight_zero_do_not_hide_a_separation():
    x, y = [[0.0], [1.0], [2.0], [3.0]], torch.tensor([0, 0, 1, 0])
    weight_n = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    problem = make_problem(torch.tensor(x, dtype=torch.float64), y, Family.BINOMIAL, weight_n=weight_n)
    assert diagnose(problem) is not None


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_separation_of_many_classes_is_found_beside_columns_that_depend_on_each_other(seed):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2000, 2))
    level, y = draw.integers(0, 7, 2000), draw.integers(0, 3, 2000)
    kept = ~((level == 4) & (y == 1))
    columns = np.column_stack((x, *(level == own for own in range(1, 7)), x[:, 0] - x[:, 1]))[kept]
    found = diagnose(problem_of((columns - columns.mean(0)) / columns.std(0), y[kept], Family.MULTINOMIAL))
    assert found is not None
    assert {(s.feature, s.class_index, s.is_above) for s in found.separators} == {(5, 1, False)}
    assert found.n_rows == int((level[kept] == 4).sum())
