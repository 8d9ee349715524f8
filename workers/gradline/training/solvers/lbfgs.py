"""L-BFGS: Newton's method with a Hessian learnt from the last few steps (Nocedal and Wright 2006, algorithm 7.5)."""

import math

import torch
from torch import Tensor

from gradline.training.bounds import DUALITY, Gap, duality_bound, gap_of
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

    def __init__(
        self, objective: Objective, theta_bkp: Tensor, *, memory: int = 10, stops_on_gap: bool = False
    ) -> None:
        if theta_bkp.shape[0] != 1:
            raise ValueError(f"lbfgs fits one member, not {theta_bkp.shape[0]}: line searches of members do not stack")
        if not objective.is_smooth:
            raise ValueError("lbfgs needs a smooth objective: use fista for an l1 penalty or bounds")
        self.theta_bkp = theta_bkp
        self.ending: Outcome | None = None
        self._objective = objective
        self._memory = memory
        self._stops_on_gap = stops_on_gap
        self._first_value = math.nan
        self._steps_q: list[Tensor] = []
        self._changes_q: list[Tensor] = []
        self._value, self._gradient_q = math.nan, torch.empty(0)
        """Of theta, once it has been looked at."""
        self._lowest_norm = math.inf
        self._n_idle_steps = 0
        self.n_passes = 0

    def is_converged(self, tolerance: float) -> bool:
        self._look()
        if not self._stops_on_gap:
            return self._norm() <= tolerance
        is_possible = self._least_gap() <= tolerance * max(self._value, self._floor().item())
        return is_possible and bool(self.gap().relative_b <= tolerance)

    def _least_gap(self) -> float:
        """What the bound cannot be below; costs nothing."""
        l2_b, gradient_bkp = self._objective.l2_b.double(), self._gradient_bkp()
        w_bkd = gradient_bkp[:, :, : self._objective.problem.d]
        return (w_bkd.square().sum((1, 2)) / (2 * l2_b)).item() if self._objective.has_l2 else math.inf

    def gap(self) -> Gap:
        """Of theta, by the l2 penalty; one pass where there is an intercept."""
        self._look()
        intercept_bkk = self._objective.intercept_curvature(self.theta_bkp)
        radius = 0.0 if intercept_bkk is None else self._objective.problem.radius
        bound_b = duality_bound(self._gradient_bkp(), self._objective.l2_b.double(), intercept_bkk, radius)
        return gap_of(DUALITY, bound_b.new_tensor([self._value]), bound_b, self._floor())

    def _gradient_bkp(self) -> Tensor:
        return self._gradient_q.double().view(self.theta_bkp.shape)

    def _floor(self) -> Tensor:
        eps = torch.finfo(torch.float64).eps
        return torch.tensor([eps * self._first_value], dtype=torch.float64, device=self.theta_bkp.device)

    def step(self) -> None:
        """Search along the quasi-Newton direction; where that fails, once more along the gradient."""
        self._look()
        value_before = self._value
        if not self._search(self._direction()):
            self._steps_q, self._changes_q = [], []
            if not self._search(-self._gradient_q):
                self.ending = Outcome.STALLED
        self._look_for_progress(value_before)

    def _look(self) -> None:
        if not len(self._gradient_q):
            self._value, self._gradient_q = self._evaluate(self.theta_bkp)
            self._lowest_norm = self._norm()
            if math.isnan(self._first_value):
                self._first_value = self._value

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

        found = search(evaluate, start, self._first_length(), self._objective.rounding)
        if found is None:
            self.theta_bkp.view(-1).copy_(origin_q)
            return False
        torch.add(origin_q, direction_q, alpha=found.length, out=self.theta_bkp.view(-1))
        self._remember(self.theta_bkp.view(-1) - origin_q, found.gradient_p - self._gradient_q)
        self._value, self._gradient_q = found.value, found.gradient_p
        return True

    def _evaluate(self, theta_bkp: Tensor) -> tuple[float, Tensor]:
        self.n_passes += 1
        derivatives = self._objective.derivatives(theta_bkp)
        return derivatives.value_b.item(), derivatives.gradient_bkp.view(-1).to(theta_bkp.dtype, copy=True)

    def _direction(self) -> Tensor:
        """-H g by the two-loop recursion."""
        direction_q = self._gradient_q.neg()
        pairs = list(zip(self._steps_q, self._changes_q, strict=True))
        shares = []
        for step_q, change_q in reversed(pairs):
            share = torch.dot(step_q, direction_q) / torch.dot(step_q, change_q)
            direction_q.sub_(share * change_q)
            shares.append(share)
        direction_q = self._first_inverse(direction_q)
        for (step_q, change_q), share in zip(pairs, reversed(shares), strict=True):
            direction_q.add_((share - torch.dot(change_q, direction_q) / torch.dot(step_q, change_q)) * step_q)
        return direction_q

    def _first_inverse(self, direction_q: Tensor) -> Tensor:
        """H_0 times a direction: s'y / y'y of the last pair."""
        if not self._steps_q:
            return direction_q
        step_q, change_q = self._steps_q[-1], self._changes_q[-1]
        return direction_q.mul_(torch.dot(step_q, change_q) / torch.dot(change_q, change_q))

    def _first_length(self) -> float:
        """Nothing is known of the scale before the first pair."""
        return 1.0 if self._steps_q else min(1.0, 1 / self._gradient_q.abs().sum().item())

    def _remember(self, step_q: Tensor, change_q: Tensor) -> None:
        if torch.dot(step_q, change_q) > MIN_CURVATURE * torch.dot(change_q, change_q):
            self._steps_q = [*self._steps_q, step_q][-self._memory :]
            self._changes_q = [*self._changes_q, change_q][-self._memory :]

    def state(self) -> State:
        tensors = {
            "gradient": self._gradient_q.clone(),
            "value": torch.tensor(self._value, dtype=torch.float64),
            "first_value": torch.tensor(self._first_value, dtype=torch.float64),
            "lowest_norm": torch.tensor(self._lowest_norm, dtype=torch.float64),
        }
        tensors |= {f"step.{i}": step_q for i, step_q in enumerate(self._steps_q)}
        tensors |= {f"change.{i}": change_q for i, change_q in enumerate(self._changes_q)}
        return State(
            tensors, {"n_pairs": len(self._steps_q), "n_idle_steps": self._n_idle_steps, "n_passes": self.n_passes}
        )

    def load(self, state: State) -> None:
        tensors, n_pairs = state.tensors, state.numbers["n_pairs"]
        self._value, self._gradient_q = tensors["value"].item(), tensors["gradient"]
        self._first_value = tensors["first_value"].item()
        self._lowest_norm, self._n_idle_steps = tensors["lowest_norm"].item(), state.numbers["n_idle_steps"]
        self.n_passes = state.numbers["n_passes"]
        self._steps_q = [tensors[f"step.{i}"] for i in range(n_pairs)]
        self._changes_q = [tensors[f"change.{i}"] for i in range(n_pairs)]
