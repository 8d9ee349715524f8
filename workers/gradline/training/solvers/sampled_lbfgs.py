"""L-BFGS for mid-sized problems, from the fit of a sample of the rows and with the sample's Hessian as its first.

One Hessian of all rows would cost more than all the passes that this takes. The stop rule needs none either: rows
outside the sample S only add to F's growth away from theta, so with shares of the whole weight

    F(theta + v) >= F + g'v + the growth of the rows in S + l2 / 2 |v|^2,

and the Newton bound (see `bounds`) holds with exp(-drift) times the Hessian of S in the place of H. It is up to n / m
times what the decrement itself says, which is a step or two of work.

Shapes: q = k * p parameters.
"""

from dataclasses import replace

import torch
from torch import Tensor

from gradline.training.bounds import NEWTON, Gap, gap_of
from gradline.training.model import linear_predictor
from gradline.training.objective import Objective
from gradline.training.reach import Reach
from gradline.training.solvers.base import State
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.lbfgs import Lbfgs
from gradline.training.solvers.sample import Sample

SAMPLE_GROWTH = 4
"""A sample without a minimum, or with one that all rows find worse than the start, is followed by a larger one."""


class SampledLbfgs(Lbfgs):
    """For smooth objectives and one member. The first step is the fit of the sample; it stops on the objective gap."""

    def __init__(self, objective: Objective, theta_bkp: Tensor, *, n_rows: int, memory: int = 10) -> None:
        super().__init__(objective, theta_bkp, memory=memory, stops_on_gap=True)
        self._n_rows = n_rows
        self._has_started = False
        self._newton: LazyNewton | None = None
        """At the sample's minimum."""
        self._share_b = torch.ones(1)
        """Of the whole weight, the sample's."""
        self._reach: Reach | None = None

    def is_converged(self, tolerance: float) -> bool:
        return self._has_started and super().is_converged(tolerance)

    def step(self) -> None:
        if self._has_started:
            super().step()
            return
        self._has_started = True
        origin_bkp = self.theta_bkp.clone()
        while self._newton is None and self._n_rows <= self._objective.problem.n:
            sample = Sample(self._objective, self._n_rows)
            newton = sample.fit(origin_bkp)
            if newton is not None and self._is_better(newton):
                self._newton, self._share_b = newton, sample.share_b
                newton.renew()
            else:
                self._n_rows *= SAMPLE_GROWTH
        if self._newton is None:
            self._move_to(origin_bkp)

    def _is_better(self, newton: LazyNewton) -> bool:
        """Whether all rows find the sample's minimum better than the start, as far as the sample knows that one."""
        self._move_to(newton.theta_bkp)
        self._look()
        return bool(self._value <= newton.first_value())

    def _move_to(self, theta_bkp: Tensor) -> None:
        self.theta_bkp.copy_(theta_bkp)
        self._gradient_q = torch.empty(0)

    # --- the sample's Hessian as the first one

    def _first_inverse(self, direction_q: Tensor) -> Tensor:
        if self._newton is None:
            return super()._first_inverse(direction_q)
        factor = self._newton.look().factor
        return factor.solve(direction_q.double().unsqueeze(0))[0].to(direction_q.dtype)

    def _first_length(self) -> float:
        return super()._first_length() if self._newton is None else 1.0

    # --- and as a bound of all rows'

    def _least_gap(self) -> float:
        if self._newton is None:
            return super()._least_gap()
        decrement_b, stretch_b = self._decrement(self._newton)
        return min(float((decrement_b * stretch_b).square() / 2), super()._least_gap())

    def gap(self) -> Gap:
        """The smaller of both bounds; that by the penalty is looked at only where it can be."""
        newton = self._newton
        if newton is None:
            return super().gap()
        self._reach = self._reach or Reach(newton.objective.problem)
        bound_b = self._reach.bound(newton.look().factor, *self._decrement(newton))
        by_sample = gap_of(NEWTON, bound_b.new_tensor([self._value]), bound_b, self._floor())
        if float(bound_b) <= super()._least_gap():
            return by_sample
        by_penalty = super().gap()
        return by_sample if bool(by_sample.bound_b < by_penalty.bound_b) else by_penalty

    def _decrement(self, newton: LazyNewton) -> tuple[Tensor, Tensor]:
        """By the sample's Hessian, and how much longer steps may be by what that is of all rows'."""
        gradient_1q, factor = self._gradient_q.double().unsqueeze(0), newton.look().factor
        decrement_b = (gradient_1q * factor.solve(gradient_1q)).sum(1).clamp(min=0.0).sqrt()
        return decrement_b, (self._drift(newton) / 2).exp() / self._share_b.sqrt()

    def _drift(self, newton: LazyNewton) -> Tensor:
        """Largest change of the sample's linear predictors since its Hessian was taken."""
        assert newton.curved_at_bkp is not None  # noqa: S101  the sample has been looked at
        problem = replace(newton.objective.problem, offset_n1=None)
        moved_nk = linear_predictor(problem, self.theta_bkp - newton.curved_at_bkp).double()
        return moved_nk.abs().amax() if problem.k == 1 else (moved_nk.amax(1) - moved_nk.amin(1)).amax()

    # --- written down and taken up again

    def state(self) -> State:
        tensors, numbers = super().state()
        if self._newton is not None:
            curved_at_bkp = self._newton.curved_at_bkp
            assert curved_at_bkp is not None  # noqa: S101  the sample has been looked at
            tensors["sample_curved_at"] = curved_at_bkp.clone()
        return State(tensors, numbers | {"has_started": self._has_started, "n_rows": self._n_rows})

    def load(self, state: State) -> None:
        super().load(state)
        self._has_started, self._n_rows = state.numbers["has_started"], state.numbers["n_rows"]
        curved_at_bkp = state.tensors.get("sample_curved_at")
        self._newton = None
        if curved_at_bkp is not None:
            sample = Sample(self._objective, self._n_rows)
            self._newton, self._share_b = LazyNewton(sample.objective, curved_at_bkp.clone()), sample.share_b
