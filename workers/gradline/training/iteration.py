"""The iteration: take steps, report every so often, and stop for a reason that is a value.

At step k the report is of the parameters before update k; the update follows; then the stop rules look at the report.
A fit that has converged at step k needs no update there, so its report is of its last parameters.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gradline.training.objective import Fitness, Objective
from gradline.training.outcome import Outcome
from gradline.training.solvers.base import Solver, State
from gradline.training.solvers.newton import Newton


@dataclass(frozen=True)
class StopRules:
    max_steps: int
    tolerance: float = 0.0
    """Of the measure that the solver stops on: the relative objective gap, for lbfgs and fista the largest absolute
    entry of the (sub)gradient. 0: never."""
    accuracy_above: float | None = None
    patience: int | None = None
    """Reports without a better `metric` over the validation rows."""
    metric: Literal["loss", "accuracy"] = "loss"


class Report(NamedTuple):
    train: Fitness
    validation: Fitness | None
    theta_bkp: Tensor
    """The parameters that it is of; the solver changes its own in place."""


class Step(NamedTuple):
    number: int
    """From 0."""
    report: Report | None
    """Of the parameters before this step's update; at multiples of `report_every` and at the end."""


class Fit:
    """A fit in progress: iterate over it for its steps. For several members a rule must hold for all of them."""

    def __init__(
        self,
        objective: Objective,
        solver: Solver,
        stop: StopRules,
        report_every: int,
        validation: Objective | None = None,
    ) -> None:
        self.outcome: Outcome | None = None
        self.solver = solver
        self.n_steps = 0
        """Steps taken; the index of the next."""
        self._objective = objective
        self._stop = stop
        self._report_every = report_every
        self._validation = validation
        self._best_loss = math.inf
        self._n_stale_reports = 0

    @property
    def theta_bkp(self) -> Tensor:
        return self.solver.theta_bkp

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        if self.outcome is not None:
            raise StopIteration
        number, is_last = self.n_steps, self.n_steps == self._stop.max_steps - 1
        is_converged = self._stop.tolerance > 0 and self.solver.is_converged(self._stop.tolerance)
        is_due = number % self._report_every == 0 or is_last or is_converged
        report = self._evaluate() if is_due else None
        if is_converged:
            self.outcome = Outcome.CONVERGED
        else:
            self.solver.step()
            if self.solver.ending is not None:
                self.outcome, report = self.solver.ending, report or self._evaluate()
        self.n_steps += 1
        if report is not None and self.outcome is None:
            self.outcome = self._judge(report)
        if is_last and self.outcome is None:
            self.outcome = Outcome.STEP_LIMIT
        return Step(number, report)

    def _evaluate(self) -> Report:
        validation = None if self._validation is None else self._validation.fitness(self.theta_bkp)
        known = self.solver.fitness() if isinstance(self.solver, Newton) else None
        return Report(known or self._objective.fitness(self.theta_bkp), validation, self.theta_bkp.clone())

    def _judge(self, report: Report) -> Outcome | None:
        if not bool(torch.isfinite(report.train.loss_b + report.train.penalty_b).all()):
            return Outcome.DIVERGED
        above = self._stop.accuracy_above
        accuracy_b = report.train.accuracy_b
        if above is not None and accuracy_b is not None and bool((accuracy_b > above).all()):
            return Outcome.TARGET_REACHED
        if self._stop.patience is not None and self._is_stale(report):
            return Outcome.EARLY_STOPPED
        return None

    def _is_stale(self, report: Report) -> bool:
        assert report.validation is not None  # noqa: S101  patience needs a validation split; the spec says so
        loss = self._watched(report.validation)
        if loss < self._best_loss:
            self._best_loss, self._n_stale_reports = loss, 0
        else:
            self._n_stale_reports += 1
        return self._n_stale_reports >= (self._stop.patience or math.inf)

    def _watched(self, validation: Fitness) -> float:
        """What patience wants lower."""
        if self._stop.metric == "accuracy":
            assert validation.accuracy_b is not None  # noqa: S101  there are classes; the spec says so
            return -float(validation.accuracy_b.max())
        return float(validation.loss_b.min())

    # --- written down and taken up again

    def state(self) -> State:
        """A copy of everything that the rest of the fit depends on."""
        solver = self.solver.state()
        tensors = {"theta": self.theta_bkp.clone(), "best_loss": torch.tensor(self._best_loss, dtype=torch.float64)}
        tensors |= {f"solver.{name}": tensor for name, tensor in solver.tensors.items()}
        numbers = {
            "n_steps": self.n_steps,
            "n_stale_reports": self._n_stale_reports,
            "outcome": self.outcome,
            "solver": solver.numbers,
        }
        return State(tensors, numbers)

    def load(self, state: State) -> None:
        """Take up what `state` gave: the steps that follow have the same bits."""
        solver = {n.removeprefix("solver."): t for n, t in state.tensors.items() if n.startswith("solver.")}
        self.solver.theta_bkp.copy_(state.tensors["theta"])
        self.solver.load(State(solver, state.numbers["solver"]))
        self._best_loss = state.tensors["best_loss"].item()
        self._n_stale_reports = state.numbers["n_stale_reports"]
        self.n_steps = state.numbers["n_steps"]
        self.outcome = None if state.numbers["outcome"] is None else Outcome(state.numbers["outcome"])
