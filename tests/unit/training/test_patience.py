"""A fit that is stopped early gives the parameters of its best report, each member those it would have given alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gradline.training import Family, Fit, Newton, Objective, Outcome, Problem, Sgd, StopRules, make_problem
from gradline.training.patience import Patience

START = [[-0.5, 0.2, 0.0]]
"""From here the validation loss falls for some reports, and rises from then on."""
LATE = [[4.0, -4.0, 2.0]]
"""From here it falls for longer."""


def problem_of(n: int, seed: int, *, shift: float) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    class_n = torch.arange(n) % 2
    x_nd = torch.randn(n, 2, generator=generator, dtype=torch.float64) + shift * class_n.unsqueeze(1)
    return make_problem(x_nd, class_n, Family.BINOMIAL)


VALIDATION = problem_of(60, 5, shift=0.2)
"""Its loss falls at first, and rises once the training rows are fitted closely."""


def fit_of(*starts: list[list[float]], validation: Problem = VALIDATION, **rules: Any) -> Fit:
    """A member for each start."""
    objective = Objective(problem_of(60, 0, shift=1.0), n_members=len(starts))
    solver = Sgd(objective, torch.tensor(starts, dtype=torch.float64), learning_rate=0.3)
    stop = StopRules(**{"max_steps": 400, "patience": 3} | rules)
    return Fit(objective, solver, stop, 5, Objective(validation, n_members=len(starts)))


def reports_of(fit: Fit, b: int = 0) -> dict[int, tuple[float, Tensor]]:
    """Step to validation loss and parameters."""
    return {
        step.number: (step.report.validation.loss_b[b].item(), step.report.theta_bkp)
        for step in fit
        if step.report is not None and step.report.validation is not None
    }


def loss_of(theta_bkp: Tensor) -> float:
    return Objective(VALIDATION).fitness(theta_bkp).loss_b.item()


def accuracy_of(theta_bkp: Tensor) -> float:
    accuracy_b = Objective(VALIDATION).fitness(theta_bkp).accuracy_b
    assert accuracy_b is not None
    return accuracy_b.item()


@pytest.mark.parametrize(("max_steps", "outcome"), [(400, Outcome.EARLY_STOPPED), (22, Outcome.STEP_LIMIT)])
def test_a_fit_that_is_cut_short_gives_the_parameters_of_its_best_report(max_steps: int, outcome: Outcome):
    fit = fit_of(START, max_steps=max_steps)
    reports = reports_of(fit)
    best = min(reports, key=lambda step: reports[step][0])
    assert fit.outcome == outcome
    assert 0 < best < max(reports)
    assert fit.best_steps == [best]
    assert torch.equal(fit.theta_bkp, reports[best][1])
    assert loss_of(fit.theta_bkp) == reports[best][0] < loss_of(fit.solver.theta_bkp)


def test_the_last_parameters_stay_where_they_are_asked_for():
    best, last = fit_of(START), fit_of(START, restore_best=False)
    assert reports_of(best).keys() == reports_of(last).keys()
    assert last.best_steps == [None]
    assert torch.equal(last.theta_bkp, best.solver.theta_bkp)
    assert not torch.equal(last.theta_bkp, best.theta_bkp)


def test_a_target_that_is_reached_keeps_the_parameters_that_reached_it():
    fit = fit_of(LATE, accuracy_above=0.7, patience=100)
    assert len(reports_of(fit)) > 2
    assert (fit.outcome, fit.best_steps) == (Outcome.TARGET_REACHED, [None])
    assert torch.equal(fit.theta_bkp, fit.solver.theta_bkp)


def test_a_minimum_that_is_reached_is_kept_though_validation_rows_liked_an_earlier_step_better():
    objective = Objective(problem_of(60, 0, shift=1.0))
    solver = Newton(objective, torch.zeros(1, 1, 3, dtype=torch.float64))
    fit = Fit(objective, solver, StopRules(60, tolerance=1e-9, patience=50), 1, Objective(VALIDATION))
    losses = [loss for loss, _ in reports_of(fit).values()]
    assert min(losses) < losses[-1]
    assert (fit.outcome, fit.best_steps) == (Outcome.CONVERGED, [None])
    assert torch.equal(fit.theta_bkp, solver.theta_bkp)


def test_the_metric_that_is_watched_says_which_report_is_best():
    by_loss, by_accuracy = fit_of(LATE, patience=10), fit_of(LATE, patience=10, metric="accuracy")
    reports = reports_of(by_accuracy)
    accuracies = {step: accuracy_of(theta_bkp) for step, (_, theta_bkp) in reports.items()}
    best = max(accuracies, key=lambda step: accuracies[step])
    assert by_accuracy.best_steps == [best], "the first of several"
    assert accuracies[best] > accuracies[0]
    reports_of(by_loss)
    assert by_loss.best_steps != by_accuracy.best_steps


def test_members_end_as_they_would_have_alone():
    alone = [fit_of(START), fit_of(LATE)]
    together = fit_of(START, LATE)
    for fit in (*alone, together):
        reports_of(fit)
    assert together.best_steps == [alone[0].best_steps[0], alone[1].best_steps[0]]
    assert together.n_steps == max(fit.n_steps for fit in alone) > min(fit.n_steps for fit in alone)
    torch.testing.assert_close(together.theta_bkp, torch.cat([fit.theta_bkp for fit in alone]), rtol=1e-12, atol=0)


def test_a_member_whose_patience_is_spent_no_longer_improves():
    theta_b11 = torch.zeros(2, 1, 1)
    patience = Patience(2, theta_b11)
    losses = [(3.0, 3.0), (4.0, 2.0), (5.0, 1.0), (0.0, 2.0)]
    for step, loss_b in enumerate(losses):
        assert not patience.is_spent
        patience.look(step, torch.tensor(loss_b), theta_b11 + step)
    assert patience.step_b.tolist() == [0, 2]
    assert patience.theta_bkp.flatten().tolist() == [0.0, 2.0]
    patience.look(4, torch.tensor([0.0, 1.0]), theta_b11 + 4)
    assert patience.is_spent
    assert patience.step_b.tolist() == [0, 2], "of equal reports the first"


def test_where_no_validation_loss_was_a_number_the_last_parameters_are_given():
    offset_n1 = torch.full((60, 1), torch.nan, dtype=torch.float64)
    fit = fit_of(START, validation=replace(VALIDATION, offset_n1=offset_n1))
    assert list(reports_of(fit)) == [0, 5, 10]
    assert (fit.outcome, fit.best_steps) == (Outcome.EARLY_STOPPED, [None])
    assert torch.equal(fit.theta_bkp, fit.solver.theta_bkp)


@pytest.mark.parametrize("n_steps", range(1, 33))
def test_a_fit_that_is_taken_up_again_gives_the_same_bits(n_steps: int):
    whole = fit_of(START, LATE, max_steps=32)
    reports_of(whole)
    before, after = fit_of(START, LATE, max_steps=32), fit_of(LATE, LATE, max_steps=32)
    for _ in range(n_steps):
        next(before)
    after.load(before.state())
    reports_of(after)
    assert after.best_steps == whole.best_steps
    assert torch.equal(after.theta_bkp, whole.theta_bkp)
