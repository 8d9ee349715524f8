"""The columns of an uploaded table that are no features: target, weights, offset, groups and folds."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gradline.column_roles import find_level
from gradline.data.gathering import plain_values
from gradline.data.sample import Roles
from gradline.data.targets import check_numbers, on_scale_of_fit
from gradline.specs.logistic_regression import Dataset
from gradline.specs.regression.model import NUMERIC_FAMILIES


def roles_of(table: pa.Table, data: Dataset, family: str) -> Roles:
    """Of a table that `check_columns` has passed; raises PermanentError for a target that the family cannot take."""
    weight_n = _numbers(table, data.weights)
    if family in NUMERIC_FAMILIES:
        target_n, classes = _numbers(table, data.target), None
        assert target_n is not None  # noqa: S101  every spec has a target
        check_numbers(target_n, weight_n, family, data.target)
        target_n = on_scale_of_fit(target_n, family)
    else:
        classes, target_n = _classes(table.column(data.target), data.positive_class)
    offset_n = _numbers(table, data.offset)
    return Roles(target_n, classes, weight_n, offset_n, _codes(table, data.group), _codes(table, data.fold))


def _classes(column: pa.ChunkedArray, positive: Any) -> tuple[list[Any], Tensor]:
    """Classes in sorted order, except that a positive one named by the spec comes last."""
    classes, code_n = _coded(column)
    if positive is not None and (at := find_level(positive, classes)) is not None:
        classes.append(classes.pop(at))
        order_c = torch.arange(len(classes))
        order_c[at:] -= 1
        order_c[at] = len(classes) - 1
        code_n = order_c[code_n]
    return classes, code_n


def _codes(table: pa.Table, name: str | None) -> Tensor | None:
    return None if name is None else _coded(table.column(name))[1]


def _coded(column: pa.ChunkedArray) -> tuple[list[Any], Tensor]:
    """The values in sorted order, and which of them each row has."""
    values = pc.unique(column)
    values = values.take(pc.sort_indices(values))
    return values.to_pylist(), _tensor(pc.index_in(column, value_set=values)).long()


def _numbers(table: pa.Table, name: str | None) -> Tensor | None:
    return None if name is None else _tensor(pc.cast(table.column(name), pa.float64()))


def _tensor(column: pa.ChunkedArray) -> Tensor:
    return torch.from_numpy(np.concatenate([plain_values(chunk) for chunk in column.chunks]))
