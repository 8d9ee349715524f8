"""Passes that read the features once: kernels of its own for each kind of device, behind one interface.

What a pass must agree with is `loss`, which computes whatever it cannot give, and all where there is none.
"""

from typing import Any, Protocol

from torch import Tensor

from gradline.training.cpu import fused as on_cpu
from gradline.training.cuda import fused as on_cuda
from gradline.training.derivatives import Derivatives, Want
from gradline.training.problem import Problem


class FusedPass(Protocol):
    """For one member over the rows of one dense problem with one output."""

    gives_hessian: bool
    """With a gradient in float64 beside it, whatever the features."""
    is_threadable: bool
    """Whether passes over several problems may run at once, each on a thread."""

    def gives(self, want: Want, *, follow_drift: bool) -> bool:
        """Whether it can tell all that is asked for."""

    def derivatives(self, theta_bkp: Tensor, want: Want, *, follow_drift: bool) -> Derivatives | None:
        """As those of the loss; None where it does not give them."""

    def minimise(
        self, theta_bkp: Tensor, l2_bq: Tensor, *, tolerance: float, sufficient_decrease: float, max_passes: int
    ) -> float | None:
        """Moves theta to the minimum of the loss with an l2 penalty, to a relative gap of about `tolerance`, and tells
        its value where it started. None where it does not, or where that takes more than full steps of Newton's
        method; theta is anything then."""

    def linearisation_error(self, theta_bkp: Tensor, step_bkp: Tensor, curved_at_bkp: Tensor) -> Tensor | None:
        """The change of the gradient from theta along a step less what the Hessian at `curved_at` makes of it."""

    def curvature_product(self, weights: Any, direction_bkp: Tensor) -> Tensor | None:
        """As that of the loss, in float64."""


def fused_pass_of(problem: Problem, n_members: int) -> FusedPass | None:
    """None where it does not suit: members share a matrix product, classes and sparse rows have other ways."""
    if n_members > 1 or problem.k > 1 or problem.is_sparse:
        return None
    return on_cuda.fused_pass_of(problem) or on_cpu.fused_pass_of(problem)
