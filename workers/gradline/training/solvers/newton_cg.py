"""Truncated Newton: steps from preconditioned conjugate gradients, which need products with the Hessian only.

    H s = -g to a residual of at most eta |g|, eta = min(1/4, sqrt(|g| / |g_0|)), then a backtracking line search

Dembo, Eisenstat and Steihaug 1982; Nocedal and Wright 2006, algorithms 5.3 and 7.1. Norms are those of the
preconditioner's inverse (see `preconditioner`).

With an l2 penalty it stops on the duality gap, and the last system is solved no further than that needs. Without one
nothing is known but the decrement that the system at theta gives: an estimate, and called so.
Shapes: b members, q = k * p parameters.
"""

from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.training.bounds import DUALITY, ESTIMATE, Gap, duality_bound, gap_of
from gradline.training.derivatives import Want
from gradline.training.objective import Objective
from gradline.training.outcome import Outcome
from gradline.training.solvers.backtracking import backtrack
from gradline.training.solvers.base import State
from gradline.training.solvers.preconditioner import Preconditioner

MAX_PRODUCTS = 500
"""In one step."""
COARSEST = 0.25
SAFETY = 0.5
"""The last residual is this share of what the duality gap allows."""
MAX_IDLE_STEPS = 3
"""Steps in a row that neither lower F by more than rounding nor shrink the gradient: nothing is left to gain."""
FLATTER = 0.9


class Look(NamedTuple):
    """The objective at theta."""

    value_b: Tensor
    gradient_bq: Tensor
    weights: Any
    curvature_bk: Tensor
    """Mean over the rows, for each output."""
    norm_b: Tensor
    """Of the gradient."""


class Step(NamedTuple):
    step_bq: Tensor
    decrement_b: Tensor
    residual_b: Tensor
    """As a share of the gradient."""


