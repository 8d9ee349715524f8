"""Which rows are held out for validation, and which fold of a cross-validation each row is in.

Rows of a group stay together; without groups, every class keeps its share.
"""

import torch
from torch import Tensor

from gradline.data.sample import Roles
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split

_FOLD_STREAM = 1 << 32
"""Folds are drawn from a stream of their own, so that asking for them changes no split."""


def split_rows(roles: Roles, spec: Split) -> tuple[Tensor, Tensor]:
    """Row numbers for training and validation, each in the data's own order."""
    is_held_out_n = torch.zeros(roles.n, dtype=torch.bool)
    if roles.group_n is None:
        for class_r in _shuffled(roles, spec.seed, spec.stratify):
            is_held_out_n[class_r[: round(spec.validation_fraction * len(class_r))]] = True
    else:
        group_n = _numbered(roles.group_n)
        is_held_out_n = _held_out_groups(group_n, spec)[group_n]
    training_r, validation_r = torch.nonzero(~is_held_out_n).squeeze(1), torch.nonzero(is_held_out_n).squeeze(1)
    _check_split(roles, spec, training_r, validation_r)
    return training_r, validation_r


def _held_out_groups(group_n: Tensor, spec: Split) -> Tensor:
    """Groups in random order, each that still fits into the share of the rows; for every group whether it is one."""
    group_g, size_g = _shuffled_groups(group_n, spec.seed)
    is_held_out_g, room = torch.zeros(len(group_g), dtype=torch.bool), spec.validation_fraction * len(group_n)
    chosen = []
    for group, size in zip(group_g.tolist(), size_g.tolist(), strict=True):
        if size <= room:
            chosen.append(group)
            room -= size
    is_held_out_g[chosen] = True
    return is_held_out_g


def _check_split(roles: Roles, spec: Split, training_r: Tensor, validation_r: Tensor) -> None:
    if len(validation_r) == 0:
        noun = "row" if roles.group_n is None else "whole group"
        reason = f"a validation_fraction of {spec.validation_fraction} of {roles.n} rows holds out no {noun}"
        raise PermanentError(f"spec.split: {reason}", code="bad_data")
    if (lacking := class_lacking(roles, training_r)) is not None:
        reason = f"no row of class {lacking!r} is left for training"
        raise PermanentError(f"spec.split: {reason}; lower validation_fraction", code="bad_data")


def assign_folds(roles: Roles, n_folds: int | None, spec: Split) -> Tensor:
    """The fold of every row: as the data name it (`n_folds` is None), or drawn, of nearly the same size."""
    if n_folds is None:
        assert roles.fold_n is not None  # noqa: S101  the spec gives one or the other
        fold_n = torch.unique(roles.fold_n, return_inverse=True)[1]
    elif roles.group_n is None:
        order_n = torch.cat(_shuffled(roles, spec.seed + _FOLD_STREAM, spec.stratify))
        fold_n = _dealt(order_n, n_folds)
    else:
        group_n = _numbered(roles.group_n)
        group_g, size_g = _shuffled_groups(group_n, spec.seed + _FOLD_STREAM)
        largest_first = size_g.argsort(descending=True, stable=True)
        fold_n = _dealt(group_g[largest_first], n_folds)[group_n]
    _check_folds(roles, fold_n, n_folds)
    return fold_n


def fold_weights(fold_n: Tensor, weight_n1: Tensor | None) -> Tensor:
    """weight_nb of the fits that leave one fold out each: b members, one a fold."""
    weight_nb = (fold_n.unsqueeze(1) != torch.arange(int(fold_n.max()) + 1, device=fold_n.device)).double()
    return weight_nb if weight_n1 is None else weight_nb * weight_n1


def _shuffled(roles: Roles, seed: int, stratify: bool) -> list[Tensor]:
    """Rows in random order, in one list a class where classes keep their shares."""
    order_n = torch.randperm(roles.n, generator=_generator(seed))
    if not stratify or roles.classes is None:
        return [order_n]
    return [order_n[roles.target_n[order_n] == c] for c in range(len(roles.classes))]


def _numbered(group_n: Tensor) -> Tensor:
    """Without gaps, so that groups of which no row is left draw no place among the others."""
    is_there_g = torch.bincount(group_n) > 0
    return (is_there_g.cumsum(0) - 1)[group_n]


def _shuffled_groups(group_n: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Groups in random order, and how many rows each has."""
    size_g = torch.bincount(group_n)
    group_g = torch.randperm(len(size_g), generator=_generator(seed))
    return group_g, size_g[group_g]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed % 2**63)


def _dealt(order: Tensor, n_folds: int) -> Tensor:
    """One after another to the folds in turn."""
    fold = torch.empty(len(order), dtype=torch.long)
    fold[order] = torch.arange(len(order)) % n_folds
    return fold


def class_lacking(roles: Roles, training_r: Tensor) -> object | None:
    if roles.classes is None:
        return None
    counts = torch.bincount(roles.target_n[training_r], minlength=len(roles.classes)).tolist()
    return roles.classes[counts.index(0)] if 0 in counts else None


def _check_folds(roles: Roles, fold_n: Tensor, n_folds: int | None) -> None:
    field = "spec.data.fold" if n_folds is None else "spec.split.folds"
    counts = torch.bincount(fold_n, minlength=n_folds or 0)
    if len(counts) < 2:
        raise PermanentError(f"{field}: all training rows are in one fold", code="bad_data")
    if int(counts.min()) == 0:
        n, noun = (roles.n, "rows") if roles.group_n is None else (len(roles.group_n.unique()), "groups")
        raise PermanentError(f"{field}: {len(counts)} folds of {n} {noun} leave one empty", code="bad_data")
    for fold in range(len(counts)):
        if (lacking := class_lacking(roles, torch.nonzero(fold_n != fold).squeeze(1))) is not None:
            reason = f"all rows of class {lacking!r} are in one fold, and the other folds cannot learn it"
            raise PermanentError(f"{field}: {reason}", code="bad_data")
