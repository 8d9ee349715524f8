"""Average marginal effects: how the mean of the target goes with a feature, all else equal, over the rows.

    derivative  sum_n w_n C_n s_n                        s_n: by how much a unit of the feature moves z
    change      sum_n w_n (mean(o_n + s_n) - mean(o_n))  o_n: z where the feature and its companions are 0

with weights w that add up to 1. Features that are products move with their factors, so that s differs by row; they are
linear in each factor, so that s is the whole way from 0 to 1 too. By theta both have the derivative
sum_n w_n (G_n kron x_n' + H_n kron d_n'), with x_n the row where it starts and d_n what moves in it with a unit of the
feature, s_n = theta d_n. Of a derivative G = d(C s)/dz and H = C, of a change G = C(o + s) - C(o) and H = C(o + s).
Errors are then by the delta method (Greene 2018, section 17.3.2).

Effects are on the free outputs: on the mean, on the chance of class 1 of two, or of each class but the first. They are
for a unit of the columns as given, u = centre + scale * x. The rows are read once, in blocks.

Shapes: r rows of a block, m effects, d features, p columns of x, f free outputs, q = f * p, i products that move.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Block, Likelihood
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Problem

_SAME = 1e-6
"""Share of the way from 0 to 1 that rounding may take a value off either."""


class Units(NamedTuple):
    """From features as training sees them to the columns as given."""

    centre_d: Tensor
    scale_d: Tensor


class Move(NamedTuple):
    """A feature, and what goes with it."""

    feature: int
    products: list[tuple[int, int]]
    """Where a product of the feature with another one stands, and where that other one."""
    companions: list[int] | None = None
    """None: the effect is the derivative. Else it is the change from where the feature and these are 0."""


class Average(NamedTuple):
    effect_mf: Tensor
    jacobian_mfq: Tensor
    """By the free parameters."""
    by_slope_mfq: Tensor
    """Its part by how the features move, which the rows must determine: the other part is as large as parameters are
    that they do not."""


def average_effects(
    likelihood: Likelihood, theta_q: Tensor, moves: list[Move], units: Units, between: Callable[[], None]
) -> Average:
    """Over the rows as `likelihood` weighs them; `between` is called before each block of them."""
    f = likelihood.f
    sorts = [[m for m, move in enumerate(moves) if (move.companions is None) == is_slope] for is_slope in (True, False)]
    sums = [
        sort_of([moves[m] for m in sort], likelihood, theta_q, units)
        for sort_of, sort in zip(_SORTS, sorts, strict=True)
    ]
    for block in likelihood.blocks(theta_q.unsqueeze(0), width=len(moves) * f * f):
        between()
        for some in sums:
            some.add(block)
    order_m = torch.tensor([m for sort in sorts for m in sort], device=theta_q.device).argsort()
    effect_mf, by_z_mfq, by_slope_mfq = (
        torch.cat(parts)[order_m]
        for parts in zip(*((some.effect_mf, some.by_z_mfq(), some.by_slope_mfq()) for some in sums), strict=True)
    )
    return Average(effect_mf, by_z_mfq + by_slope_mfq, by_slope_mfq)


class _Response(NamedTuple):
    """Of rows to moves."""

    effect_rmf: Tensor
    by_z_rmff: Tensor
    by_slope_rmff: Tensor


class _Derivatives:
    """Sums over the rows."""

    def __init__(self, moves: list[Move], likelihood: Likelihood, theta_q: Tensor, units: Units) -> None:
        m, f, p, device = len(moves), likelihood.f, likelihood.p, theta_q.device
        theta_pf = theta_q.view(f, p).T
        self._likelihood, self._units = likelihood, units
        self._feature_m = _indices([move.feature for move in moves], device)
        products = [(m, *product) for m, move in enumerate(moves) for product in move.products]
        self._of_i, self._product_i, self._other_i = (
            _indices([triple[j] for triple in products], device) for j in range(3)
        )
        self._slope_mf = theta_pf[self._feature_m] / units.scale_d[self._feature_m].unsqueeze(1)
        self._slope_if = theta_pf[self._product_i] / units.scale_d[self._product_i].unsqueeze(1)
        self._sum_by_z_mff, self._sum_by_slope_mff = theta_q.new_zeros(2, m, f, f)
        self._by_z_mffp, self._by_slope_mffp = theta_q.new_zeros(2, m, f, f, p)
        self.effect_mf = theta_q.new_zeros(m, f)

    def add(self, block: Block) -> None:
        weight_r11 = (block.weight_rb / self._likelihood.n_weighed).unsqueeze(2)
        effect_rmf, by_z_rmff, by_slope_rmff = self._response(block, self._slopes(block.x_rp))
        self.effect_mf += (effect_rmf * weight_r11).sum(0)
        by_z_rmff, by_slope_rmff = by_z_rmff * weight_r11.unsqueeze(3), by_slope_rmff * weight_r11.unsqueeze(3)
        self._sum_by_z_mff += by_z_rmff.sum(0)
        self._sum_by_slope_mff += by_slope_rmff.sum(0)
        self._by_z_mffp += (by_z_rmff.flatten(1).T @ block.x_rp).view_as(self._by_z_mffp)
        if len(self._of_i):
            self._by_slope_mffp += (by_slope_rmff.flatten(1).T @ block.x_rp).view_as(self._by_z_mffp)

    def _slopes(self, x_rp: Tensor) -> Tensor:
        """s_rmf"""
        slope_rmf = self._slope_mf.expand(len(x_rp), *self._slope_mf.shape)
        if not len(self._of_i):
            return slope_rmf
        other_ri = self._units.centre_d[self._other_i] + self._units.scale_d[self._other_i] * x_rp[:, self._other_i]
        return slope_rmf.index_add(1, self._of_i, other_ri.unsqueeze(2) * self._slope_if)

    def _response(self, block: Block, slope_rmf: Tensor) -> _Response:
        curvature_r1ff = self._likelihood.curvature(block)
        effect_rmf = (curvature_r1ff * slope_rmf.unsqueeze(2)).sum(3)
        by_slope_rmff = curvature_r1ff.expand(*slope_rmf.shape, -1)
        return _Response(effect_rmf, self._likelihood.bend(block, slope_rmf), by_slope_rmff)

    def by_slope_mfq(self) -> Tensor:
        """sum_n w_n H_n kron d_n'"""
        centre_d, scale_d = self._units
        by_slope_mffp, each_m = torch.zeros_like(self._by_z_mffp), torch.arange(len(self._feature_m))
        by_slope_mffp[each_m, :, :, self._feature_m] = self._sum_by_slope_mff / scale_d[self._feature_m, None, None]
        by_other_iff = self._by_slope_mffp[self._of_i, :, :, self._other_i] * scale_d[self._other_i, None, None]
        by_other_iff += self._sum_by_slope_mff[self._of_i] * centre_d[self._other_i, None, None]
        by_slope_mffp[self._of_i, :, :, self._product_i] = by_other_iff / scale_d[self._product_i, None, None]
        return by_slope_mffp.flatten(2)

    def by_z_mfq(self) -> Tensor:
        """sum_n w_n G_n kron x_n'"""
        return self._by_z_mffp.flatten(2)


