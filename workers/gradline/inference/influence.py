"""How much single rows pull the estimates: leverage, standardised residual and Cook's distance.

    leverage  h_n = C_n x_n' A^-1 x_n                  A: information, C_n: curvature, the variance of y_n over phi
    residual  r_n = (y_n - mean_n) / sqrt(phi C_n (1 - h_n))
    distance  D_n = r_n^2 h_n / ((1 - h_n) q)

D_n is how far, in the norm of the information and per parameter, a Newton step without the row goes (Cook 1977,
Pregibon 1981), as statsmodels' GLMInfluence has it. A weight counts rows: what is told is of one of the rows that it
stands for.

Shapes: r rows of a block, m rows that are named, q parameters that the rows determine.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.covariance import NOTHING_LEFT, Inverse, leverages
from gradline.inference.likelihood import Block, Likelihood


class Influence(NamedTuple):
    """Rows by falling distance; NaN, last, where a row alone determines a coefficient, so that h_n is 1."""

    row_m: Tensor
    """Place in the problem."""
    distance_m: Tensor
    leverage_m: Tensor
    residual_m: Tensor


def influential_rows(
    likelihood: Likelihood, theta_q: Tensor, inverse: Inverse, dispersion: float, n_named: int
) -> Influence:
    """The `n_named` rows of the largest distance, of one linear predictor; from one pass. `inverse`: of A."""
    found: Influence | None = None
    start, n_determined = 0, likelihood.q - inverse.null_qz.shape[1]
    for block in likelihood.blocks(theta_q.unsqueeze(0)):
        some = _measured(likelihood, block, inverse, dispersion, n_determined, start)
        found = _largest(some if found is None else Influence(*map(torch.cat, zip(found, some, strict=True))), n_named)
        start += len(block.x_rp)
    assert found is not None  # noqa: S101  a problem has rows
    return found


def _measured(
    likelihood: Likelihood, block: Block, inverse: Inverse, dispersion: float, n_determined: int, start: int
) -> Influence:
    curvature_r = likelihood.curvature(block).flatten()
    leverage_r = curvature_r * leverages(block.x_rp, inverse.inverse_qq, 1).flatten()
    left_r = torch.where(leverage_r < 1 - NOTHING_LEFT, 1 - leverage_r, torch.nan)
    residual_r = -block.residual_rbf.flatten() / (dispersion * curvature_r * left_r).sqrt()
    distance_r = residual_r.square() * leverage_r / (left_r * n_determined)
    return Influence(torch.arange(start, start + len(left_r)).to(left_r.device), distance_r, leverage_r, residual_r)


def _largest(found: Influence, n_named: int) -> Influence:
    place_m = found.distance_m.nan_to_num(nan=-1.0).sort(descending=True, stable=True).indices[:n_named]
    return Influence(*(column[place_m] for column in found))
