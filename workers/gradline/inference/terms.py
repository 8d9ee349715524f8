"""Tests that all parameters of a term are 0, by their joint covariance (Wald 1943).

    chi2 = t' V^+ t,   df = rank V

with t the parameters of the term and V their covariance. Where the rows determine only some combinations of them, those
are tested: t and V are projected on what is orthogonal to the directions that the rows do not determine. The test does
not depend on the units of the columns, so that the parameters are as training saw them.

Shapes: t terms, m parameters of each, q free parameters, z directions that the rows do not determine.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.covariance import UNDETERMINED, Inverse

_SINGULAR = 1e-12
"""Eigenvalue of a covariance, relative to its largest entry, below which it is 0 but for rounding."""
_REGULAR = 1e-10
"""Least pivot, relative to its entry of the diagonal, above which no eigenvalue is near that."""


class JointTest(NamedTuple):
    """One entry for each term."""

    statistic_t: Tensor
    df_t: Tensor
    n_determined_t: Tensor
    """How many combinations of the parameters the rows determine: `df_t` is less where their covariance is singular."""


def joint_tests(theta_q: Tensor, covariance_qq: Tensor, inverse: Inverse, terms: list[list[int]]) -> JointTest:
    """`terms`: the parameters of each."""
    device, sizes = theta_q.device, [len(term) for term in terms]
    told = JointTest(*theta_q.new_zeros(3, len(terms)))
    for size in set(sizes):
        at_t = torch.tensor([t for t, n in enumerate(sizes) if n == size], device=device)
        index_tm = torch.tensor([term for term in terms if len(term) == size], device=device)
        for column_t, part_t in zip(told, _of_one_size(theta_q, covariance_qq, inverse, index_tm), strict=True):
            column_t[at_t] = part_t
    return told


def _of_one_size(theta_q: Tensor, covariance_qq: Tensor, inverse: Inverse, index_tm: Tensor) -> JointTest:
    scale_tm, m = inverse.scale_q[index_tm], index_tm.shape[1]
    theta_tm = theta_q[index_tm] * scale_tm
    v_tmm = covariance_qq[index_tm.unsqueeze(2), index_tm.unsqueeze(1)] * scale_tm.unsqueeze(2) * scale_tm.unsqueeze(1)
    whole_t = torch.full_like(theta_tm[:, 0], m)
    if not inverse.null_qz.shape[1]:
        factor_tmm, fault_t = torch.linalg.cholesky_ex(v_tmm)
        pivot_tm = factor_tmm.diagonal(dim1=1, dim2=2).square() / v_tmm.diagonal(dim1=1, dim2=2)
        if not bool(fault_t.any()) and bool((pivot_tm > _REGULAR).all()):
            white_tm1 = torch.linalg.solve_triangular(factor_tmm, theta_tm.unsqueeze(2), upper=False)
            return JointTest(white_tm1.square().sum((1, 2)), whole_t, whole_t)
    left_tms, value_ts, _ = torch.linalg.svd(inverse.unit_null_qz[index_tm], full_matrices=False)
    is_lost_ts = value_ts > UNDETERMINED
    lost_tms = left_tms * is_lost_ts.unsqueeze(1)
    onto_tmm = torch.eye(m, dtype=theta_q.dtype, device=theta_q.device) - lost_tms @ lost_tms.mT
    value_tm, vector_tmm = torch.linalg.eigh(onto_tmm @ v_tmm @ onto_tmm)
    is_kept_tm = value_tm > _SINGULAR * v_tmm.abs().amax((1, 2)).unsqueeze(1)
    along_tm = (theta_tm.unsqueeze(1) @ onto_tmm @ vector_tmm).squeeze(1)
    square_tm = torch.where(is_kept_tm, along_tm.square() / value_tm, 0.0)
    return JointTest(square_tm.sum(1), is_kept_tm.sum(1).double(), whole_t - is_lost_ts.sum(1))