class NewtonCg:
    """For smooth objectives of many parameters."""

    def __init__(self, objective: Objective, theta_bkp: Tensor) -> None:
        if not objective.is_smooth:
            raise ValueError("newton-cg needs a smooth objective: use fista for an l1 penalty or bounds")
        self.theta_bkp = theta_bkp
        self.ending: Outcome | None = None
        self.n_passes = 0
        self._objective = objective
        self._has_l2 = bool((objective.l2_b > 0).all())
        self._look: Look | None = None
        self._solved: Step | None = None
        self._first_value_b: Tensor | None = None
        self._first_norm_b: Tensor | None = None
        self._first_curvature_b: Tensor | None = None
        self._n_idle_steps = 0
        self._tolerance = 0.0

    # --- how far from the minimum

    def is_converged(self, tolerance: float) -> bool:
        self._tolerance = tolerance
        look = self._looked()
        if self._is_separated(look):
            return False
        least_b = self._least_gap() if self._has_l2 else self.gap().bound_b
        if not bool((least_b <= tolerance * torch.maximum(look.value_b, self._floor())).all()):
            return False
        return bool((self.gap().relative_b <= tolerance).all())

    def _is_separated(self, look: Look) -> bool:
        """Whether theta separates the classes, or fits counts of 0, so that without a penalty there is no minimum: the
        estimate of the gap, which falls with the loss, would not tell."""
        problem = self._objective.problem
        if self._has_l2 or (problem.family.is_classification and problem.offset_n1 is not None):
            return False
        return bool((look.value_b < problem.separated_below_b).any())

    def _least_gap(self) -> Tensor:
        """What the duality gap cannot be below; costs nothing."""
        gradient_bkp = self._looked().gradient_bq.view(self.theta_bkp.shape)
        w_bkd = gradient_bkp[:, :, : self._objective.problem.d]
        return w_bkd.square().sum((1, 2)) / (2 * self._objective.l2_b.double())

    def gap(self) -> Gap:
        look = self._looked()
        if not self._has_l2:
            solved = self._solve()
            estimate_b = solved.decrement_b.square() / 2 / (1 - solved.residual_b.clamp(max=0.9))
            return gap_of(ESTIMATE, look.value_b, estimate_b, self._floor())
        intercept_bkk = self._objective.intercept_curvature(self.theta_bkp)
        radius = 0.0 if intercept_bkk is None else self._objective.problem.radius
        gradient_bkp = look.gradient_bq.view(self.theta_bkp.shape)
        bound_b = duality_bound(gradient_bkp, self._objective.l2_b.double(), intercept_bkk, radius)
        return gap_of(DUALITY, look.value_b, bound_b, self._floor())

    def _looked(self) -> Look:
        if self._look is None:
            self._look = self._evaluate()
            if self._first_value_b is None:
                self._first_value_b, self._first_norm_b = self._look.value_b, self._look.norm_b
        return self._look

    def _evaluate(self) -> Look:
        self.n_passes += 1
        found = self._objective.derivatives(self.theta_bkp, Want.PRODUCTS)
        curvature_bk = self._objective.mean_curvature(found.weights)
        if self._first_curvature_b is None:
            self._first_curvature_b = curvature_bk.mean(1)
        gradient_bq = found.gradient_bkp.flatten(1)
        norm_b = (gradient_bq * self._precondition(gradient_bq, curvature_bk)).sum(1).sqrt()
        return Look(found.value_b, gradient_bq, found.weights, curvature_bk, norm_b)

    @cached_property
    def _preconditioner(self) -> Preconditioner:
        assert self._first_curvature_b is not None  # noqa: S101  every caller has looked
        return Preconditioner(self._objective, self._first_curvature_b)

    def _precondition(self, residual_bq: Tensor, curvature_bk: Tensor) -> Tensor:
        return self._preconditioner.solve(residual_bq.view(self.theta_bkp.shape), curvature_bk).flatten(1)

    def _floor(self) -> Tensor:
        assert self._first_value_b is not None  # noqa: S101  every caller has looked
        return self._first_value_b * torch.finfo(torch.float64).eps

    # --- a step

    def step(self) -> None:
        before = self._looked()
        if self._is_separated(before):
            self.ending = Outcome.SEPARATED
            return
        solved = self._solve()
        self._look = self._solved = None

        def evaluate() -> Tensor:
            self._look = self._evaluate()
            return self._look.value_b

        def shorten() -> Tensor:
            self._look = None
            self.n_passes += 1
            return self._objective.smooth_value(self.theta_bkp)

        slope_b = solved.decrement_b.square()
        backtrack(self.theta_bkp, solved.step_bq, before.value_b, slope_b, self._objective.rounding, evaluate, shorten)
        after = self._looked()
        is_lower_b = after.value_b < before.value_b - self._objective.rounding * before.value_b.abs()
        is_flatter_b = after.norm_b < FLATTER * before.norm_b
        self._n_idle_steps = 0 if bool((is_lower_b | is_flatter_b).any()) else self._n_idle_steps + 1
        if self._n_idle_steps >= MAX_IDLE_STEPS:
            self.ending = Outcome.STALLED

    def _solve(self) -> Step:
        """Of H s = -g, by preconditioned conjugate gradients from 0; members end together."""
        if self._solved is None:
            self._solved = self._conjugate_gradients(self._looked())
        return self._solved

    def _conjugate_gradients(self, look: Look) -> Step:
        step_bq, residual_bq = torch.zeros_like(look.gradient_bq), -look.gradient_bq
        scaled_bq = self._precondition(residual_bq, look.curvature_bk)
        direction_bq, slope_b = scaled_bq.clone(), (residual_bq * scaled_bq).sum(1)
        norm_b = slope_b.sqrt()
        enough_b = self._enough(look, norm_b)
        for _ in range(MAX_PRODUCTS):
            if bool((slope_b.sqrt() <= enough_b).all()):
                break
            self.n_passes += 1
            curved_bq = self._objective.hessian_product(look.weights, direction_bq.view(self.theta_bkp.shape)).flatten(
                1
            )
            curvature_b = (direction_bq * curved_bq).sum(1)
            length_b1 = torch.where(curvature_b > 0, slope_b / curvature_b, 0.0).unsqueeze(1)
            step_bq.addcmul_(direction_bq, length_b1)
            residual_bq.addcmul_(curved_bq, length_b1, value=-1)
            scaled_bq = self._precondition(residual_bq, look.curvature_bk)
            last_b, slope_b = slope_b, (residual_bq * scaled_bq).sum(1)
            turn_b1 = torch.where(last_b > 0, slope_b / last_b, 0.0).unsqueeze(1)
            direction_bq = torch.addcmul(scaled_bq, direction_bq, turn_b1)
        decrement_b = -(look.gradient_bq * step_bq).sum(1)
        return Step(step_bq, decrement_b.clamp(min=0).sqrt(), torch.where(norm_b > 0, slope_b.sqrt() / norm_b, 0.0))

    def _enough(self, look: Look, norm_b: Tensor) -> Tensor:
        assert self._first_norm_b is not None  # noqa: S101  every caller has looked
        coarsest_b = COARSEST * norm_b
        enough_b = norm_b * (norm_b / self._first_norm_b).sqrt().clamp(max=COARSEST)
        if not self._has_l2:
            return enough_b
        aim_b = (2 * self._objective.l2_b.double() * self._tolerance * look.value_b).sqrt()  # of |g|
        gradient_b = look.gradient_bq.norm(dim=1)
        allowed_b = (SAFETY * norm_b * aim_b / gradient_b).nan_to_num(nan=0.0)
        return torch.maximum(enough_b, torch.minimum(allowed_b, coarsest_b))

    # --- written down and taken up again

    def state(self) -> State:
        pairs = {
            "first_value": self._first_value_b,
            "first_norm": self._first_norm_b,
            "first_curvature": self._first_curvature_b,
        }
        tensors = {name: tensor.clone() for name, tensor in pairs.items() if tensor is not None}
        n_passes = self.n_passes - (self._look is not None)  # the look is taken again
        return State(tensors, {"n_passes": n_passes, "n_idle_steps": self._n_idle_steps})

    def load(self, state: State) -> None:
        self._look = self._solved = None
        self._first_value_b, self._first_norm_b = state.tensors.get("first_value"), state.tensors.get("first_norm")
        self._first_curvature_b = state.tensors.get("first_curvature")
        self.__dict__.pop("_preconditioner", None)
        self.n_passes, self._n_idle_steps = state.numbers["n_passes"], state.numbers["n_idle_steps"]
