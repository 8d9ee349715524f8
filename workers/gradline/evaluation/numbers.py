"""Measures of predicted numbers, on the target's own scale.

Shapes: n rows, r weightings of the rows.
"""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor


class Predicted(NamedTuple):
    """What is said of rows."""

    number_n: Tensor
    deviance_n: Tensor
    """Unit deviance of each row."""


class Sums(NamedTuple):
    """Over rows, under each weighting, [r]; those of parts of the rows add up, but for the mean."""

    weight_r: Tensor
    squared_r: Tensor
    absolute_r: Tensor
    deviance_r: Tensor
    mean_r: Tensor
    """Of the target."""
    scatter_r: Tensor
    """Squared differences of the target from its mean."""


def measures(said: Predicted, target_n: Tensor, weight_nr: Tensor) -> dict[str, Tensor]:
    """Each measure under each weighting, [r]."""
    return measured([sums(said, target_n, weight_nr)])


def sums(said: Predicted, target_n: Tensor, weight_nr: Tensor) -> Sums:
    """Of some rows."""
    error_n, weight_r = target_n - said.number_n, weight_nr.sum(0)
    mean_r = target_n[0] + (target_n - target_n[0]) @ weight_nr / weight_r  # without rounding where all are the same
    scatter_r = torch.stack([(target_n - mean).square() for mean in mean_r], 1).mul_(weight_nr).sum(0)
    return Sums(
        weight_r,
        error_n.square() @ weight_nr,
        error_n.abs() @ weight_nr,
        said.deviance_n @ weight_nr,
        mean_r,
        scatter_r,
    )


def measured(parts: Iterable[Sums]) -> dict[str, Tensor]:
    """From the sums of all parts of the rows."""
    total = reduce(_added, parts)
    mean_square_r = total.squared_r / total.weight_r
    return {
        "mse": mean_square_r,
        "rmse": mean_square_r.sqrt(),
        "mae": total.absolute_r / total.weight_r,
        "r2": 1 - total.squared_r / total.scatter_r,
        "deviance": total.deviance_r / total.weight_r,
    }


def _added(total: Sums, part: Sums) -> Sums:
    """Scatters by the distance of the means (Chan, Golub and LeVeque 1983)."""
    weight_r, apart_r = total.weight_r + part.weight_r, part.mean_r - total.mean_r
    share_r = part.weight_r / weight_r
    return Sums(
        weight_r,
        total.squared_r + part.squared_r,
        total.absolute_r + part.absolute_r,
        total.deviance_r + part.deviance_r,
        total.mean_r + apart_r * share_r,
        total.scatter_r + part.scatter_r + apart_r.square() * share_r * total.weight_r,
    )
