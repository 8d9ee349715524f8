"""Which rows are held out for validation."""

import torch
from torch import Tensor

from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split


def split_rows(class_n: Tensor, classes: list[object], spec: Split) -> tuple[Tensor, Tensor]:
    """Row numbers for training and validation, each in the data's own order."""
    order_n = torch.randperm(len(class_n), generator=torch.Generator().manual_seed(spec.seed))
    groups = [order_n[class_n[order_n] == c] for c in range(len(classes))] if spec.stratify else [order_n]
    held_out = [group_r[: round(spec.validation_fraction * len(group_r))] for group_r in groups]
    is_held_out_n = torch.zeros(len(class_n), dtype=torch.bool)
    is_held_out_n[torch.cat(held_out)] = True
    training_r, validation_r = torch.nonzero(~is_held_out_n).squeeze(1), torch.nonzero(is_held_out_n).squeeze(1)
    _check(class_n, classes, spec, training_r, validation_r)
    return training_r, validation_r


def _check(class_n: Tensor, classes: list[object], spec: Split, training_r: Tensor, validation_r: Tensor) -> None:
    if len(validation_r) == 0:
        reason = f"a validation_fraction of {spec.validation_fraction} of {len(class_n)} rows holds out no row"
        raise PermanentError(f"spec.split: {reason}", code="bad_data")
    counts = torch.bincount(class_n[training_r], minlength=len(classes)).tolist()
    if 0 in counts:
        reason = f"no row of class {classes[counts.index(0)]!r} is left for training"
        raise PermanentError(f"spec.split: {reason}; lower validation_fraction", code="bad_data")
