"""What each fold of a cross-validation learns of the columns: fills, levels and scales from its own training rows only.

Folds share the features of all training rows where that comes to the same but for the scales, which the penalty can
take up; else each has features of its own. Those of its held-out rows are there too, with a weight of 0.
Shapes: n rows, d features, b folds.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from gradline.data.bounds import box_of
from gradline.data.features import OTHER_LEVEL, TextFeatures
from gradline.data.learning import learn_levels, shares
from gradline.data.preprocessing import Preprocessing, fit_preprocessing
from gradline.data.room import Room
from gradline.data.sample import Sample
from gradline.data.scaling import is_constant, moments
from gradline.specs.logistic_regression import Model, Preprocess
from gradline.training import Box, Problem, linear_predictor


@dataclass(frozen=True, eq=False)
class Folds:
    fold_n: Tensor
    """The fold of every training row."""
    is_standardized: bool
    """Whether a penalty would be on coefficients of features that each fold has standardised."""
    features: Callable[[int], AbstractContextManager[tuple[Tensor, Box | None]]] | None
    """x_np of all training rows as a fold makes them, and the bounds on that scale; None: folds share them, but for the
    scale."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows that the members of a fit have not seen. They are gathered in parts, so that no fold's features are copied
    as a whole."""

    problem: Problem
    """All rows, as they are judged."""
    member_n: Tensor
    """From which member each row is held out; -1: from none that is there."""
    n_members: int

    def rows_of(self, member: int) -> Tensor:
        return torch.nonzero(self.member_n == member).squeeze(1)

    def parts(self) -> Iterator[tuple[int, Tensor, Problem]]:
        """A member, the numbers of some of its rows, and these rows."""
        start = 0
        for chunk in self.problem.ranges():
            member_r = self.member_n[start : start + chunk.n]
            for member in range(self.n_members):
                index_r = torch.nonzero(member_r == member).squeeze(1)
                if len(index_r):
                    yield member, start + index_r, chunk.rows(index_r)
            start += chunk.n

    def predictor(self, theta_bkp: Tensor) -> Tensor:
        """z_nk of each row under the member that has not seen it; 0 where there is none."""
        z_nk = torch.zeros_like(self.problem.y_nk)
        for member, row_r, rows in self.parts():
            z_nk[row_r] = linear_predictor(rows, theta_bkp[member : member + 1])
        return z_nk


def may_share_numbers(sample: Sample, *, is_exact: bool) -> bool:
    """To be asked before the training rows' own features may have taken the memory of the numbers.

    `is_exact`: the fit goes to a minimum, which does not depend on the scale that it is looked for on.
    """
    return is_exact and not bool(sample.numbers.values_nj.sum(0).isnan().any())


def make_folds(
    sample: Sample,
    learned: Preprocessing,
    policy: Preprocess,
    room: Room,
    fold_n: Tensor,
    *,
    shares_numbers: bool,
    standardize: bool,
    is_exact: bool,
    is_penalised: bool,
    model: Model,
) -> Folds:
    """A level that a fold's training rows lack counts as the reference there, also where the spec calls it an error."""
    unseen = "ignore" if policy.unseen == "error" else policy.unseen
    policy = policy.model_copy(update={"unseen": unseen, "sparse": learned.is_sparse})

    @contextmanager
    def features(fold: int) -> Iterator[tuple[Tensor, Box | None]]:
        with room.passing():
            own, x_np = fit_preprocessing(
                _without(sample, fold_n == fold),
                policy,
                room,
                standardize=standardize,
                has_intercept=learned.has_intercept,
                warn=_say_nothing,
                is_exact=is_exact,
                keeps_sample=True,
            )
            yield x_np, box_of(model, own)

    is_shared = shares_numbers and _share_levels(sample, learned, policy, fold_n, is_penalised=is_penalised)
    return Folds(fold_n, standardize, None if is_shared else features)


def _say_nothing(code: str, message: str) -> None:
    """Warnings are of all training rows."""


def _without(sample: Sample, is_held_out_n: Tensor) -> Sample:
    """The same rows, those held out with a weight of 0."""
    weight_n = torch.ones(sample.n, dtype=torch.float64) if sample.roles.weight_n is None else sample.roles.weight_n
    return replace(sample, roles=replace(sample.roles, weight_n=weight_n.masked_fill(is_held_out_n, 0)))


def _share_levels(
    sample: Sample, learned: Preprocessing, policy: Preprocess, fold_n: Tensor, *, is_penalised: bool
) -> bool:
    """Whether in every fold each level makes the features that it makes of all training rows.

    A level that a fold lacks may keep its feature where a penalty holds the coefficient at 0: that is as if it counted
    as the reference.
    """
    parts = [part for part in learned.parts if isinstance(part, TextFeatures)]
    return all(
        _means_the_same(part, _without(sample, fold_n == fold), policy, is_penalised=is_penalised)
        for fold in range(int(fold_n.max()) + 1)
        for part in parts
    )


def _means_the_same(part: TextFeatures, own: Sample, policy: Preprocess, *, is_penalised: bool) -> bool:
    column = own.texts[part.name]
    learned = learn_levels(column, shares(own), policy, _say_nothing)
    lacking = set(part.levels) - set(learned.levels)
    if lacking and (not is_penalised or OTHER_LEVEL in part.levels):
        return False
    is_missing_zero = part.missing in lacking and learned.missing == learned.levels[0]
    if part.missing != learned.missing and not is_missing_zero and bool((column.code_n < 0).any()):
        return False
    kept = [level for level in part.levels if level not in lacking]
    return learned.levels == kept and kept[0] == part.levels[0]


def fold_scales(held_out: HeldOut, centre_d: Tensor, scale_d: Tensor) -> Tensor:
    """scale_bd: what each fold divides the features by that all training rows made, which lack centre and scale.

    From the moments of the other folds' rows.
    """
    found: list[Moments | None] = [None] * held_out.n_members
    for fold, _, rows in held_out.parts():
        found[fold] = _together(found[fold], _moments(rows, len(scale_d)))
    others = [reduce(_together, found[:fold] + found[fold + 1 :], None) for fold in range(len(found))]
    mean_bd, square_bd = (torch.stack([part[i] for part in others if part is not None]) for i in (1, 2))
    deviation_bd = square_bd.sqrt()
    is_constant_bd = is_constant(deviation_bd, mean_bd + centre_d / scale_d, held_out.problem.x_np.dtype)
    return torch.where(is_constant_bd, 1 / scale_d, deviation_bd)


Moments = tuple[Tensor, Tensor, Tensor]
"""Weight, mean_d and variance_d of rows."""


def _moments(rows: Problem, d: int) -> Moments:
    weight_n = torch.ones(rows.n, dtype=torch.float64) if rows.weight_nb is None else rows.weight_nb[:, 0].double()
    weight_n = weight_n.cpu()
    mean_d, deviation_d = moments(rows.x_np.cpu(), d, weight_n / weight_n.sum())
    return weight_n.sum(), mean_d, deviation_d.square()


def _together(left: Moments | None, right: Moments | None) -> Moments | None:
    """Chan, Golub and LeVeque 1983."""
    if left is None or right is None:
        return left or right
    (weight, mean_d, variance_d), (more, other_mean_d, other_variance_d) = left, right
    share, apart_d = more / (weight + more), other_mean_d - mean_d
    spread_d = (1 - share) * variance_d + share * other_variance_d + share * (1 - share) * apart_d.square()
    return weight + more, mean_d + share * apart_d, spread_d
