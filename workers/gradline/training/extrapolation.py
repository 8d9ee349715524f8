"""The duality gap at a combination of the residuals of several steps, which costs no pass.

Any a = sum_i alpha_i r_i with sum_i alpha_i = 1 adds up to 0 where each of the residuals r_i does, and its u = a' x is
the same combination of those u_i that the gradients needed anyway. The weights minimise the gap (see `duality`)

    F(theta) - D(a) = sum share_n (loss(z_n) + loss*(a_n) - a_n z_n) + |u + l2 w|^2 / (2 l2)

to second order around the last residuals; the gap is then computed, so that it is one whatever the weights. Neither
term is ever negative, so that what products in float32 round off counts by its square only.
Massias, Vaiter, Gramfort and Salmon 2020 extrapolate dual points of generalised linear models with an l1 penalty.

Shapes: b members, n rows, k outputs, m = n * k, i points, q = k * p parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training import rowwise
from gradline.training.factor import factorise
from gradline.training.family import Family
from gradline.training.rows import Rows

MAX_TRIES = 4
"""Combinations may leave the domain of the conjugates; half way to the last residuals they may not."""
LEAST_VARIANCE = 1e-12


class DualPoint(NamedTuple):
    a_bnk: Tensor
    """Residuals, mean - target."""
    u_bq: Tensor
    """a' x, weighted by the shares."""


def half_square_over_l2(g_bq: Tensor, l2_bq: Tensor) -> Tensor:
    """|g|^2 / (2 l2) over the parameters that have a penalty: the gap at the residuals of theta themselves."""
    return torch.where(l2_bq > 0, g_bq.square() / (2 * l2_bq), 0.0).sum(1)


def gap_of_rows(rows: Rows, z_bnk: Tensor, a_bnk: Tensor) -> Tensor:
    """The first term: 0 where a are the residuals of z."""
    of_outputs_bn = (rowwise.conjugates(rows.family, a_bnk, rows.y_1nk) - a_bnk * z_bnk).sum(2)
    return rows.mean((rowwise.losses(rows.family, z_bnk, rows.y_1nk) + of_outputs_bn).clamp_(min=0.0))


def extrapolated_gap(rows: Rows, l2_bq: Tensor, theta_bq: Tensor, z_bnk: Tensor, points: list[DualPoint]) -> Tensor:
    """gap_b at a combination of the points, the last of which is that of theta; inf where none was found."""
    last = points[-1]
    move_bink = torch.stack([point.a_bnk - last.a_bnk for point in points[:-1]], 1)
    move_biq = torch.stack([point.u_bq - last.u_bq for point in points[:-1]], 1)
    gradient_bq = last.u_bq + l2_bq * theta_bq
    alpha_b1i = _weights(rows, l2_bq, gradient_bq, last, move_bink, move_biq)
    for _ in range(MAX_TRIES):
        a_bnk = last.a_bnk + (alpha_b1i @ move_bink.flatten(2)).view_as(last.a_bnk)
        gap_b = gap_of_rows(rows, z_bnk, a_bnk)
        if bool(gap_b.isfinite().all()):
            break
        alpha_b1i = torch.where(gap_b.isfinite().view(-1, 1, 1), alpha_b1i, alpha_b1i / 2)
    return gap_b + half_square_over_l2(gradient_bq + (alpha_b1i @ move_biq).squeeze(1), l2_bq)


def _weights(
    rows: Rows, l2_bq: Tensor, gradient_bq: Tensor, last: DualPoint, move_bink: Tensor, move_biq: Tensor
) -> Tensor:
    """alpha_b1i: of the gap in a row, the curvature is 1 over that of the loss."""
    mean_bnk = last.a_bnk + rows.y_1nk
    variance_bnk = mean_bnk if rows.family == Family.MULTINOMIAL else rowwise.variances(rows.family, mean_bnk)
    scale_bnk = rows.share_bn1 / variance_bnk.clamp(min=LEAST_VARIANCE)
    scaled_biq = move_biq * torch.where(l2_bq > 0, 1 / l2_bq, 0.0).unsqueeze(1)
    curvature_bii = (move_bink * scale_bnk.unsqueeze(1)).flatten(2) @ move_bink.flatten(2).transpose(1, 2)
    curvature_bii += scaled_biq @ move_biq.transpose(1, 2)
    slope_bi = (scaled_biq @ gradient_bq.unsqueeze(2)).squeeze(2)
    return factorise(curvature_bii).solve(slope_bi).neg_().unsqueeze(1)
