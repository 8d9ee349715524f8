"""Proximal Newton, for l1 penalties and bounds: each step is the minimum of the quadratic model plus the penalty.

    d = argmin g'd + d'Hd / 2 + l1 |w + d|_1,    then t = 1, 1/2, ... until F falls by 1e-4 t times the model's slope

w + d is within the bounds, and so is all that lies between.
Lee, Sun and Saunders 2014; the model's minimum is found by `lasso`. For many rows the first step is the fit of a sample
of them. It stops on the duality gap, with bounds on that of the decrement if it is smaller, which is looked at once the
model promises no more than the tolerance.

Shapes: b members, q = k * p parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.bounds import DUALITY, NEWTON, Gap, gap_of
from gradline.training.decrement import decrement_bound
from gradline.training.derivatives import Want
from gradline.training.duality import fenchel_bound
from gradline.training.objective import Objective
from gradline.training.outcome import Outcome
from gradline.training.solvers.backtracking import backtrack
from gradline.training.solvers.base import State
from gradline.training.solvers.lasso import Lasso, minimise_lasso
from gradline.training.solvers.newton import MAX_UNBOUNDED_STEPS, SMALL_GAP, rounded_zero
from gradline.training.solvers.sample import sample_rows

MAX_IDLE_STEPS = 3
"""Steps in a row that neither halve the model's decrease nor lower F by more than rounding."""
POLISHED = 1e-14
"""Relative decrease to which small fits go on."""
MAX_SAMPLE_STEPS = 30
SAMPLE_TOLERANCE = 1e-4


class Look(NamedTuple):
    """The objective at theta, and the step that its model asks for."""

    value_b: Tensor
    step_bq: Tensor
    slope_b: Tensor
    """How fast the model falls at first along the step; not negative."""
    decrease_b: Tensor
    """Of the model, at the end of the step."""


