"""FISTA: proximal gradient steps with momentum, for objectives with an l1 penalty or bounds.

Beck and Teboulle 2009, algorithm with backtracking; momentum starts anew where it points uphill (O'Donoghue and Candès
2015, gradient scheme). Each member has its own step size and momentum.
"""

import torch
from torch import Tensor

from gradline.training.bounds import DUALITY, Gap, gap_of
from gradline.training.duality import fenchel_bound
from gradline.training.objective import Objective
from gradline.training.solvers.base import State

FIRST_CURVATURE = 1e-2
GROWTH = 2.0
MAX_CURVATURE = 1e30


class Fista:
    """`curvature_b`, the reciprocal of the step size, only grows: it bounds the Hessian where the steps went."""

    ending = None

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, stops_on_gap: bool = False) -> None:
        self.theta_bkp = theta_bkp
        objective.keep_within(theta_bkp)
        self.n_passes = 0
        self._objective = objective
        self._stops_on_gap = stops_on_gap
        self._next_look_b = theta_bkp.new_full((theta_bkp.shape[0],), torch.inf)
        """Residuals from which the gap, which takes passes, is looked at again."""
        members = theta_bkp.shape[0]
        self._ahead_bkp = theta_bkp.clone()
        """Where the next gradient is taken: theta plus momentum."""
        self._curvature_b = theta_bkp.new_full((members,), FIRST_CURVATURE)
        self._momentum_b = theta_bkp.new_ones(members)
        self._residual_b = theta_bkp.new_full((members,), torch.inf)
        """Size of the last proximal gradient: cheap, and small before the true measure is."""

    def is_converged(self, tolerance: float) -> bool:
        if self._stops_on_gap:
            return self._is_within(tolerance)
        if not bool((self._residual_b <= tolerance).all()):
            return False
        return bool((self._objective.stationarity(self.theta_bkp) <= tolerance).all())

    def _is_within(self, tolerance: float) -> bool:
        """Whether the relative gap is, looked at whenever the residual has halved."""
        if not bool((self._residual_b <= self._next_look_b).all()) or not bool(self._residual_b.isfinite().all()):
            return False
        self._next_look_b = self._residual_b / 2
        self.n_passes += 3
        return bool((self.gap().relative_b <= tolerance).all())

    def gap(self) -> Gap:
        """Three passes."""
        fitness = self._objective.fitness(self.theta_bkp)
        value_b, floor_b = fitness.loss_b + fitness.penalty_b, torch.zeros_like(fitness.loss_b)
        return gap_of(DUALITY, value_b, fenchel_bound(self._objective, self.theta_bkp, value_b), floor_b)

    def step(self) -> None:
        ahead_bkp = self._ahead_bkp
        self.n_passes += 1
        value_b, gradient_bkp = self._objective.smooth_value_and_gradient(ahead_bkp)
        next_bkp = self._proximal_step(ahead_bkp, value_b, gradient_bkp.clone())
        self._residual_b = self._curvature_b * (next_bkp - ahead_bkp).abs().amax((1, 2))
        moved_bkp = next_bkp - self.theta_bkp
        is_uphill_b = ((ahead_bkp - next_bkp) * moved_bkp).sum((1, 2)) > 0
        momentum_b = torch.where(is_uphill_b, 1.0, (1 + (1 + 4 * self._momentum_b.square()).sqrt()) / 2)
        push_b = torch.where(is_uphill_b, 0.0, (self._momentum_b - 1) / momentum_b)
        self._momentum_b = momentum_b
        self._ahead_bkp = next_bkp + push_b.view(-1, 1, 1) * moved_bkp
        self.theta_bkp.copy_(next_bkp)

    def _proximal_step(self, ahead_bkp: Tensor, value_b: Tensor, gradient_bkp: Tensor) -> Tensor:
        """Double the curvature until the quadratic model bounds the smooth part at the step's end."""
        while True:
            step_size_b11 = (1 / self._curvature_b).view(-1, 1, 1)
            next_bkp = ahead_bkp - step_size_b11 * gradient_bkp
            self._objective.shrink(next_bkp, step_size_b11)
            moved_bkp = (next_bkp - ahead_bkp).double()
            model_b = (
                value_b
                + (gradient_bkp * moved_bkp).sum((1, 2))
                + self._curvature_b / 2 * moved_bkp.square().sum((1, 2))
                + self._objective.rounding * value_b.abs()
            )
            self.n_passes += 1
            is_short_b = ~(self._objective.smooth_value(next_bkp) <= model_b) & (self._curvature_b < MAX_CURVATURE)
            if not bool(is_short_b.any()):
                return next_bkp
            self._curvature_b = torch.where(is_short_b, self._curvature_b * GROWTH, self._curvature_b)

    def state(self) -> State:
        tensors = {
            "ahead": self._ahead_bkp,
            "curvature": self._curvature_b,
            "momentum": self._momentum_b,
            "residual": self._residual_b,
            "next_look": self._next_look_b,
        }
        return State({name: tensor.clone() for name, tensor in tensors.items()}, {"n_passes": self.n_passes})

    def load(self, state: State) -> None:
        self.n_passes = state.numbers["n_passes"]
        self._ahead_bkp = state.tensors["ahead"]
        self._curvature_b = state.tensors["curvature"]
        self._momentum_b = state.tensors["momentum"]
        self._residual_b = state.tensors["residual"]
        self._next_look_b = state.tensors["next_look"]
