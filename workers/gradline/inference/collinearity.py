"""Columns that say the same: constant ones, linearly dependent sets, and how much each column shares with the others.

From the correlations of the columns (about zero where there is no intercept): the variance inflation factor of a
column is the diagonal of their inverse (Belsley, Kuh and Welsch 1980); dependent columns are what a Cholesky
factorisation with pivoting leaves over (Higham 1990), each expressed by the columns before it. Correlations square the
condition of the columns; where the fit does not, the columns themselves are factorised.

Shapes: n rows, d features, s columns that are kept.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.least_squares import centred_root, rounding_of
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Problem

_DEPENDENT = 1e-11
"""Share of a column's variance that the others leave unexplained, below which it counts as dependent on them. Single
precision rounds at 4e-15 of the variance, so that a copy in that precision is found."""


_STORED_ROUNDINGS = 4
"""How many roundings to single precision may add up in a column that was computed from others before it was stored."""
_MAX_STORED = 1e-3
"""What single precision tells apart of any column."""
_GLANCE_ROWS = 20_000
_GLANCE_ROWS_A_COLUMN = 50
_CLEAR = 1e3
"""Inflation below which single precision is enough."""


class DependentSet(NamedTuple):
    """A feature that is a linear combination of others (and the intercept)."""

    feature: int
    others: list[int]


class Collinearity(NamedTuple):
    constant: list[int]
    sets: list[DependentSet]
    rank: int
    """Of the features, without the intercept."""
    vif_d: Tensor
    """Infinite for dependent columns, NaN for constant ones."""
    condition_number: float
    """Of the standardised columns: the largest over the smallest singular value."""
    n_rows: int
    """Rows that the inflation factors and the condition number come from."""
    rounding: float = 0.0
    """How much of a deviation the stored numbers of the columns in `sets` may be off, where that is why they are."""


def examine_collinearity(
    problem: Problem,
    far_d: Tensor | None = None,
    is_single_d: Tensor | None = None,
    *,
    by_factors: bool = False,
) -> Collinearity:
    """At a glance where that says enough, else exactly: from all rows, in float64.

    Of many rows a glance takes some, evenly spaced: columns that depend on each other do so in any of the rows, so
    where those find nothing there is nothing, and only the inflation factors are estimates.

    `far_d`: how many of its deviations each column was from zero before it was standardised.
    `is_single_d`: whether its numbers were rounded to single precision then, so that a sum is one but for that.
    `by_factors`: columns that are nearly dependent still count as independent, for a fit by orthogonal factors.
    """
    far_d = problem.share_nb.new_zeros(problem.d, dtype=torch.float64) if far_d is None else far_d
    is_single_d = torch.zeros_like(far_d, dtype=torch.bool) if is_single_d is None else is_single_d
    return _at_a_glance(_some_rows(problem)) or _exactly(problem, far_d, is_single_d, by_factors=by_factors)


def _some_rows(problem: Problem) -> Problem:
    n_wanted = max(_GLANCE_ROWS, _GLANCE_ROWS_A_COLUMN * problem.p)
    stride = problem.n // n_wanted
    return problem if stride < 2 else problem.rows(torch.arange(0, problem.n, stride, device=problem.y_nk.device))


def _at_a_glance(problem: Problem) -> Collinearity | None:
    """None where columns are far from zero, or where there is something to find."""
    d, gram_pp = problem.d, problem.products.gram(problem.share_nb[:, :1].contiguous())
    square_d = gram_pp.diagonal()[:d]
    gram_dd = gram_pp[:d, :d] - torch.outer(gram_pp[d, :d], gram_pp[d, :d]) if problem.has_intercept else gram_pp
    if bool((gram_dd.diagonal() <= 0.01 * square_d).any()):
        return None
    scale_d = gram_dd.diagonal().sqrt()
    correlation_dd = gram_dd / scale_d / scale_d.unsqueeze(1)
    factor_dd, fault = torch.linalg.cholesky_ex(correlation_dd)
    if int(fault) > 0:
        return None
    vif_d = torch.cholesky_inverse(factor_dd).diagonal()
    is_clear = float(vif_d.max()) < _CLEAR
    return Collinearity([], [], d, vif_d, _condition(correlation_dd), problem.n) if is_clear else None


def _exactly(problem: Problem, far_d: Tensor, is_single_d: Tensor, *, by_factors: bool) -> Collinearity:
    correlation_dd, is_constant_d, reach_d = _correlations(problem)
    far_d = far_d + reach_d
    varying = (~is_constant_d).nonzero().squeeze(1)
    reduced_ss = correlation_dd[varying][:, varying]
    vif_d = torch.full_like(is_constant_d, torch.nan, dtype=torch.float64)
    constant = is_constant_d.nonzero().squeeze(1).tolist()
    if len(varying) == 0:
        return Collinearity(constant, [], 0, vif_d, 1.0, problem.n)
    rounding_s = (is_single_d * far_d)[varying] * _STORED_ROUNDINGS * torch.finfo(torch.float32).eps
    rounding_s = rounding_s.clamp(max=_MAX_STORED)
    least = max(_DEPENDENT, float(rounding_s.max()) ** 2)
    factor_ss, fault = torch.linalg.cholesky_ex(reduced_ss)
    if int(fault) == 0:
        vif_d[varying] = torch.cholesky_inverse(factor_ss).diagonal()
    if by_factors and not float(vif_d[varying].max()) < _CLEAR:
        unit_ss = _unit_root(problem, varying)
        value_s = torch.linalg.svdvals(unit_ss)
        tolerance = rounding_of(problem.y_nk.dtype, float(far_d[varying].max()))
        if float(value_s[-1]) > tolerance * float(value_s[0]):
            vif_d[varying] = torch.linalg.inv(unit_ss).square().sum(1)
            if not float(vif_d[varying].max()) * float(rounding_s.max()) ** 2 > 1:
                return Collinearity(constant, [], len(varying), vif_d, float(value_s[0] / value_s[-1]), problem.n)
    if int(fault) == 0 and float(vif_d[varying].max()) < 0.1 / least:
        return Collinearity(constant, [], len(varying), vif_d, _condition(reduced_ss), problem.n)
    kept, left_over = _pivot(reduced_ss, least)
    sets = _dependent_sets(reduced_ss, kept, left_over, rounding_s)
    kept = sorted(set(range(len(varying))) - {group.feature for group in sets})
    vif_d[varying] = torch.inf
    inverse_ss = torch.linalg.inv(reduced_ss[kept][:, kept])
    in_sets = {i for group in sets for i in (group.feature, *group.others)}
    for position, column in enumerate(kept):
        if column not in in_sets:
            vif_d[varying[column]] = inverse_ss[position, position]
    own = varying.tolist()
    named = [DependentSet(own[group.feature], [own[i] for i in group.others]) for group in sets]
    rounding = max((float(rounding_s[i]) for i in in_sets), default=0.0)
    return Collinearity(constant, named, len(kept), vif_d, torch.inf, problem.n, rounding)


def _unit_root(problem: Problem, varying: Tensor) -> Tensor:
    root_ds = centred_root(problem)[:, varying]
    return torch.linalg.qr(root_ds / root_ds.norm(dim=0), mode="r")[1]


def _correlations(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """correlation_dd, which columns are constant (zero everywhere, where there is no intercept), and the largest number
    of each in units of its deviation."""
    d, share_n1 = problem.d, problem.share_nb[:, :1]
    shift_d = largest_d = sum_d = torch.zeros(d, dtype=torch.float64, device=problem.y_nk.device)
    gram_dd = shift_d.new_zeros(d, d)
    for rows in blocks_of(problem, problem.p):
        x_rd, share_r1 = rows_between(problem, rows)[:, :d], share_n1[rows].double()
        if rows.start == 0 and problem.has_intercept:
            shift_d = x_rd.mean(0)  # near the mean, so that little cancels when the rest of it is taken away
        largest_d = torch.maximum(largest_d, x_rd.abs().amax(0))
        x_rd = (x_rd - shift_d) * share_r1.sqrt()
        sum_d = sum_d + (x_rd * share_r1.sqrt()).sum(0)
        gram_dd += x_rd.T @ x_rd
    if problem.has_intercept:
        gram_dd -= torch.outer(sum_d, sum_d)
    is_constant_d = gram_dd.diagonal() <= (1e-10 * largest_d).square()
    scale_d = torch.where(is_constant_d, 1.0, gram_dd.diagonal().sqrt())
    return gram_dd / scale_d / scale_d.unsqueeze(1), is_constant_d, largest_d / scale_d


def _condition(correlation_ss: Tensor) -> float:
    value_s = torch.linalg.eigvalsh(correlation_ss)
    return float((value_s[-1] / value_s[0].clamp(min=1e-300)).sqrt())


def _pivot(correlation_ss: Tensor, least: float) -> tuple[list[int], list[int]]:
    """Columns in the order of pivoting, and those that it leaves over."""
    left_s = correlation_ss.diagonal().clone()
    rows: list[Tensor] = []
    kept: list[int] = []
    while len(kept) < len(left_s):
        most = float(left_s.max())
        if most <= least:
            break
        # Earlier columns first among equals, so that the later copy is the one called dependent.
        pivot = int((left_s > most * (1 - 1e-9)).nonzero()[0])
        row_s = correlation_ss[pivot] - sum((row[pivot] * row for row in rows), torch.zeros_like(left_s))
        row_s = row_s / left_s[pivot].sqrt()
        rows.append(row_s)
        kept.append(pivot)
        left_s = left_s - row_s.square()
        left_s[kept] = -torch.inf
    return kept, sorted(set(range(len(left_s))) - set(kept))


def _dependent_sets(
    correlation_ss: Tensor, kept: list[int], left_over: list[int], rounding_s: Tensor
) -> list[DependentSet]:
    """Of columns left over, those that are as near to the others as rounding of these very columns explains."""
    sets = []
    for column in left_over:
        weight_s = torch.linalg.solve(correlation_ss[kept][:, kept], correlation_ss[kept, column])
        left = float(1 - correlation_ss[column, kept] @ weight_s)
        explained = float(rounding_s[column] ** 2 + (weight_s * rounding_s[kept]).square().sum())
        if left > max(_DEPENDENT, explained):
            kept = [*kept, column]
            continue
        others = [kept[i] for i in (weight_s.abs() > 1e-5).nonzero().squeeze(1).tolist()]
        sets.append(DependentSet(column, sorted(others)))
    return sets
