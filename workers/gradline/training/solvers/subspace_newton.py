"""Newton's method within a few directions at a time, for many features and an l2 penalty on all of them.

    theta <- the minimum of F over theta + span(P^-1 g, the last steps, the intercepts),    P the preconditioner

For least squares these are the steps of preconditioned conjugate gradients; for other losses the search in the span
keeps what conjugacy loses (Yuan and Stoer 1995; Narkiss and Zibulevsky 2005). A step costs one pass: half for the rows'
linear predictors of the one new direction, half for the gradient where the search ends.

It stops on the duality gap, at the residuals of theta or at a combination with those of the last steps (see
`extrapolation`), neither of which costs a pass. Linear predictors are carried from step to step, and what products in
float32 round off with them: before the gap is told they are computed anew, and where that fails the fit goes on from
there.
Shapes: b members, n rows, k outputs, s directions, q = k * p parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training import rowwise
from gradline.training.bounds import DUALITY, Gap, gap_of
from gradline.training.extrapolation import DualPoint, extrapolated_gap, gap_of_rows, half_square_over_l2
from gradline.training.objective import Objective
from gradline.training.outcome import Outcome
from gradline.training.rows import Rows
from gradline.training.solvers.base import State
from gradline.training.solvers.preconditioner import Preconditioner
from gradline.training.solvers.subspace import EPS, ROUNDING, Subspace, is_rounding

MEMORY = 8
"""Last steps, and last residuals."""
MAX_IDLE_STEPS = 20
"""Steps in a row that neither lower F by more than its rounding nor the best bound by a tenth."""
SMALLER = 0.9
EXTRAPOLATION_GAIN = 30.0
"""A combination of residuals is looked for where the bound by the last ones is at most this far from the tolerance."""


class Look(NamedTuple):
    """F at theta."""

    z_bnk: Tensor
    mean_bnk: Tensor
    value_b: Tensor
    u_bq: Tensor
    """The gradient of the loss."""
    gradient_bq: Tensor
    curvature_bk: Tensor
    """Mean over the rows, for each output."""


class Direction(NamedTuple):
    d_bq: Tensor
    z_bnk: Tensor


class SubspaceNewton:
    """For smooth objectives that have an l2 penalty in every member."""

    def __init__(self, objective: Objective, theta_bkp: Tensor) -> None:
        if not objective.is_smooth or not bool((objective.l2_b > 0).all()):
            raise ValueError(
                "newton's method within a subspace needs an l2 penalty, and neither an l1 penalty nor bounds"
            )
        self.theta_bkp = theta_bkp
        self.ending: Outcome | None = None
        self.n_passes = 0
        self._objective = objective
        self._rows = Rows(objective.problem)
        self._look: Look | None = None
        self._told: tuple[Tensor, Tensor] | None = None
        """F and its bound, once they have been asked for."""
        self._directions: list[Direction] = []
        self._points: list[DualPoint] = []
        self._first_value_b: Tensor | None = None
        self._first_curvature_b: Tensor | None = None
        self._preconditioner: Preconditioner | None = None
        self._best_bound_b = torch.full_like(objective.l2_bq[:, 0], torch.inf)
        self._n_idle_steps = 0

    # --- how far from the minimum

    def is_converged(self, tolerance: float) -> bool:
        look = self._looked()
        aim_b = tolerance * look.value_b
        if not bool((self._plain_bound(look) <= EXTRAPOLATION_GAIN * aim_b).all()):
            return False
        if not bool((self._bound(look, look.z_bnk) <= aim_b).all()):
            return False
        if bool((self.gap().relative_b <= tolerance).all()):
            return True
        self._directions = []
        self._look_at(self._predictor())
        return False

    def gap(self) -> Gap:
        look = self._looked()
        assert self._first_value_b is not None  # noqa: S101  looking sets it
        if self._told is None:
            z_bnk = self._predictor()
            self._told = self._value(z_bnk), self._bound(look, z_bnk)
            self.n_passes += 1
        return gap_of(DUALITY, *self._told, self._first_value_b * EPS)

    def _plain_bound(self, look: Look) -> Tensor:
        """At the residuals of theta themselves; inf where they do not add up to 0."""
        if not self._points or self._points[-1].u_bq is not look.u_bq:
            return torch.full_like(look.value_b, torch.inf)
        return half_square_over_l2(look.gradient_bq, self._objective.l2_bq)

    def _bound(self, look: Look, z_bnk: Tensor) -> Tensor:
        """`z_bnk`: as the look has it, or as it should be."""
        bound_b = self._plain_bound(look)
        if not bool(bound_b.isfinite().all()):
            return bound_b
        bound_b = bound_b + gap_of_rows(self._rows, z_bnk, self._points[-1].a_bnk)
        if len(self._points) == 1:
            return bound_b
        l2_bq, theta_bq = self._objective.l2_bq, self.theta_bkp.flatten(1)
        return torch.minimum(bound_b, extrapolated_gap(self._rows, l2_bq, theta_bq, z_bnk, self._points))

    def _predictor(self) -> Tensor:
        z_bnk = self._rows.predict(self.theta_bkp)
        return z_bnk if self._rows.offset_1n1 is None else z_bnk + self._rows.offset_1n1

    def _value(self, z_bnk: Tensor) -> Tensor:
        theta_bq = self.theta_bkp.flatten(1)
        return self._rows.loss(z_bnk) + (self._objective.l2_bq * theta_bq.square()).sum(1) / 2

    def _looked(self) -> Look:
        if self._look is None:
            look = self._look_at(self._predictor())
            self._first_value_b, self._first_curvature_b = look.value_b, look.curvature_bk.mean(1)
            return look
        return self._look

    def _look_at(self, z_bnk: Tensor) -> Look:
        self.n_passes += 1
        rows = self._rows
        a_bnk = rowwise.means(rows.family, z_bnk) - rows.y_1nk
        point = DualPoint(a_bnk, rows.collect(a_bnk * rows.share_bn1).flatten(1))
        look = self._look_of(z_bnk, point.u_bq)
        if not rows.has_intercept or is_rounding((a_bnk * rows.share_bn1).sum(1), rows, look.mean_bnk):
            self._points = [*self._points, point][-MEMORY:]
        self._look, self._told = look, None
        return look

    def _look_of(self, z_bnk: Tensor, u_bq: Tensor) -> Look:
        rows, gradient_bq = self._rows, u_bq + self._objective.l2_bq * self.theta_bkp.flatten(1)
        mean_bnk = rowwise.means(rows.family, z_bnk)
        curvature_bk = (rowwise.variances(rows.family, mean_bnk) * rows.share_bn1).sum(1)
        return Look(z_bnk, mean_bnk, self._value(z_bnk), u_bq, gradient_bq, curvature_bk)

    # --- a step

    def step(self) -> None:
        before = self._looked()
        directions = [self._new_direction(before), *self._directions]
        d_bsq = torch.stack([direction.d_bq for direction in directions], 1)
        z_bsnk = torch.stack([direction.z_bnk for direction in directions], 1)
        subspace = Subspace(self._objective, self._rows, self.theta_bkp, before.z_bnk, d_bsq, z_bsnk)
        theta_bkp, z_bnk = subspace.minimise()
        taken = Direction((theta_bkp - self.theta_bkp).flatten(1), z_bnk - before.z_bnk)
        self._directions = [taken, *self._directions][:MEMORY]
        self.theta_bkp.copy_(theta_bkp)
        self._judge(before, self._look_at(z_bnk))

    def _new_direction(self, look: Look) -> Direction:
        """The preconditioned gradient, the intercepts left to the search."""
        if self._preconditioner is None:
            assert self._first_curvature_b is not None  # noqa: S101  looking sets it
            self._preconditioner = Preconditioner(self._objective, self._first_curvature_b)
        gradient_bkp = look.gradient_bq.view(self.theta_bkp.shape)
        direction_bkp = self._preconditioner.solve(gradient_bkp, look.curvature_bk)
        direction_bkp[:, :, self._objective.problem.d :] = 0.0
        return Direction(direction_bkp.flatten(1), self._rows.predict(direction_bkp))

    def _judge(self, before: Look, after: Look) -> None:
        """Whether anything is left to gain."""
        bound_b = self._plain_bound(after)
        is_lower_b = after.value_b < before.value_b - ROUNDING * before.value_b.abs()
        is_nearer_b = bound_b < SMALLER * self._best_bound_b
        self._n_idle_steps = 0 if bool((is_lower_b | is_nearer_b).any()) else self._n_idle_steps + 1
        self._best_bound_b = torch.where(is_nearer_b, bound_b, self._best_bound_b)
        if self._n_idle_steps >= MAX_IDLE_STEPS:
            self.ending = Outcome.STALLED

    # --- written down and taken up again

    def state(self) -> State:
        numbers = {"n_passes": self.n_passes, "n_idle_steps": self._n_idle_steps}
        if self._look is None:
            return State({}, numbers)
        assert self._first_value_b is not None  # noqa: S101  looking sets both
        assert self._first_curvature_b is not None  # noqa: S101
        tensors = {
            "predictor": self._look.z_bnk,
            "u": self._look.u_bq,
            "best_bound": self._best_bound_b,
            "first_value": self._first_value_b,
            "first_curvature": self._first_curvature_b,
        }
        if self._told is not None:
            tensors |= {"told.value": self._told[0], "told.bound": self._told[1]}
        for i, direction in enumerate(self._directions):
            tensors |= {f"direction.{i}.d": direction.d_bq, f"direction.{i}.z": direction.z_bnk}
        for i, point in enumerate(self._points):
            tensors |= {f"point.{i}.a": point.a_bnk, f"point.{i}.u": point.u_bq}
        numbers |= {"n_directions": len(self._directions), "n_points": len(self._points)}
        numbers["is_settled"] = bool(self._points) and self._points[-1].u_bq is self._look.u_bq
        return State({name: tensor.clone() for name, tensor in tensors.items()}, numbers)

    def load(self, state: State) -> None:
        tensors, numbers = state.tensors, state.numbers
        self.n_passes, self._n_idle_steps = numbers["n_passes"], numbers["n_idle_steps"]
        self._look = self._told = self._preconditioner = None
        if not tensors:
            return
        self._first_value_b, self._first_curvature_b = tensors["first_value"], tensors["first_curvature"]
        self._best_bound_b = tensors["best_bound"]
        self._directions = [
            Direction(tensors[f"direction.{i}.d"], tensors[f"direction.{i}.z"]) for i in range(numbers["n_directions"])
        ]
        self._points = [DualPoint(tensors[f"point.{i}.a"], tensors[f"point.{i}.u"]) for i in range(numbers["n_points"])]
        u_bq = self._points[-1].u_bq if numbers["is_settled"] else tensors["u"]
        self._look = self._look_of(tensors["predictor"], u_bq)
        if "told.value" in tensors:
            self._told = tensors["told.value"], tensors["told.bound"]
