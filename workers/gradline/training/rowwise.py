"""The loss of each row as a function of its linear predictor z: what can be said without the features.

Formulas stand in `family`; the conjugates, with q = y + a, are

    binomial q log q + (1 - q) log(1 - q);  multinomial sum q log q;  gaussian a^2 / 2 + a y;
    poisson q log q - q - y log y + y

and infinite where q is below 0, for binomial also where it is above 1.
Shapes: n rows, b members, k outputs; rows and members may change places.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gradline.training.factor import fix_gauge
from gradline.training.family import Family

NEGLIGIBLE = 40.0
"""Of z: log(1 + exp(z)) is z from here on, in float64."""
ROUNDED = 1e-14
"""How far below 0 rounding may bring a mean, as a share of the target and 1."""


def means(family: Family, z_bnk: Tensor, *, in_place: bool = False) -> Tensor:
    """`in_place`: over z."""
    out = z_bnk if in_place else None
    if family == Family.BINOMIAL:
        return torch.sigmoid(z_bnk, out=out)
    if family == Family.MULTINOMIAL:
        return torch.softmax(z_bnk, 2, out=out)
    return z_bnk if family == Family.GAUSSIAN else torch.exp(z_bnk, out=out)


def losses(family: Family, z_bnk: Tensor, y_1nk: Tensor) -> Tensor:
    """loss_bn."""
    if family == Family.MULTINOMIAL:
        return torch.logsumexp(z_bnk, 2) - (z_bnk * y_1nk).sum(2)
    if family == Family.BINOMIAL:
        return softplus(z_bnk * (1 - 2 * y_1nk), threshold=NEGLIGIBLE).squeeze(2)
    if family == Family.GAUSSIAN:
        return ((z_bnk - y_1nk).square() / 2).squeeze(2)
    return (z_bnk.exp() - z_bnk * y_1nk + torch.xlogy(y_1nk, y_1nk) - y_1nk).squeeze(2)


def variances(family: Family, mean_bnk: Tensor) -> Tensor:
    """d2 loss / dz2 of each output alone."""
    if family == Family.GAUSSIAN:
        return torch.ones_like(mean_bnk)
    return mean_bnk if family == Family.POISSON else mean_bnk * (1 - mean_bnk)


def curvatures(family: Family, z_bnk: Tensor) -> Tensor:
    """The same of a single output from z: of a mean next to 1, variances have lost the digits."""
    if family == Family.BINOMIAL:
        return torch.sigmoid(z_bnk).mul_(torch.sigmoid(-z_bnk))
    return variances(family, means(family, z_bnk))


def curved(family: Family, mean_bnk: Tensor, move_bnk: Tensor) -> Tensor:
    """d2 loss / dz2 times a change of z; both broadcast."""
    if family == Family.MULTINOMIAL:
        return mean_bnk * (move_bnk - (mean_bnk * move_bnk).sum(-1, keepdim=True))
    return variances(family, mean_bnk) * move_bnk


def intercept_curvature(family: Family, mean_bnk: Tensor, share_bn1: Tensor) -> Tensor:
    """The intercepts' part of the Hessian, [b, k, k]; for multinomial with the gauge fixed."""
    if family != Family.MULTINOMIAL:
        return (share_bn1 * variances(family, mean_bnk)).sum(1).unsqueeze(2)
    weighted_bnk = share_bn1 * mean_bnk
    hessian_bkk = torch.diag_embed(weighted_bnk.sum(1)) - weighted_bnk.transpose(1, 2) @ mean_bnk
    return fix_gauge(hessian_bkk, torch.ones_like(hessian_bkk[:, 0, :1]))


def conjugates(family: Family, a_bnk: Tensor, y_1nk: Tensor) -> Tensor:
    """loss* of each row and output."""
    if family == Family.GAUSSIAN:
        return a_bnk.square() / 2 + a_bnk * y_1nk
    q_bnk = y_1nk + a_bnk
    is_out_bnk = q_bnk < -ROUNDED * (1 + y_1nk)
    q_bnk = q_bnk.clamp(min=0.0)
    conjugate_bnk = torch.xlogy(q_bnk, q_bnk)
    if family == Family.BINOMIAL:
        rest_bnk = 1 - q_bnk
        is_out_bnk |= rest_bnk < -ROUNDED
        rest_bnk = rest_bnk.clamp(min=0.0)
        conjugate_bnk += torch.xlogy(rest_bnk, rest_bnk)
    elif family == Family.POISSON:
        conjugate_bnk += y_1nk - q_bnk - torch.xlogy(y_1nk, y_1nk)
    return conjugate_bnk.masked_fill(is_out_bnk, torch.inf)
