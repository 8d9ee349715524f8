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

from gradline.inference.likelihood import Evaluation
from gradline.inference.recession import Recession, Unsolved, find_recession, sparsest_direction
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Family, Problem


class Levels(NamedTuple):
    """Columns of levels as training sees them: a feature for each level but the first, the reference."""

    features: list[list[int]]
    """Of each column, in the order of its levels."""
    absent_d: Tensor
    """What stands in a row of another level."""
    present_d: Tensor

    def references(self, x_rd: Tensor) -> Tensor:
        """The features that reference levels would have, 0 or 1, [r, number of columns]."""
        shares_rd = (x_rd - self.absent_d) / (self.present_d - self.absent_d)
        told = [1 - shares_rd[:, features].sum(1) for features in self.features]
        return torch.stack(told, 1).round() if told else x_rd[:, :0]


class Separator(NamedTuple):
    """A feature that separates a class from the others by itself."""

    feature: int
    """From d on: reference levels."""
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
    """Features that separate together, where none does by itself; from d on: reference levels."""
    direction_m: Tensor
    """For each functional +1 or -1 where its estimate is infinite, NaN where it is so but the fit was of two minds
    about the sign, 0 where it is finite."""


def have_maximum(problem: Problem, step_bq: Tensor, here: Evaluation | None = None) -> Tensor:
    """The cheap test for each member, from the Newton step at the end of a fit, with what was evaluated there if it is
    at hand. False: the matter is not settled."""
    if problem.family == Family.GAUSSIAN or _barely_moves(problem, step_bq, here):
        return torch.ones(len(step_bq), dtype=torch.bool, device=step_bq.device)
    step_pm = step_bq.reshape(-1, problem.p).T.to(problem.y_nk.dtype).contiguous()
    moved_nm = step_pm.new_empty(problem.n, step_pm.shape[1])
    problem.products.predict(step_pm, moved_nm)
    moved_nbf = moved_nm.view(problem.n, len(step_bq), -1)
    if problem.family != Family.MULTINOMIAL:
        return moved_nbf.abs().amax((0, 2)) < _CERTAIN
    highest_nb, lowest_nb = moved_nbf.amax(2).clamp(min=0.0), moved_nbf.amin(2).clamp(max=0.0)
    return (highest_nb - lowest_nb).amax(0) < _CERTAIN


def _barely_moves(problem: Problem, step_bq: Tensor, here: Evaluation | None) -> bool:
    """By bounds that take no product with the rows."""
    if here is not None and here.reach_b is not None:
        length_b = (step_bq.unsqueeze(1) @ here.information_bqq @ step_bq.unsqueeze(2)).flatten().sqrt()
        if bool((here.reach_b * length_b < _CERTAIN).all()):
            return True
    return bool(_moves_at_most(problem, step_bq) < _CERTAIN)


def _moves_at_most(problem: Problem, step_bq: Tensor) -> Tensor:
    """The range of the moves of any row over its classes, from the largest entry of all, which a solver has asked for
    before."""
    step_mp = step_bq.reshape(-1, problem.p)
    return 2 * (step_mp.abs() @ problem.highest_of_all.to(step_mp)).amax()


_CERTAIN = 0.5
"""1 is enough in exact arithmetic. NaN is not below it."""


def examine_separation(
    problem: Problem, theta_q: Tensor, step_q: Tensor, functional_mq: Tensor, levels: Levels | None = None
) -> Separation | None:
    """By linear programming, from where a fit ended and the Newton step it would take next.

    None where the maximum exists. Raises Unsolved where the program does not end.
    """
    levels = levels if problem.has_intercept else None  # without one, no level stands for what the others are not
    if problem.weight_nb is not None:
        problem = problem.rows((problem.weight_nb[:, 0] > 0).nonzero().squeeze(1))
    recession = find_recession(problem, theta_q)
    if recession is None:
        return None
    separators = _separators(problem, levels)
    combination = [] if separators else _together(problem, _few_features(problem, recession), levels)
    directions_m = _directions(recession, theta_q, step_q, functional_mq)
    return Separation(recession.is_complete, recession.n_moved, separators, combination, directions_m)


def _few_features(problem: Problem, recession: Recession) -> Tensor:
    try:
        return sparsest_direction(problem, recession)
    except Unsolved:
        return recession.direction_q


