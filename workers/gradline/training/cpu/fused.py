"""The derivatives of the loss from a single read of dense features on a CPU, by compiled kernels.

    z = x theta + offset,   L = sum share loss(y, z),   gradient = sum share (mean - y) x,   H = sum share loss'' x' x

Two matrix products read features twice, and z, losses and residuals several times besides. Sums are of float64
whatever the dtype of the features; of the Hessian, products and sums over a tile of rows are of the features' dtype.
What it must agree with is `loss`, which is used wherever this does not suit.

Shapes: n rows, p columns of x with the column of ones.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.training.derivatives import Derivatives, Want
from gradline.training.family import Family
from gradline.training.problem import Problem

MIN_ENTRIES = 2**13
"""Of features. For fewer, nothing is gained that would pay for loading the kernels."""
FAMILIES = {Family.BINOMIAL: 0, Family.GAUSSIAN: 1, Family.POISSON: 2}
"""Those with one linear predictor, by the kernels' number for them."""


class FusedPass:
    """For one member over the rows of one dense problem, which must stay as it is."""

    is_threadable = True

    def __init__(self, problem: Problem) -> None:
        from gradline.training.cpu import kernel  # noqa: PLC0415  half a second; no fit of few entries needs it

        self._kernel = kernel
        self._family = FAMILIES[problem.family]
        self._p = problem.p
        self.gives_hessian = int(problem.x_np.shape[1]) <= kernel.NARROW
        self._x_nd, self._y_n = problem.x_np.numpy(), _flat(problem.y_nk)
        self._nothing, self._no_hessian = self._y_n[:0], np.empty((0, 0))
        self._offset_n = self._nothing if problem.offset_n1 is None else _flat(problem.offset_n1)
        is_even = problem.weight_nb is None
        self._no_rows = np.empty(0)
        self._even_share = problem.share_nb[0, 0].item() if is_even else 1.0
        self._share_n = self._no_rows if is_even else _flat(problem.share_nb.double())
        self._target_term = problem.target_term.item()
        self._curved_at_n: Any = None
        """z where the last Hessian is from, if that was followed."""

    def gives(self, want: Want, *, follow_drift: bool) -> bool:
        """Not a Hessian of wide rows, wanted or followed: one product of matrices is faster."""
        return self.gives_hessian or (want != Want.HESSIAN and not follow_drift)

    def derivatives(self, theta_bkp: Tensor, want: Want, *, follow_drift: bool) -> Derivatives | None:
        if not self.gives(want, follow_drift=follow_drift):
            return None
        kernel, p = self._kernel, self._p
        wants_hessian = want == Want.HESSIAN
        gradient_p = torch.empty(p, dtype=torch.float64)
        hessian_1pp = torch.empty(1, p, p, dtype=torch.float64) if wants_hessian else None
        curvature_n1 = torch.empty(len(self._y_n), 1, dtype=torch.float64) if want == Want.PRODUCTS else None
        at_zero_p = torch.empty(p if want == Want.GRADIENT_AT_ZERO else 0, dtype=torch.float64)
        drift = kernel.WITHOUT_DRIFT
        if follow_drift:
            drift = kernel.KEEP_PREDICTOR if wants_hessian else kernel.MEASURE_DRIFT
            self._curved_at_n = np.empty_like(self._y_n) if self._curved_at_n is None else self._curved_at_n
        loss, most, right, least, square = kernel.fused_pass(
            self._x_nd, self._y_n, self._offset_n, self._share_n, self._even_share, _flat(theta_bkp), self._family,
            drift, self._curved_at_n if follow_drift else self._nothing,
            self._no_rows if curvature_n1 is None else _flat(curvature_n1),
            gradient_p.numpy(), at_zero_p.numpy(), self._no_hessian if hessian_1pp is None else hessian_1pp[0].numpy(),
        )  # fmt: skip
        length = math.sqrt(square + (p > self._x_nd.shape[1]))
        numbers_51 = torch.from_numpy(np.array([[loss + self._target_term], [most], [right], [least], [length]]))
        value_b, drift_b, right_b, least_b, length_b = numbers_51.unbind()  # tensors made one by one cost a small fit
        return Derivatives(
            value_b,
            gradient_p.view(1, 1, p),
            hessian_1pp,
            curvature_n1,
            drift_b if drift == kernel.MEASURE_DRIFT else None,
            right_b if self._family == kernel.BINOMIAL else None,
            least_b.rsqrt() if wants_hessian else None,
            length_b if wants_hessian else None,
            at_zero_p.view(1, 1, p) if len(at_zero_p) else None,
        )

    def minimise(
        self, theta_bkp: Tensor, l2_bq: Tensor, *, tolerance: float, sufficient_decrease: float, max_passes: int
    ) -> float | None:
        if not self.gives_hessian:
            return None
        first, is_found = self._kernel.minimise(
            self._x_nd, self._y_n, self._offset_n, self._share_n, self._even_share, _flat(l2_bq), self._target_term,
            _flat(theta_bkp), self._family, tolerance, sufficient_decrease, max_passes,
        )  # fmt: skip
        return first if is_found else None

    def linearisation_error(self, theta_bkp: Tensor, step_bkp: Tensor, curved_at_bkp: Tensor) -> Tensor:
        error_p = torch.empty(self._p, dtype=torch.float64)
        self._kernel.linearisation_error(
            self._x_nd, self._offset_n, self._share_n, self._even_share,
            _flat(theta_bkp), _flat(step_bkp), _flat(curved_at_bkp), self._family, error_p.numpy(),
        )  # fmt: skip
        return error_p.view_as(theta_bkp)

    def curvature_product(self, weights: Tensor, direction_bkp: Tensor) -> Tensor:
        """x' diag(weights) x direction."""
        return self._product(_flat(direction_bkp.double()), _flat(weights)).view_as(direction_bkp)

    def predict(self, theta_bkp: Tensor) -> Tensor:
        """x theta as [1, n, 1]."""
        z_1n1 = torch.empty(1, len(self._y_n), 1, dtype=torch.float64)
        self._kernel.products(self._x_nd, _flat(theta_bkp), self._no_rows, _flat(z_1n1), self._no_rows)
        return z_1n1

    def collect(self, weight_1n1: Tensor) -> Tensor:
        """x' weight as [1, 1, p]."""
        return self._product(self._no_rows, _flat(weight_1n1))

    def moments(self, weight_n: Tensor) -> tuple[Tensor, Tensor]:
        """x' weight and (x * x)' weight as [p]."""
        sum_p, square_p = torch.empty(2, self._p, dtype=torch.float64)
        self._kernel.moments(self._x_nd, _flat(weight_n), _flat(sum_p), _flat(square_p))
        return sum_p, square_p

    def _product(self, direction_p: Any, weight_n: Any) -> Tensor:
        out_11p = torch.empty(1, 1, self._p, dtype=torch.float64)
        self._kernel.products(self._x_nd, direction_p, weight_n, self._no_rows, _flat(out_11p))
        return out_11p


def fused_pass_of(problem: Problem) -> FusedPass | None:
    """None where it does not suit: on other devices, and for so few entries that torch's calls do not count."""
    x_np = problem.x_np
    is_here = x_np.device.type == "cpu" and problem.y_nk.device.type == "cpu"
    is_known = problem.family in FAMILIES and x_np.dtype in (torch.float32, torch.float64)
    if not is_here or not is_known or not x_np.is_contiguous() or x_np.numel() < MIN_ENTRIES:
        return None
    return FusedPass(problem)


def _flat(tensor: Tensor) -> Any:
    """Its entries as one row of numpy's, without a copy where they lie so."""
    return tensor.contiguous().view(-1).numpy()