class ProximalNewton:
    """Members share the passes; each has penalties and a step length of its own."""

    def __init__(
        self, objective: Objective, theta_bkp: Tensor, *, is_polished: bool = False, n_rows: int | None = None
    ) -> None:
        self.theta_bkp = theta_bkp
        objective.keep_within(theta_bkp)
        self.ending: Outcome | None = None
        self.n_passes = 0
        self._objective = objective
        self._is_polished = is_polished
        self._n_rows = n_rows
        self._has_started = n_rows is None
        self._l1_bq, self._box_bq = objective.l1_diagonal(), objective.box_bq()
        self._look: Look | None = None
        self._first_value_b: Tensor | None = None
        self._n_idle_steps = 0
        self._n_unbounded_steps = 0

    # --- how far from the minimum

    def is_converged(self, tolerance: float) -> bool:
        if not self._has_started or not self.is_within(tolerance):
            return False
        self.n_passes += 2
        if not bool((self.gap().relative_b <= tolerance).all()):
            return False
        return not self._is_polished or self._n_idle_steps > 0 or self.is_within(POLISHED)

    def is_within(self, tolerance: float) -> bool:
        """Whether the model's decrease is."""
        look = self.look()
        return bool((look.decrease_b <= tolerance * torch.maximum(look.value_b, self._floor())).all())

    def gap(self) -> Gap:
        """Two passes, with bounds three."""
        look, objective = self.look(), self._objective
        method, bound_b = DUALITY, fenchel_bound(objective, self.theta_bkp, look.value_b)
        if objective.box is not None:
            self.n_passes += 1
            by_decrement_b = decrement_bound(objective, self.theta_bkp)
            method = NEWTON if bool((by_decrement_b <= bound_b).all()) else DUALITY
            bound_b = torch.minimum(bound_b, by_decrement_b)
        return gap_of(method, look.value_b, bound_b, self._floor())

    def look(self) -> Look:
        if self._look is None:
            self._look = self._evaluate()
            if self._first_value_b is None:
                self._first_value_b = self._look.value_b
        return self._look

    def _evaluate(self) -> Look:
        self.n_passes += 1
        found = self._objective.derivatives(self.theta_bkp, Want.HESSIAN)
        assert found.hessian_bqq is not None  # noqa: S101  asked for
        hessian_bqq = self._objective.without_gauge(found.hessian_bqq)
        g_bq, w_bq = found.gradient_bkp.flatten(1), self.theta_bkp.flatten(1).double()
        curved_bq = (hessian_bqq @ w_bq.unsqueeze(2)).squeeze(2)
        step_bq = minimise_lasso(Lasso(hessian_bqq, g_bq - curved_bq, self._l1_bq, self._box_bq), w_bq) - w_bq
        l1_change_b = (self._l1_bq * ((w_bq + step_bq).abs() - w_bq.abs())).sum(1)
        slope_b = -((g_bq * step_bq).sum(1) + l1_change_b)
        curvature_b = (step_bq * (hessian_bqq @ step_bq.unsqueeze(2)).squeeze(2)).sum(1)
        value_b = found.value_b + self._objective.l1_term(self.theta_bkp)
        return Look(value_b, step_bq, slope_b.clamp(min=0.0), (slope_b - curvature_b / 2).clamp(min=0.0))

    def _floor(self) -> Tensor:
        self.look()
        assert self._first_value_b is not None  # noqa: S101  looking sets it
        return rounded_zero(self._objective.problem, self._first_value_b)

    # --- a step

    def step(self) -> None:
        if not self._has_started:
            self._start()
            return
        before = self.look()

        def evaluate_all() -> Tensor:
            self._objective.keep_within(self.theta_bkp)
            self._look = self._evaluate()
            return self._look.value_b

        def evaluate() -> Tensor:
            self._objective.keep_within(self.theta_bkp)
            self._look = None
            self.n_passes += 1
            return self._objective.smooth_value(self.theta_bkp) + self._objective.l1_term(self.theta_bkp)

        rounding = self._objective.rounding
        backtrack(self.theta_bkp, before.step_bq, before.value_b, before.slope_b, rounding, evaluate_all, evaluate)
        after = self.look()
        is_lower_b = after.value_b < before.value_b - rounding * before.value_b.abs()
        has_moved = bool((is_lower_b | (after.decrease_b <= before.decrease_b / 2)).any())
        self._n_idle_steps = 0 if has_moved else self._n_idle_steps + 1
        if self._n_idle_steps >= MAX_IDLE_STEPS:
            self.ending = Outcome.STALLED
        if self._is_separated(after):
            self.ending = Outcome.SEPARATED

    def _is_separated(self, look: Look) -> bool:
        """Whether within its bounds a member has no minimum: the loss is low enough to tell, also where theta keeps
        only what the bounds let go on for ever (of counts, those above 0 are fitted beside); or for some steps hardly
        anything is to gain and yet nothing bounds it (see `newton`)."""
        objective = self._objective
        if objective.box is None or objective.has_dual:
            return False
        if bool((look.value_b < (below_b := objective.problem.separated_below_b)).any()):
            self.n_passes += 1
            value_b = objective.smooth_value(objective.unbounded_part(self.theta_bkp))
            return not objective.problem.family.is_classification or bool((value_b < below_b).any())
        is_unbounded = self.is_within(SMALL_GAP) and not bool(self.gap().bound_b.isfinite().all())
        self._n_unbounded_steps = self._n_unbounded_steps + 1 if is_unbounded else 0
        return self._n_unbounded_steps >= MAX_UNBOUNDED_STEPS

    def _start(self) -> None:
        """From the minimum of a sample of the rows, if it has one that all of them agree with."""
        self._has_started = True
        assert self._n_rows is not None  # noqa: S101  else there is nothing to start with
        sample = self._objective.on_rows(sample_rows(self._objective.problem, self._n_rows))
        fit = ProximalNewton(sample, self.theta_bkp.clone())
        first_b = fit.look().value_b
        for _ in range(MAX_SAMPLE_STEPS):
            if fit.is_within(SAMPLE_TOLERANCE) or fit.ending is not None:
                break
            fit.step()
        origin_bkp = self.theta_bkp.clone()
        self.theta_bkp.copy_(fit.theta_bkp)
        if not bool((self.look().value_b <= first_b).all()):
            self.theta_bkp.copy_(origin_bkp)
            self._look = self._first_value_b = None

    # --- written down and taken up again

    def state(self) -> State:
        tensors = {} if self._first_value_b is None else {"first_value": self._first_value_b.clone()}
        n_passes = self.n_passes - (self._look is not None)  # the look is taken again
        numbers = {
            "n_passes": n_passes,
            "n_idle_steps": self._n_idle_steps,
            "n_unbounded_steps": self._n_unbounded_steps,
            "has_started": self._has_started,
        }
        return State(tensors, numbers)

    def load(self, state: State) -> None:
        self._look = None
        self._first_value_b = state.tensors.get("first_value")
        self.n_passes, self._n_idle_steps = state.numbers["n_passes"], state.numbers["n_idle_steps"]
        self._n_unbounded_steps = state.numbers["n_unbounded_steps"]
        self._has_started = state.numbers["has_started"]
