"""Newton's method that learns what it can from a sample of the rows, and needs few passes over all of them.

The first step is a whole fit of the sample; its minimum is off by about q / m in the objective, q parameters and m
rows, from where one Newton step on all rows squares the error (Bottou, Curtis and Nocedal 2018, section 6.1). Later
steps keep the factor as long as it serves: a pass for the gradient costs a fraction of one for the Hessian, and how far
curvatures can have moved since is known from the rows' linear predictors.
"""

from torch import Tensor

from gradline.training.factor import Factor, factorise
from gradline.training.loss import Want
from gradline.training.objective import Objective
from gradline.training.solvers.base import State
from gradline.training.solvers.newton import Look, Newton, look_at
from gradline.training.solvers.sample import fit_sample

CONTRACTION = 0.25
"""A step with an old factor that leaves more than this of the decrement asks for a new one."""
MAX_DRIFT = 1.0


class ProgressiveNewton(Newton):
    """For many rows and few parameters."""

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, n_rows: int) -> None:
        super().__init__(objective, theta_bkp)
        self._n_rows = n_rows
        self._has_started = False
        self._factor: Factor | None = None
        self._curved_at_bkp: Tensor | None = None
        """Where the factor is from."""
        self._last_decrement_b: Tensor | None = None

    def is_converged(self, tolerance: float) -> bool:
        return self._has_started and super().is_converged(tolerance)

    def step(self) -> None:
        if not self._has_started:
            self._start()
            return
        look, last_b = self.look(), self._last_decrement_b
        if look.drift_b is not None and last_b is not None:
            is_slow_b = (look.decrement_b > CONTRACTION * last_b) | (look.drift_b > MAX_DRIFT)
            if bool(is_slow_b.any()):
                self._factor = self._look = None
        self._last_decrement_b = self.look().decrement_b
        super().step()

    def _start(self) -> None:
        self._has_started = True
        sample = fit_sample(self.objective, self.theta_bkp, self._n_rows)
        if sample is None:
            return
        origin_bkp = self.theta_bkp.clone()
        self.theta_bkp.copy_(sample.newton.theta_bkp)
        if not bool((self.look().value_b <= sample.first_value_b).all()):
            self.theta_bkp.copy_(origin_bkp)
            self._factor = self._look = None

    def _evaluate(self) -> Look:
        self.n_passes += 1
        want = Want.HESSIAN if self._factor is None else Want.GRADIENT
        derivatives = self.objective.derivatives(self.theta_bkp, want, follow_drift=True)
        if derivatives.hessian_bqq is not None:
            self._factor = factorise(self.objective.without_gauge(derivatives.hessian_bqq))
            self._curved_at_bkp = self.theta_bkp.clone()
        assert self._factor is not None  # noqa: S101  this one or an older
        return look_at(derivatives, self._factor)

    def state(self) -> State:
        tensors, numbers = super().state()
        if self._curved_at_bkp is not None:
            tensors["curved_at"] = self._curved_at_bkp.clone()
        if self._last_decrement_b is not None:
            tensors["last_decrement"] = self._last_decrement_b.clone()
        return State(tensors, numbers | {"has_started": self._has_started})

    def load(self, state: State) -> None:
        super().load(state)
        self._has_started = state.numbers["has_started"]
        self._last_decrement_b = state.tensors.get("last_decrement")
        self._factor, self._curved_at_bkp = None, state.tensors.get("curved_at")
        if self._curved_at_bkp is not None:
            n_passes, theta_bkp = self.n_passes, self.theta_bkp
            self.theta_bkp = self._curved_at_bkp.clone()
            self._evaluate()
            self.theta_bkp, self.n_passes = theta_bkp, n_passes
