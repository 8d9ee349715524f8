"""The separation doctor: whether the likelihood has a maximum, and if not, which columns are at fault.

The cheap test comes first and settles most fits. At a maximum the residuals are positive multipliers that make the
score vanish, which no direction of recession allows (Stiemke's lemma); near it, a Newton step corrects them. If that
step moves every linear predictor by less than 1, the corrected multipliers are still positive, so the rows overlap and
the maximum exists. Where it does not, as a Newton step of a separated fit moves its rows by about 1, a linear program
decides.

Shapes: n rows, d features, k classes, p columns of x, q free parameters, m functionals.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.recession import Recession, Unsolved, find_recession, sparsest_direction
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Family, Problem


class Separator(NamedTuple):
    """A feature that separates a class from the others by itself."""

    feature: int
    class_index: int
    is_above: bool
    """The rows of this class have the larger values."""
    is_strict: bool
    """No value occurs on both sides."""


class Separation(NamedTuple):
    is_complete: bool
    """Else quasi-complete: some rows stay where classes meet."""
    n_rows: int
    """Rows whose probability runs to 0 or 1."""
    separators: list[Separator]
    combination: list[int]
    """Features that separate together, where none does by itself."""
    direction_m: Tensor
    """For each functional +1 or -1 where its estimate is infinite, NaN where it is so but the fit was of two minds
    about the sign, 0 where it is finite."""


def have_maximum(problem: Problem, step_bq: Tensor) -> Tensor:
    """The cheap test for each member, from the Newton step at the end of a fit. False: the matter is not settled."""
    if problem.family == Family.GAUSSIAN:
        return torch.ones(len(step_bq), dtype=torch.bool, device=step_bq.device)
    step_pm = step_bq.reshape(-1, problem.p).T.to(problem.y_nk.dtype).contiguous()
    moved_nm = step_pm.new_empty(problem.n, step_pm.shape[1])
    problem.products.predict(step_pm, moved_nm)
    moved_nbf = moved_nm.view(problem.n, len(step_bq), -1)
    if problem.family != Family.MULTINOMIAL:
        return moved_nbf.abs().amax((0, 2)) < _CERTAIN
    highest_nb, lowest_nb = moved_nbf.amax(2).clamp(min=0.0), moved_nbf.amin(2).clamp(max=0.0)
    return (highest_nb - lowest_nb).amax(0) < _CERTAIN


_CERTAIN = 0.5
"""1 is enough in exact arithmetic. NaN is not below it."""


def examine_separation(problem: Problem, theta_q: Tensor, step_q: Tensor, functional_mq: Tensor) -> Separation | None:
    """By linear programming, from where a fit ended and the Newton step it would take next.

    None where the maximum exists. Raises Unsolved where the program does not end.
    """
    if problem.weight_nb is not None:
        problem = problem.rows((problem.weight_nb[:, 0] > 0).nonzero().squeeze(1))
    recession = find_recession(problem, theta_q)
    if recession is None:
        return None
    separators = _separators(problem)
    combination = [] if separators else _features_of(problem, _few_features(problem, recession))
    directions_m = _directions(recession, theta_q, step_q, functional_mq)
    return Separation(recession.is_complete, recession.n_moved, separators, combination, directions_m)


def _few_features(problem: Problem, recession: Recession) -> Tensor:
    try:
        return sparsest_direction(problem, recession)
    except Unsolved:
        return recession.direction_q


def _directions(recession: Recession, theta_q: Tensor, step_q: Tensor, functional_mq: Tensor) -> Tensor:
    """A functional is infinite where the rows that stay do not determine it; its sign is where the fit was going."""
    is_infinite_m = (functional_mq @ recession.null_qz).norm(dim=1) > 1e-7 * functional_mq.norm(dim=1)
    now_m, next_m = (functional_mq @ theta_q).sign(), (functional_mq @ step_q).sign()
    return torch.where(is_infinite_m, torch.where(now_m == next_m, now_m, torch.nan), 0.0)


def _features_of(problem: Problem, direction_q: Tensor) -> list[int]:
    lowest_d, highest_d = _ranges(problem, torch.ones_like(problem.class_n, dtype=torch.bool))
    largest_d = torch.maximum(-lowest_d, highest_d)
    moves_d = direction_q.view(-1, problem.p).abs().amax(0)[: problem.d] * largest_d
    found: list[int] = (moves_d > 1e-7).nonzero().squeeze(1).tolist()
    return found


def _separators(problem: Problem) -> list[Separator]:
    """Features whose values for one class do not lie between those for the others."""
    if not problem.family.is_classification:
        return []
    found = []
    classes = range(problem.k) if problem.family == Family.MULTINOMIAL else [1]
    for c in classes:
        is_own_n = problem.class_n == c
        if not 0 < int(is_own_n.sum()) < problem.n:
            continue
        own, other = _ranges(problem, is_own_n), _ranges(problem, ~is_own_n)
        found += _apart(own, other, c, is_above=True, needs_zero=not problem.has_intercept)
        found += _apart(own, other, c, is_above=False, needs_zero=not problem.has_intercept)
    return found


def _ranges(problem: Problem, is_counted_n: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value of every feature among the rows counted."""
    lowest_d = torch.full((problem.d,), torch.inf, dtype=torch.float64, device=problem.y_nk.device)
    highest_d = -lowest_d
    for rows in blocks_of(problem, problem.p):
        x_rd = rows_between(problem, rows)[is_counted_n[rows], : problem.d]
        if len(x_rd):
            lowest_d, highest_d = torch.minimum(lowest_d, x_rd.amin(0)), torch.maximum(highest_d, x_rd.amax(0))
    return lowest_d, highest_d


def _apart(
    own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], c: int, *, is_above: bool, needs_zero: bool
) -> list[Separator]:
    (floor_d, top_d), (bottom_d, ceiling_d) = (own, other) if is_above else (other, own)
    is_apart_d = (floor_d >= ceiling_d) & (top_d > bottom_d)
    if needs_zero:
        is_apart_d &= (floor_d >= 0) & (ceiling_d <= 0)
    return [
        Separator(j, c, is_above, bool(floor_d[j] > ceiling_d[j])) for j in is_apart_d.nonzero().squeeze(1).tolist()
    ]
