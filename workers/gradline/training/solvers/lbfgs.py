"""L-BFGS: Newton's method with a Hessian learnt from the last few steps (Nocedal and Wright 2006, algorithm 7.5)."""

import torch
from torch import Tensor

from gradline.training.objective import Objective
from gradline.training.outcome import Outcome
from gradline.training.solvers.base import State
from gradline.training.solvers.line_search import Point, search

MAX_IDLE_STEPS = 10
"""Steps in a row that lower neither F beyond its rounding nor the gradient: there is nothing left to gain."""
MIN_CURVATURE = 1e-14
"""A pair whose s'y is below this share of y'y would make the learnt Hessian useless; it is left out."""


class Lbfgs:
    """For smooth objectives and one member. Parameters are seen as one vector of q = k * p entries."""

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, memory: int = 10) -> None:
        if theta_bkp.shape[0] != 1:
            raise ValueError(f"lbfgs fits one member, not {theta_bkp.shape[0]}: line searches of members do not stack")
        if objective.has_l1:
            raise ValueError("lbfgs needs a smooth objective: use fista for an l1 penalty")
        self.theta_bkp = theta_bkp
        self.ending: Outcome | None = None
        self._objective = objective
        self._memory = memory
        self._steps_q: list[Tensor] = []
        self._changes_q: list[Tensor] = []
        self._value, self._gradient_q = self._evaluate(theta_bkp)
        self._lowest_norm = self._norm()
        self._n_idle_steps = 0

    def is_converged(self, tolerance: float) -> bool:
        return self._norm() <= tolerance

    def step(self) -> None:
        """Search along the quasi-Newton direction; where that fails, once more along the gradient."""
        value_before = self._value
        if not self._search(self._direction()):
            self._steps_q, self._changes_q = [], []
            if not self._search(-self._gradient_q):
                self.ending = Outcome.STALLED
        self._look_for_progress(value_before)

    def _look_for_progress(self, value_before: float) -> None:
        norm = self._norm()
        is_lower = value_before - self._value > self._objective.rounding * abs(value_before)
        self._n_idle_steps = 0 if is_lower or norm < self._lowest_norm else self._n_idle_steps + 1
        self._lowest_norm = min(norm, self._lowest_norm)
        if self._n_idle_steps >= MAX_IDLE_STEPS:
            self.ending = Outcome.STALLED

    def _norm(self) -> float:
        return float(self._gradient_q.abs().max())

    def _search(self, direction_q: Tensor) -> bool:
        origin_q = self.theta_bkp.view(-1).clone()
        start = Point(0.0, self._value, torch.dot(self._gradient_q, direction_q).item(), self._gradient_q)
        if not start.slope < 0:
            return False

        def evaluate(length: float) -> Point:
            torch.add(origin_q, direction_q, alpha=length, out=self.theta_bkp.view(-1))
            value, gradient_q = self._evaluate(self.theta_bkp)
            return Point(length, value, torch.dot(gradient_q, direction_q).item(), gradient_q)

        first_length = 1.0 if self._steps_q else min(1.0, 1 / self._gradient_q.abs().sum().item())
        found = search(evaluate, start, first_length, self._objective.rounding)
        if found is None:
            self.theta_bkp.view(-1).copy_(origin_q)
            return False
        torch.add(origin_q, direction_q, alpha=found.length, out=self.theta_bkp.view(-1))
        self._remember(self.theta_bkp.view(-1) - origin_q, found.gradient_p - self._gradient_q)
        self._value, self._gradient_q = found.value, found.gradient_p
        return True

    def _evaluate(self, theta_bkp: Tensor) -> tuple[float, Tensor]:
        value_b, gradient_bkp = self._objective.smooth_value_and_gradient(theta_bkp)
        return value_b.item(), gradient_bkp.view(-1).clone()

    def _direction(self) -> Tensor:
        """-H g by the two-loop recursion; H_0 = s'y / y'y of the last pair."""
        direction_q = self._gradient_q.neg()
        pairs = list(zip(self._steps_q, self._changes_q, strict=True))
        shares = []
        for step_q, change_q in reversed(pairs):
            share = torch.dot(step_q, direction_q) / torch.dot(step_q, change_q)
            direction_q.sub_(share * change_q)
            shares.append(share)
        if pairs:
            step_q, change_q = pairs[-1]
            direction_q.mul_(torch.dot(step_q, change_q) / torch.dot(change_q, change_q))
        for (step_q, change_q), share in zip(pairs, reversed(shares), strict=True):
            direction_q.add_((share - torch.dot(change_q, direction_q) / torch.dot(step_q, change_q)) * step_q)
        return direction_q

    def _remember(self, step_q: Tensor, change_q: Tensor) -> None:
        if torch.dot(step_q, change_q) > MIN_CURVATURE * torch.dot(change_q, change_q):
            self._steps_q = [*self._steps_q, step_q][-self._memory :]
            self._changes_q = [*self._changes_q, change_q][-self._memory :]

    def state(self) -> State:
        tensors = {
            "gradient": self._gradient_q.clone(),
            "value": torch.tensor(self._value, dtype=torch.float64),
            "lowest_norm": torch.tensor(self._lowest_norm, dtype=torch.float64),
        }
        tensors |= {f"step.{i}": step_q for i, step_q in enumerate(self._steps_q)}
        tensors |= {f"change.{i}": change_q for i, change_q in enumerate(self._changes_q)}
        return State(tensors, {"n_pairs": len(self._steps_q), "n_idle_steps": self._n_idle_steps})

    def load(self, state: State) -> None:
        tensors, n_pairs = state.tensors, state.numbers["n_pairs"]
        self._value, self._gradient_q = tensors["value"].item(), tensors["gradient"]
        self._lowest_norm, self._n_idle_steps = tensors["lowest_norm"].item(), state.numbers["n_idle_steps"]
        self._steps_q = [tensors[f"step.{i}"] for i in range(n_pairs)]
        self._changes_q = [tensors[f"change.{i}"] for i in range(n_pairs)]