class _Changes(_Derivatives):
    def __init__(self, moves: list[Move], likelihood: Likelihood, theta_q: Tensor, units: Units) -> None:
        super().__init__(moves, likelihood, theta_q, units)
        theta_fd = theta_q.view(likelihood.f, likelihood.p)[:, : likelihood.problem.d]
        self._is_zero_md = torch.zeros(len(moves), theta_fd.shape[1], dtype=torch.bool, device=theta_q.device)
        for m, move in enumerate(moves):
            self._is_zero_md[m, [move.feature, *(move.companions or [])]] = True
        self._zero_d = -units.centre_d / units.scale_d
        self._theta_dn = (self._is_zero_md.unsqueeze(1) * theta_fd).flatten(0, 1).T

    def _response(self, block: Block, slope_rmf: Tensor) -> _Response:
        above_zero_rd = block.x_rp[:, : len(self._zero_d)] - self._zero_d
        origin_rmf = block.z_rbf - (above_zero_rd @ self._theta_dn).view_as(slope_rmf)
        low, high = self._likelihood.at(block, origin_rmf), self._likelihood.at(block, origin_rmf + slope_rmf)
        by_slope_rmff = self._likelihood.curvature(high)
        return _Response(high.mean_rbf - low.mean_rbf, by_slope_rmff - self._likelihood.curvature(low), by_slope_rmff)

    def by_z_mfq(self) -> Tensor:
        d = len(self._zero_d)
        at_zero_mffd = self._sum_by_z_mff.unsqueeze(3) * self._zero_d
        is_zero_m11d = self._is_zero_md[:, None, None, :]
        by_z_mffd = torch.where(is_zero_m11d, at_zero_mffd, self._by_z_mffp[..., :d])
        return torch.cat((by_z_mffd, self._by_z_mffp[..., d:]), 3).flatten(2)


_SORTS = (_Derivatives, _Changes)


def _indices(places: list[int], device: torch.device) -> Tensor:
    return torch.tensor(places, dtype=torch.long, device=device)


def are_zero_or_one(problem: Problem, features: list[int], units: Units) -> list[int]:
    """Those of the features whose column has no other values. Rows are read for as long as there may be any."""
    for rows in blocks_of(problem, problem.p):
        if not features:
            break
        centre_m, scale_m = units.centre_d[features], units.scale_d[features]
        value_rm = centre_m + scale_m * rows_between(problem, rows)[:, features]
        is_either_m = ((value_rm.abs() <= _SAME) | ((value_rm - 1).abs() <= _SAME)).all(0)
        features = [j for j, is_either in zip(features, is_either_m.tolist(), strict=True) if is_either]
    return features
