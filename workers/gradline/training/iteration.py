"""The iteration: take steps, report every so often, and stop for a reason that is a value.

At step k the report is of the parameters before update k; the update follows; then the stop rules look at the report.
A fit that has converged at step k needs no update there, so its report is of its last parameters.
Where patience watches the validation rows, a fit that was stopped or ran out of steps gives back the parameters of its
best report; one that ended for what its last parameters are (a minimum, a target reached, a divergence) gives those.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from gradline.training.objective import Fitness, Objective
from gradline.training.outcome import Outcome
from gradline.training.patience import Patience
from gradline.training.solvers.base import Solver, State
from gradline.training.solvers.newton import Newton

CUT_SHORT = (Outcome.EARLY_STOPPED, Outcome.STEP_LIMIT)
"""Outcomes that claim nothing of the last parameters."""


@dataclass(frozen=True)
class StopRules:
    max_steps: int
    tolerance: float = 0.0
    """Of the measure that the solver stops on: the relative objective gap, for lbfgs, and for fista without a penalty,
    the largest absolute entry of the gradient. 0: never."""
    accuracy_above: float | None = None
    patience: int | None = None
    """Reports without a better `metric` over the validation rows."""
    metric: Literal["loss", "accuracy"] = "loss"
    restore_best: bool = True
    """With patience, a fit that is cut short gives the parameters of its best report, not those of its last step."""


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
        self._patience = None if stop.patience is None else Patience(stop.patience, solver.theta_bkp)
        self._restored_bkp: Tensor | None = None
        self._n_passes = 0
        """Before it was taken up again."""

    @property
    def theta_bkp(self) -> Tensor:
        """The solver's; once the fit has ended, those that it gives back."""
        return self.solver.theta_bkp if self._restored_bkp is None else self._restored_bkp

    @property
    def n_passes(self) -> int:
        """Over all rows, so far. A solver that is taken up again counts its last one when it needs it anew."""
        return max(self.solver.n_passes, self._n_passes)

    @property
    def best_steps(self) -> list[int | None]:
        """Whose reports the parameters of each member are of; None: they are those after the last step."""
        if self._restored_bkp is None or self._patience is None:
            return [None] * len(self.theta_bkp)
        return [step if step >= 0 else None for step in self._patience.step_b.tolist()]

    @property
    def is_restored(self) -> bool:
        """Whether the solver stands elsewhere than at the parameters given back."""
        return self._restored_bkp is not None

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
            self.outcome = self._judge(number, report)
        if is_last and self.outcome is None:
            self.outcome = Outcome.STEP_LIMIT
        self._restore_best()
        return Step(number, report)

    def _evaluate(self) -> Report:
        theta_bkp = self.solver.theta_bkp
        validation = None if self._validation is None else self._validation.fitness(theta_bkp)
        known = self.solver.fitness() if isinstance(self.solver, Newton) else None
        return Report(known or self._objective.fitness(theta_bkp), validation, theta_bkp.clone())

    def _judge(self, number: int, report: Report) -> Outcome | None:
        if not bool(torch.isfinite(report.train.loss_b + report.train.penalty_b).all()):
            return Outcome.DIVERGED
        above = self._stop.accuracy_above
        accuracy_b = report.train.accuracy_b
        if above is not None and accuracy_b is not None and bool((accuracy_b > above).all()):
            return Outcome.TARGET_REACHED
        if self._patience is not None:
            self._patience.look(number, self._watched(report), report.theta_bkp)
            return Outcome.EARLY_STOPPED if self._patience.is_spent else None
        return None

    def _watched(self, report: Report) -> Tensor:
        """loss_b: what patience wants lower."""
        assert report.validation is not None  # noqa: S101  patience needs a validation split; the spec says so
        if self._stop.metric == "loss":
            return report.validation.loss_b
        assert report.validation.accuracy_b is not None  # noqa: S101  there are classes; the spec says so
        return -report.validation.accuracy_b

    def _restore_best(self) -> None:
        """Beside the solver's own, where its state goes with its last step."""
        if self._patience is None or not self._stop.restore_best or self.outcome not in CUT_SHORT:
            return
        is_known_b = self._patience.step_b >= 0
        if bool(is_known_b.any()):
            best_bkp, last_bkp = self._patience.theta_bkp, self.solver.theta_bkp
            self._restored_bkp = torch.where(is_known_b.view(-1, 1, 1), best_bkp, last_bkp)

    # --- written down and taken up again

    def state(self) -> State:
        """A copy of everything that the rest of the fit depends on."""
        solver = self.solver.state()
        tensors = {"theta": self.solver.theta_bkp.clone()}
        tensors |= {f"solver.{name}": tensor for name, tensor in solver.tensors.items()}
        if self._patience is not None:
            tensors |= {f"patience.{name}": tensor for name, tensor in self._patience.state().items()}
        numbers = {"n_steps": self.n_steps, "n_passes": self.n_passes, "outcome": self.outcome}
        return State(tensors, numbers | {"solver": solver.numbers})

    def load(self, state: State) -> None:
        """Take up what `state` gave: the steps that follow have the same bits."""
        self.solver.theta_bkp.copy_(state.tensors["theta"])
        self.solver.load(State(_part("solver.", state.tensors), state.numbers["solver"]))
        if self._patience is not None:
            self._patience.load(_part("patience.", state.tensors))
        self.n_steps, self._n_passes = state.numbers["n_steps"], state.numbers["n_passes"]
        self.outcome = None if state.numbers["outcome"] is None else Outcome(state.numbers["outcome"])
        self._restore_best()


def _part(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
