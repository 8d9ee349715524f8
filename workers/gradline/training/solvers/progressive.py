"""Newton's method that learns what it can from a sample of the rows, and needs few passes over all of them.

The first step is a whole fit of the sample; its minimum is off by about q / m in the objective, q parameters and m
rows, from where one Newton step on all rows squares the error (Bottou, Curtis and Nocedal 2018, section 6.1). What such
a step leaves comes from the change of the Hessian along it, most of which the sample knows too. So the step that would
follow with the same factor (Kelley 1995, section 5.4, Shamanskii's method) is taken along with each, by the gradient
that the sample foretells: that saves a pass over all rows for some over the sample.
"""

from torch import Tensor

from gradline.training.family import Family
from gradline.training.objective import Fitness, Objective
from gradline.training.solvers.base import State
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.sample import Sample


class ProgressiveNewton(LazyNewton):
    """For many rows and few parameters."""

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, n_rows: int) -> None:
        super().__init__(objective, theta_bkp)
        self._n_rows = n_rows
        self._has_started = False
        self._sample: Sample | None = None

    def is_converged(self, tolerance: float) -> bool:
        return self._has_started and super().is_converged(tolerance)

    def fitness(self) -> Fitness | None:
        if self._has_started:
            return super().fitness()
        return None if bool(self.theta_bkp.any()) else self.objective.fitness_at_zero()

    def step(self) -> None:
        if self._has_started:
            super().step()
        else:
            self._start()

    def _start(self) -> None:
        self._has_started = True
        sample = Sample(self.objective, self._n_rows)
        minimum = sample.minimum(self.theta_bkp)
        if minimum is None:
            return
        origin_bkp = self.theta_bkp.clone()
        self.theta_bkp.copy_(minimum.theta_bkp)
        if not bool((self.look().value_b <= minimum.first_value_b).all()):
            self.theta_bkp.copy_(origin_bkp)
            self._forget()
        elif self.objective.problem.family != Family.GAUSSIAN:  # whose Hessian is the same everywhere
            self._sample = sample

    def next_step(self) -> Tensor:
        look = self.look()
        if self._sample is None:
            return look.step_bq
        assert self.curved_at_bkp is not None  # noqa: S101  looking sets it
        return look.step_bq + self._sample.foretell(self.theta_bkp, look, self.curved_at_bkp)

    def state(self) -> State:
        tensors, numbers = super().state()
        return State(tensors, numbers | {"has_started": self._has_started, "foretells": self._sample is not None})

    def load(self, state: State) -> None:
        super().load(state)
        self._has_started = state.numbers["has_started"]
        self._sample = None
        if state.numbers["foretells"]:
            self._sample = Sample(self.objective, self._n_rows)