def _directions(recession: Recession, theta_q: Tensor, step_q: Tensor, functional_mq: Tensor) -> Tensor:
    """A functional is infinite where the rows that stay do not determine it and those that move do; its sign is where
    the fit was going, but for what collinear columns take from each other."""
    is_infinite_m = (functional_mq @ recession.null_qz).norm(dim=1) > 1e-7 * functional_mq.norm(dim=1)
    now_m, next_m = (
        (functional_mq @ (vector_q - recession.flat_qq @ vector_q)).sign() for vector_q in (theta_q, step_q)
    )
    return torch.where(is_infinite_m, torch.where(now_m == next_m, now_m, torch.nan), 0.0)


def _together(problem: Problem, direction_q: Tensor, levels: Levels | None) -> list[int]:
    """The features that move; where they are levels of one column, those whose rows do, be it the reference."""
    found = _features_of(problem, direction_q)
    if levels is None:
        return found
    move_kp = direction_q.view(-1, problem.p)
    for g, features in enumerate(levels.features):
        if found and set(found) <= set(features):
            reference_k = move_kp[:, -1] + move_kp[:, features] @ levels.absent_d[features]
            shift_d = levels.present_d - levels.absent_d
            moves_k = {j: reference_k + move_kp[:, j] * shift_d[j] for j in features} | {problem.d + g: reference_k}
            return [j for j, move_k in moves_k.items() if float(move_k.abs().max()) > 1e-7]
    return found


def _features_of(problem: Problem, direction_q: Tensor) -> list[int]:
    lowest_d, highest_d = _ranges(problem, torch.ones_like(problem.class_n, dtype=torch.bool))
    largest_d = torch.maximum(-lowest_d, highest_d)
    moves_d = direction_q.view(-1, problem.p).abs().amax(0)[: problem.d] * largest_d
    found: list[int] = (moves_d > 1e-7).nonzero().squeeze(1).tolist()
    return found


def _separators(problem: Problem, levels: Levels | None) -> list[Separator]:
    """Features whose values for one class do not lie between those for the others.

    Of levels those that a class lacks or has to itself, and none that is only what all others are not.
    """
    if not problem.family.is_classification:
        return []
    found = []
    classes = range(problem.k) if problem.family == Family.MULTINOMIAL else [1]
    for c in classes:
        is_own_n = problem.class_n == c
        if not 0 < int(is_own_n.sum()) < problem.n:
            continue
        own, other = _ranges(problem, is_own_n, levels), _ranges(problem, ~is_own_n, levels)
        for is_above in (True, False):
            is_apart_d, is_strict_d = _apart(own, other, is_above=is_above, needs_zero=not problem.has_intercept)
            if levels is not None:
                floor_d, top_d = own if is_above else other
                is_level_d = torch.arange(len(floor_d), device=floor_d.device) >= problem.d
                for features in levels.features:
                    is_level_d[features] = True
                is_apart_d &= ~is_level_d | is_strict_d | (floor_d < top_d)
            found += [Separator(j, c, is_above, bool(is_strict_d[j])) for j in is_apart_d.nonzero().squeeze(1).tolist()]
    return found


def _ranges(problem: Problem, is_counted_n: Tensor, levels: Levels | None = None) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value of every feature, and of every reference level, among the rows counted."""
    n_references = 0 if levels is None else len(levels.features)
    lowest_d = torch.full((problem.d + n_references,), torch.inf, dtype=torch.float64, device=problem.y_nk.device)
    highest_d = -lowest_d
    for rows in blocks_of(problem, problem.p):
        x_rd = rows_between(problem, rows)[is_counted_n[rows], : problem.d]
        if levels is not None:
            x_rd = torch.cat((x_rd, levels.references(x_rd)), 1)
        if len(x_rd):
            lowest_d, highest_d = torch.minimum(lowest_d, x_rd.amin(0)), torch.maximum(highest_d, x_rd.amax(0))
    return lowest_d, highest_d


def _apart(
    own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], *, is_above: bool, needs_zero: bool
) -> tuple[Tensor, Tensor]:
    """Which features are apart, at most touching, and which are so without touching."""
    (floor_d, top_d), (bottom_d, ceiling_d) = (own, other) if is_above else (other, own)
    is_apart_d = (floor_d >= ceiling_d) & (top_d > bottom_d)
    if needs_zero:
        is_apart_d &= (floor_d >= 0) & (ceiling_d <= 0)
    return is_apart_d, floor_d > ceiling_d
