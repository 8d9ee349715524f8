"""What each fold of a cross-validation learns of the columns: fills, levels and scales from its own training rows only.

Folds share the features of all training rows where that comes to the same but for the scales, which the penalty can
take up; else each has features of its own. Those of its held-out rows are there too, with a weight of 0.
Shapes: n rows, d features, b folds.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradline.data.features import OTHER_LEVEL, TextFeatures
from gradline.data.learning import learn_levels, shares
from gradline.data.preprocessing import Preprocessing, fit_preprocessing
from gradline.data.room import Room
from gradline.data.sample import Sample
from gradline.data.scaling import is_constant, moments
from gradline.specs.logistic_regression import Preprocess
from gradline.training import Problem


@dataclass(frozen=True, eq=False)
class Folds:
    fold_n: Tensor
    """The fold of every training row."""
    is_scaled: bool
    """Whether a penalty is on coefficients of features that each fold has standardised."""
    features: Callable[[int], AbstractContextManager[Tensor]] | None
    """x_np of all training rows as a fold makes them; None: folds share them, but for the scale."""


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
    is_penalised: bool,
) -> Folds:
    """A level that a fold's training rows lack counts as the reference there, also where the spec calls it an error."""
    unseen = "ignore" if policy.unseen == "error" else policy.unseen
    policy = policy.model_copy(update={"unseen": unseen, "sparse": learned.is_sparse})

    @contextmanager
    def features(fold: int) -> Iterator[Tensor]:
        with room.passing():
            yield fit_preprocessing(
                _without(sample, fold_n == fold),
                policy,
                room,
                standardize=standardize,
                has_intercept=learned.has_intercept,
                warn=_say_nothing,
                keeps_sample=True,
            )[1]

    is_shared = shares_numbers and _share_levels(sample, learned, policy, fold_n, is_penalised=is_penalised)
    return Folds(fold_n, standardize and is_penalised, None if is_shared else features)


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


def fold_scales(held_out: list[Problem], centre_d: Tensor, scale_d: Tensor) -> Tensor:
    """scale_bd: what each fold divides the features by that all training rows made, which lack centre and scale.

    From the moments of the other folds' rows (Chan, Golub and LeVeque 1983).
    """
    found = [_moments(rows, len(scale_d)) for rows in held_out]
    weight_b1, mean_bd, square_bd = (torch.stack(part) for part in zip(*found, strict=True))
    weight_b1 = weight_b1.unsqueeze(1)
    others_bb = (1 - torch.eye(len(found), dtype=torch.float64)) * weight_b1.T
    others_bb /= others_bb.sum(1, keepdim=True)
    own_mean_bd = others_bb @ mean_bd
    apart_bbd = (mean_bd - own_mean_bd.unsqueeze(1)).square()
    deviation_bd = (others_bb @ square_bd + torch.einsum("fg,fgd->fd", others_bb, apart_bbd)).sqrt()
    is_constant_bd = is_constant(deviation_bd, own_mean_bd + centre_d / scale_d, held_out[0].x_np.dtype)
    return torch.where(is_constant_bd, 1 / scale_d, deviation_bd)


def _moments(rows: Problem, d: int) -> tuple[Tensor, Tensor, Tensor]:
    weight_n = torch.ones(rows.n, dtype=torch.float64) if rows.weight_nb is None else rows.weight_nb[:, 0].double()
    weight_n = weight_n.cpu()
    mean_d, deviation_d = moments(rows.x_np.cpu(), d, weight_n / weight_n.sum())
    return weight_n.sum(), mean_d, deviation_d.square()
