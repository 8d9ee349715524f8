"""Newton's method that keeps a factor as long as it serves.

A pass for the gradient costs a fraction of one for the Hessian, and how far curvatures can have moved since the Hessian
is known from the rows' linear predictors.
"""

import torch
from torch import Tensor

from gradline.training.derivatives import Want
from gradline.training.factor import CONTRACTION, LONG_STEP, MAX_DRIFT, Factor
from gradline.training.objective import Objective
from gradline.training.solvers.base import State
from gradline.training.solvers.newton import Look, Newton, look_at


class LazyNewton(Newton):
    """For many rows and few parameters."""

    def __init__(self, objective: Objective, theta_bkp: Tensor) -> None:
        super().__init__(objective, theta_bkp)
        self._factor: Factor | None = None
        self.curved_at_bkp: Tensor | None = None
        """Where the factor is from."""
        self._last_square_b: Tensor | None = None

    def step(self) -> None:
        look, last_b = self.look(), self._last_square_b
        if look.drift_b is not None and last_b is not None:
            is_slow_b = (look.square_b > CONTRACTION**2 * last_b) | (look.drift_b > MAX_DRIFT)
            if bool(is_slow_b.any()):
                self._forget()
        self._last_square_b = self.look().square_b
        if self.objective.problem.family.is_classification and bool((self._last_square_b > LONG_STEP**2).any()):
            self._factor = None  # the look, which has it too, still knows the step
        super().step()

    def renew(self) -> None:
        """Take the factor anew where it is from too far away for what is to come."""
        drift_b = self.look().drift_b
        if drift_b is not None and bool((drift_b > MAX_DRIFT).any()):
            self._forget()
            self.look()

    def _forget(self) -> None:
        self._factor = self._look = None

    def _evaluate(self) -> Look:
        self.n_passes += 1
        want = Want.HESSIAN if self._factor is None else Want.GRADIENT
        derivatives = self.objective.derivatives(self.theta_bkp, want, follow_drift=True)
        if derivatives.hessian_bqq is not None:
            self._factor = self._factorised(derivatives, derivatives.hessian_bqq)
            self.curved_at_bkp = self.theta_bkp.clone()
        assert self._factor is not None  # noqa: S101  this one or an older
        return look_at(derivatives, self._factor)

    def state(self) -> State:
        tensors, numbers = super().state()
        if self.curved_at_bkp is not None:
            tensors["curved_at"] = self.curved_at_bkp.clone()
        if self._last_square_b is not None:
            tensors["last_square"] = self._last_square_b.clone()
        return State(tensors, numbers)

    def load(self, state: State) -> None:
        super().load(state)
        self._last_square_b = state.tensors.get("last_square")
        self._factor, self.curved_at_bkp = None, state.tensors.get("curved_at")
        if self.curved_at_bkp is not None:
            n_passes, theta_bkp = self.n_passes, self.theta_bkp
            self.theta_bkp = self.curved_at_bkp.clone()
            look = self._evaluate()
            self.theta_bkp, self.n_passes = theta_bkp, n_passes
            if torch.equal(theta_bkp, self.curved_at_bkp):  # a pass without a Hessian rounds otherwise
                self._look, self.n_passes = look, n_passes + 1
