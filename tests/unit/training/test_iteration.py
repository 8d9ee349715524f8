"""Why fits end, and what they report on the way."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gradline.training import (
    Family,
    Fit,
    Lbfgs,
    Objective,
    Outcome,
    Problem,
    ProgressiveNewton,
    Sgd,
    StopRules,
    make_problem,
    zero_parameters,
)


def problem_of(n: int = 40, *, shift: float = 1.0, dtype: torch.dtype = torch.float64) -> Problem:
    generator = torch.Generator().manual_seed(0)
    class_n = torch.arange(n) % 2
    x_nd = torch.randn(n, 2, generator=generator, dtype=dtype) + shift * class_n.unsqueeze(1)
    return make_problem(x_nd, class_n, Family.BINOMIAL)


def sgd_fit(problem: Problem, *, every: int = 5, learning_rate: float = 0.5, l2: float = 0.0, **rules: Any) -> Fit:
    objective = Objective(problem, l2=l2)
    theta_bkp = zero_parameters(2, 1, has_intercept=True, dtype=problem.x_np.dtype)
    solver = Sgd(objective, theta_bkp, learning_rate=learning_rate)
    validation = Objective(problem_of(11, shift=-1.0)) if "patience" in rules else None
    return Fit(objective, solver, StopRules(**rules), every, validation)


def lbfgs_fit(problem: Problem, **rules: Any) -> Fit:
    objective = Objective(problem, l2=0.1)
    theta_bkp = zero_parameters(2, 1, has_intercept=True, dtype=problem.x_np.dtype)
    return Fit(objective, Lbfgs(objective, theta_bkp), StopRules(**rules), 5)


def test_reports_come_at_multiples_and_at_the_last_step():
    steps = list(sgd_fit(problem_of(), max_steps=13))
    assert [step.number for step in steps] == list(range(13))
    assert [step.number for step in steps if step.report is not None] == [0, 5, 10, 12]


def test_a_report_is_of_the_parameters_before_the_update():
    fit = sgd_fit(problem_of(), max_steps=10, every=1)
    objective = Objective(problem_of())
    before = fit.theta_bkp.clone()
    step = next(fit)
    assert step.report is not None
    assert torch.equal(step.report.train.loss_b, objective.fitness(before).loss_b)
    assert not torch.equal(fit.theta_bkp, before)


def test_the_step_limit_ends_a_fit():
    fit = sgd_fit(problem_of(), max_steps=3)
    assert len(list(fit)) == 3
    assert fit.outcome == Outcome.STEP_LIMIT


def test_a_target_ends_a_fit_at_a_report_after_the_update():
    fit = sgd_fit(problem_of(shift=6.0), max_steps=1000, accuracy_above=0.99, every=4)
    steps = list(fit)
    assert fit.outcome == Outcome.TARGET_REACHED
    assert steps[-1].number % 4 == 0
    assert steps[-1].report is not None
    assert steps[-1].report.train.accuracy_b.item() > 0.99
    assert steps[0].report is not None
    assert steps[0].report.train.accuracy_b.item() <= 0.99


def test_accuracy_must_be_above_the_target_not_at_it():
    outcomes = {}
    for target in (0.49, 0.5):  # at zero, all rows count as class 1: half of them are right
        fit = sgd_fit(problem_of(), max_steps=1, accuracy_above=target)
        list(fit)
        outcomes[target] = fit.outcome
    assert outcomes == {0.49: Outcome.TARGET_REACHED, 0.5: Outcome.STEP_LIMIT}


def test_a_converged_fit_reports_its_last_parameters_without_a_further_update():
    fit = lbfgs_fit(problem_of(), max_steps=100, tolerance=1e-9)
    *_, last = fit
    assert fit.outcome == Outcome.CONVERGED
    assert last.report is not None
    objective = Objective(problem_of(), l2=0.1)
    assert torch.equal(last.report.train.loss_b, objective.fitness(fit.theta_bkp).loss_b)
    assert objective.stationarity(fit.theta_bkp).item() <= 1e-9


def test_a_fit_that_starts_at_the_minimum_needs_no_step():
    x_nd = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=torch.float64)
    objective = Objective(make_problem(x_nd, torch.tensor([0, 0, 1, 1]), Family.BINOMIAL))
    theta_bkp = zero_parameters(1, 1, has_intercept=True, dtype=torch.float64)
    fit = Fit(objective, Lbfgs(objective, theta_bkp), StopRules(10, tolerance=1e-12), 1)
    assert [step.number for step in fit] == [0]
    assert fit.outcome == Outcome.CONVERGED


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tolerance_below_what_the_precision_allows_ends_as_stalled(dtype: torch.dtype):
    fit = lbfgs_fit(problem_of(dtype=dtype), max_steps=10_000, tolerance=1e-300)
    *_, last = fit
    assert fit.outcome == Outcome.STALLED
    assert last.report is not None
    assert last.number < 200
    precision = 1e-13 if dtype == torch.float64 else 1e-5
    assert Objective(problem_of(dtype=dtype), l2=0.1).stationarity(fit.theta_bkp).item() < precision


def test_a_loss_that_is_no_number_ends_as_diverged():
    fit = sgd_fit(problem_of(), max_steps=5000, learning_rate=10.0, l2=1.0)
    steps = list(fit)
    assert fit.outcome == Outcome.DIVERGED
    assert len(steps) < 5000


def test_a_validation_loss_that_no_longer_falls_ends_a_fit_early():
    fit = sgd_fit(problem_of(), max_steps=1000, patience=3)
    losses = [step.report.validation.loss_b.item() for step in fit if step.report and step.report.validation]
    assert fit.outcome == Outcome.EARLY_STOPPED
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3


def test_lbfgs_refuses_what_it_cannot_do():
    problem = problem_of()
    with pytest.raises(ValueError, match="smooth"):
        Lbfgs(Objective(problem, l1=0.1), zero_parameters(2, 1, has_intercept=True, dtype=torch.float64))
    two = zero_parameters(2, 1, has_intercept=True, dtype=torch.float64, n_members=2)
    with pytest.raises(ValueError, match="one member"):
        Lbfgs(Objective(problem, n_members=2), two)


def test_newtons_reports_come_from_the_passes_that_its_steps_and_the_certificate_take(monkeypatch: pytest.MonkeyPatch):
    objective = Objective(problem_of(50_000))
    solver = ProgressiveNewton(objective, zero_parameters(2, 1, has_intercept=True, dtype=torch.float64), n_rows=20_000)
    fitness = Objective.fitness
    asked: list[Tensor] = []
    monkeypatch.setattr(Objective, "fitness", lambda _, theta_bkp: asked.append(theta_bkp))
    reports = [step.report for step in Fit(objective, solver, StopRules(20, tolerance=1e-6), report_every=1)]
    assert asked == []
    for report in reports:
        assert report is not None
        expected = fitness(objective, report.theta_bkp)
        torch.testing.assert_close(tuple(report.train), tuple(expected), rtol=1e-12, atol=0.0)
