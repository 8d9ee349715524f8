"""Newton's method with a backtracking line search (Boyd and Vandenberghe 2004, algorithm 9.5), for b members at once.

    theta <- theta - t H^-1 g,    t = 1, 1/2, 1/4, ... until F falls by at least 1e-4 t g' H^-1 g

It stops on a bound of the objective gap (see `bounds`), which near a minimum falls to its square with every step.

Shapes: b members, q = k * p parameters.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gradline.training.bounds import NEWTON, Gap, gap_of
from gradline.training.derivatives import Derivatives, Want
from gradline.training.factor import Factor, factorise, factorise_rows
from gradline.training.family import Family
from gradline.training.objective import Fitness, Objective
from gradline.training.outcome import Outcome
from gradline.training.problem import Problem
from gradline.training.reach import Reach
from gradline.training.solvers.backtracking import backtrack
from gradline.training.solvers.base import State

MAX_IDLE_STEPS = 3
"""Steps in a row that neither halve the decrement nor lower F by more than rounding: nothing is left to gain."""
MAX_UNBOUNDED_STEPS = 5
"""Steps in a row at which the decrement is small and yet bounds nothing: theta is on its way to infinity."""
MAX_QUADRATIC_STEPS = 2
"""The first ends at the minimum of a quadratic, and the second takes back its rounding. What is left then is beyond the
Hessian's precision."""
SMALL_GAP = 1e-6
MAX_ROWS_COST = 1e9
"""Up to here a Hessian too ill-conditioned for its Cholesky factor is factorised from its rows."""
EPS = torch.finfo(torch.float64).eps
POLISHED = 1e-14
"""Relative gap to which small fits go on: a step or two that cost next to nothing, and the coefficients agree with
other programs' in all digits that mean something."""


@dataclass(frozen=True)
class Look:
    """The objective at theta, and the step that its quadratic model asks for."""

    value_b: Tensor
    factor: Factor
    step_bq: Tensor
    square_b: Tensor
    """The squared decrement by the factor; by the Hessian at theta it is at most exp(drift) times that."""
    drift_b: Tensor | None
    """None where the factor is that of the Hessian at theta."""
    right_b: Tensor | None
    """As the pass told it."""

    @cached_property
    def values(self) -> list[float]:
        """F of each member: decisions are made on numbers, which costs less than on small tensors."""
        values: list[float] = self.value_b.tolist()
        return values

    @cached_property
    def squares(self) -> list[float]:
        squares: list[float] = self.square_b.tolist()
        return squares


def look_at(derivatives: Derivatives, factor: Factor) -> Look:
    gradient_bq = derivatives.gradient_bkp.flatten(1)
    step_bq = factor.solve(gradient_bq).neg_()
    square_b = (gradient_bq * step_bq).sum(1).neg_().clamp_(min=0.0)
    return Look(derivatives.value_b, factor, step_bq, square_b, derivatives.drift_b, derivatives.right_b)


def rounded_zero(problem: Problem, first_value_b: Tensor) -> Tensor:
    """What rounding may leave of an F of 0: that of where the fit started, and of what targets alone add. Of counts
    a start may be far above what their mean is rounded by: there it says nothing."""
    if problem.family == Family.POISSON:
        first_value_b = torch.minimum(first_value_b, (problem.share_nb.double() * problem.y_nk).sum(0))
    return torch.maximum(first_value_b, problem.target_term.abs()) * EPS


