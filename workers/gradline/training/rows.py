"""The rows of a problem for solvers that keep linear predictors themselves: products with the features, in float64.

Either product is half a pass. Those of features that are kept in float32 are added up in float64: by compiled kernels
term by term, else part by part.
Shapes: b members, n rows, k outputs, p columns, m = b * k.
"""

import torch
from torch import Tensor

from gradline.training import rowwise
from gradline.training.cpu.fused import fused_pass_of
from gradline.training.problem import Problem


class Rows:
    """All that a step asks of the data."""

    def __init__(self, problem: Problem) -> None:
        self.family = problem.family
        self.has_intercept = problem.has_intercept
        self.share_bn1 = problem.share_nb.double().T.unsqueeze(2)
        """One member's stand for all of them where they weigh rows alike."""
        self.y_1nk = problem.y_nk.double().unsqueeze(0)
        self.offset_1n1 = None if problem.offset_n1 is None else problem.offset_n1.double().unsqueeze(0)
        self._dtype = problem.y_nk.dtype
        self._n = problem.n
        self._parts = problem.chunks()
        self._fused = None if problem.is_sparse else fused_pass_of(problem)

    def predict(self, theta_bkp: Tensor) -> Tensor:
        """x theta as [b, n, k], without the offset."""
        if not bool(theta_bkp.any()):  # as most fits start
            return theta_bkp.new_zeros(len(theta_bkp), self._n, theta_bkp.shape[1])
        if self._fused is not None and len(theta_bkp) == 1:
            return self._fused.predict(theta_bkp)
        theta_pm = theta_bkp.flatten(0, 1).to(self._dtype).T
        z_nm = theta_pm.new_empty(self._n, theta_pm.shape[1])
        for part, z_rm in zip(self._parts, self._split(z_nm), strict=True):
            part.products.predict(theta_pm, z_rm)
        return z_nm.double().view(-1, *theta_bkp.shape[:2]).transpose(0, 1).contiguous()

    def collect(self, r_bnk: Tensor) -> Tensor:
        """r' x as [b, k, p]."""
        if self._fused is not None and len(r_bnk) == 1:
            return self._fused.collect(r_bnk)
        r_nm = r_bnk.transpose(0, 1).flatten(1).to(self._dtype)
        total_mp = r_bnk.new_zeros(r_nm.shape[1], self._parts[0].p)
        of_part_mp = torch.empty_like(total_mp, dtype=self._dtype)
        for part, r_rm in zip(self._parts, self._split(r_nm), strict=True):
            part.products.collect(r_rm, of_part_mp)
            total_mp += of_part_mp
        return total_mp.view(len(r_bnk), r_bnk.shape[2], -1)

    def _split(self, of_n: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = of_n.split([part.n for part in self._parts])
        return parts

    def loss(self, z_bnk: Tensor) -> Tensor:
        """L of each member."""
        return self.mean(rowwise.losses(self.family, z_bnk, self.y_1nk))

    def mean(self, of_bn: Tensor) -> Tensor:
        """Over the rows, as they are weighted."""
        return (of_bn * self.share_bn1[:, :, 0]).sum(1)
