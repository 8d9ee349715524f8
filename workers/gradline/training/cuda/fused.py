"""The loss and its gradient from a single read of the features, as one Triton kernel.

    z = x theta + offset,   L = sum share loss(y, z),   gradient = sum share (mean - y) x

A row's part of the gradient is added up while its features are still in registers, where two matrix products read them
twice and z, losses and residuals several times besides. Features of float32 are widened as they come in; every sum is
of float64, and sums of programs are added up in their order, so that the same device gives the same bits. What it must
agree with is `loss`, which is used wherever this does not suit.

Shapes: n rows, p columns of x with the column of ones, w columns of a program's registers.
"""

from importlib.util import find_spec
from shutil import which
from typing import Any

import torch
from torch import Tensor

from gradline.training.derivatives import Derivatives, Want
from gradline.training.family import Family
from gradline.training.problem import Problem

MAX_WIDTH = 2048
"""Wider rows do not fit into the registers of a program."""
TILE = 4096
"""Entries of x that a program holds; of narrow rows twice as many. By ptxas for sm_80, more fill all 255 registers of a
thread and spill kilobytes."""
NARROW = 32
PROGRAMS_PER_PROCESSOR = 4
COMPILERS = ("cc", "gcc", "clang")
"""Triton builds its launcher with one of them at its first use."""
FAMILIES = {Family.BINOMIAL: 0, Family.GAUSSIAN: 1, Family.POISSON: 2}
"""Those with one linear predictor, by the kernel's number for them."""


class FusedPass:
    """Value and gradient for one member, over the rows of one dense problem."""

    gives_hessian = False
    is_threadable = False

    def __init__(self, problem: Problem, n_programs: int) -> None:
        from gradline.training.cuda import kernel  # noqa: PLC0415  Triton is there with torch's CUDA builds only

        self._kernel = kernel.fused_pass
        self._problem = problem
        self._width = _width(problem)
        self._n_rows = 256 if self._width <= NARROW else TILE // self._width
        self._n_programs = max(1, min(n_programs, -(-problem.n // self._n_rows)))
        self._x_np = problem.x_np.contiguous()
        self._constant = problem.target_term

    def gives(self, want: Want, *, follow_drift: bool) -> bool:
        """Value and gradient, where nothing else is wanted."""
        return want == Want.GRADIENT and not follow_drift

    def derivatives(self, theta_bkp: Tensor, want: Want, *, follow_drift: bool) -> Derivatives | None:
        if not self.gives(want, follow_drift=follow_drift):
            return None
        problem, n_programs = self._problem, self._n_programs
        theta_p = theta_bkp.to(torch.float64).flatten()
        value_s = theta_p.new_empty(n_programs)
        gradient_sw = theta_p.new_empty(n_programs, self._width)
        share_n1, offset_n1 = problem.share_nb, problem.offset_n1
        self._kernel[(n_programs,)](
            self._x_np, problem.y_nk, share_n1, problem.y_nk if offset_n1 is None else offset_n1, theta_p,
            value_s, gradient_sw, problem.n, self._x_np.shape[1], share_n1.stride(0),
            FAMILY=FAMILIES[problem.family], HAS_OFFSET=offset_n1 is not None, IMPLIES_ONES=int(problem.implies_ones),
            ROWS=self._n_rows, WIDTH=self._width, num_warps=8,
        )  # fmt: skip
        gradient_p = gradient_sw.sum(0)[: problem.p]
        return Derivatives((value_s.sum() + self._constant).view(1), gradient_p.view_as(theta_bkp), None)

    def minimise(self, *_: Any, **__: Any) -> None:
        """None: there are few rows of which it would be had."""

    def linearisation_error(self, *_: Any) -> None:
        """None, as well."""

    def curvature_product(self, weights: Any, direction_bkp: Tensor) -> Tensor | None:  # noqa: ARG002
        """None: it takes two products of matrices."""
        return None


def fused_pass_of(problem: Problem) -> FusedPass | None:
    """None where it does not suit: features that stay on the host, wide rows, and no compiler."""
    if problem.family not in FAMILIES or not problem.x_np.is_cuda or _width(problem) > MAX_WIDTH:
        return None
    if find_spec("triton") is None or not any(map(which, COMPILERS)):
        return None
    processors = torch.cuda.get_device_properties(problem.x_np.device).multi_processor_count
    return FusedPass(problem, processors * PROGRAMS_PER_PROCESSOR)


def _width(problem: Problem) -> int:
    """Columns to the next power of two, of which Triton's blocks are."""
    return int(1 << max(4, (problem.p - 1).bit_length()))