class Newton:
    """For smooth objectives. Members share the passes; each has a step length of its own."""

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, is_polished: bool = False) -> None:
        if not objective.is_smooth:
            raise ValueError("newton needs a smooth objective: use proximal-newton for an l1 penalty or bounds")
        self.theta_bkp = theta_bkp
        self.ending: Outcome | None = None
        self.n_passes = 0
        self.objective = objective
        self._is_polished = is_polished
        self._reach = Reach(objective.problem)
        self._look: Look | None = None
        self._known_gap: tuple[Look, Gap] | None = None
        self._first_value_b: Tensor | None = None
        self._floor_b: Tensor | None = None
        self._n_idle_steps = 0
        self._n_unbounded_steps = 0
        self._n_steps = 0
        self._only_factor: Factor | None = None

    # --- how far from the minimum

    def is_converged(self, tolerance: float) -> bool:
        is_polished = not self._is_polished or self._n_idle_steps > 0 or self._is_spent or self.is_within(POLISHED)
        return is_polished and self.is_within(tolerance) and bool((self.gap().relative_b <= tolerance).all())

    def is_within(self, tolerance: float) -> bool:
        """Whether half the squared decrement, which is at most the bound, is."""
        look = self.look()
        members = zip(look.squares, look.values, self._floor().tolist(), strict=True)
        return all(value <= floor or square <= 2 * tolerance * value for square, value, floor in members)

    def gap(self) -> Gap:
        """Of theta as it stands."""
        look = self.look()
        if self._known_gap is None or self._known_gap[0] is not look:
            stretch_b = torch.ones_like(look.value_b) if look.drift_b is None else (look.drift_b / 2).exp()
            bound_b = self._reach.bound(look.factor, look.square_b.sqrt(), stretch_b)
            self._known_gap = look, gap_of(NEWTON, look.value_b, bound_b, self._floor())
        return self._known_gap[1]

    def look(self) -> Look:
        if self._look is None:
            self._look = self._evaluate()
            if self._first_value_b is None:
                self._first_value_b = self._look.value_b
        return self._look

    @property
    def _is_quadratic(self) -> bool:
        return self.objective.problem.family == Family.GAUSSIAN

    @property
    def _is_spent(self) -> bool:
        return self._is_quadratic and self._n_steps >= MAX_QUADRATIC_STEPS

    def _evaluate(self) -> Look:
        """The Hessian of a quadratic is the same everywhere."""
        self.n_passes += 1
        want = Want.HESSIAN if self._only_factor is None else Want.GRADIENT
        derivatives, factor = self.objective.derivatives(self.theta_bkp, want), self._only_factor
        if derivatives.hessian_bqq is not None:
            factor = self._factorised(derivatives, derivatives.hessian_bqq)
        assert factor is not None  # noqa: S101  this one or an older
        self._only_factor = factor if self._is_quadratic else None
        return look_at(derivatives, factor)

    def _factorised(self, derivatives: Derivatives, hessian_bqq: Tensor) -> Factor:
        factor = factorise(self.objective.without_gauge(hessian_bqq))
        if self._may_factorise_rows and bool(factor.is_singular_b):
            self.n_passes += 1
            of_rows = factorise_rows(self.objective.rows_of_hessian(self.theta_bkp))
            factor = factor if bool(of_rows.is_singular_b) else of_rows
        return factor._replace(reach_b=derivatives.reach_b, length_b=derivatives.length_b)

    @cached_property
    def _may_factorise_rows(self) -> bool:
        problem = self.objective.problem
        cost = problem.n * problem.p**2
        return len(self.theta_bkp) == 1 and problem.k == 1 and not problem.is_sparse and cost <= MAX_ROWS_COST

    def fitness(self) -> Fitness | None:
        """Of theta as it stands, at no pass of its own; None where the look does not tell it."""
        look = self.look()
        return self.objective.fitness_of(self.theta_bkp, look.value_b, look.right_b)

    def first_value(self) -> Tensor:
        """F where the fit started."""
        self.look()
        assert self._first_value_b is not None  # noqa: S101  looking sets it
        return self._first_value_b

    def _floor(self) -> Tensor:
        if self._floor_b is None:
            self._floor_b = rounded_zero(self.objective.problem, self.first_value())
        return self._floor_b

    # --- a step

    def next_step(self) -> Tensor:
        """What `step` adds to theta if it goes all the way, as [b, q]."""
        return self.look().step_bq

    def step(self) -> None:
        before = self.look()
        if self._is_spent:
            is_ill = bool(before.factor.is_singular_b.any()) or not self.is_within(SMALL_GAP)
            self.ending = Outcome.ILL_CONDITIONED if is_ill else Outcome.STALLED
            return
        self._n_steps += 1
        self._search(before)
        after = self.look()
        self._n_idle_steps = 0 if self._has_moved(before, after) else self._n_idle_steps + 1
        if self._n_idle_steps >= MAX_IDLE_STEPS:
            is_ill = bool(after.factor.is_singular_b.any())
            self.ending = Outcome.ILL_CONDITIONED if is_ill else Outcome.STALLED
        if self._is_separated(after):
            self.ending = Outcome.SEPARATED

    def _has_moved(self, before: Look, after: Look) -> bool:
        """Whether a member has come nearer: a lower F, or half the decrement."""
        pairs = zip(before.values, after.values, strict=True)
        is_lower = any(new < old - self.objective.rounding * abs(old) for old, new in pairs)
        return is_lower or any(new <= old / 4 for old, new in zip(before.squares, after.squares, strict=True))

    def _search(self, look: Look) -> None:
        def evaluate_all() -> Tensor:
            self._look = self._evaluate()
            return self._look.value_b

        def evaluate() -> Tensor:
            self._look = None
            self.n_passes += 1
            return self.objective.smooth_value(self.theta_bkp)

        rounding = self.objective.rounding
        backtrack(self.theta_bkp, self.next_step(), look.value_b, look.square_b, rounding, evaluate_all, evaluate)

    @cached_property
    def _can_separate(self) -> bool:
        """With an l2 penalty only the intercept may go to infinity, and only where a target is missing."""
        problem = self.objective.problem
        if problem.family == Family.GAUSSIAN:
            return False
        if bool((self.objective.l2_b == 0).any()):
            return True
        return problem.has_intercept and not problem.has_every_target

    def _is_separated(self, look: Look) -> bool:
        """Whether a member has no minimum: its loss falls for ever while a parameter goes to infinity."""
        if not self._can_separate:
            return False
        is_free_b = self.objective.l2_b == 0
        if bool((is_free_b & (look.value_b < self.objective.problem.separated_below_b)).any()):
            return True
        members = zip(look.squares, look.values, strict=True)
        are_small = [square <= 2 * SMALL_GAP * value for square, value in members]
        is_unbounded = any(are_small) and any(
            is_small and bound == math.inf
            for is_small, bound in zip(are_small, self.gap().bound_b.tolist(), strict=True)
        )
        self._n_unbounded_steps = self._n_unbounded_steps + 1 if is_unbounded else 0
        return self._n_unbounded_steps >= MAX_UNBOUNDED_STEPS

    # --- written down and taken up again

    def state(self) -> State:
        tensors = {} if self._first_value_b is None else {"first_value": self._first_value_b.clone()}
        numbers = {
            "n_passes": self.n_passes - (self._look is not None),  # the look is taken again
            "n_idle_steps": self._n_idle_steps,
            "n_unbounded_steps": self._n_unbounded_steps,
            "n_steps": self._n_steps,
        }
        return State(tensors, numbers)

    def load(self, state: State) -> None:
        self._look = self._floor_b = None
        self._first_value_b = state.tensors.get("first_value")
        self.n_passes = state.numbers["n_passes"]
        self._n_idle_steps = state.numbers["n_idle_steps"]
        self._n_unbounded_steps = state.numbers["n_unbounded_steps"]
        self._n_steps = state.numbers["n_steps"]
