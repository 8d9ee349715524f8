"""The columns of an uploaded table that are no features: target, weights, offset, groups and folds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradline.column_roles import find_level
from gradline.data.gathering import plain_values
from gradline.data.sample import Roles
from gradline.data.targets import check_numbers, on_scale_of_fit
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Dataset
from gradline.specs.regression.model import NUMERIC_FAMILIES

MAX_COUNTED = 2**16
"""Whole numbers so near each other are counted."""


def roles_of(table: pa.Table, data: Dataset, family: str) -> Roles:
    """Of a table that `check_columns` has passed; raises PermanentError for what it could not see without the rows."""
    weight_n, target = _numbers(table, data.weights), _with_nulls(table.column(data.target))
    has_target_n = None
    if target.null_count:
        has_target_n = _each(target, _is_valid, np.bool_)
        _check_rows_with_target(table, data, has_target_n, weight_n)
    if family in NUMERIC_FAMILIES:
        target_n, classes = _each(target, _as_numbers, np.float64), None
        check_numbers(target_n, weight_n, family, data.target)
        target_n = on_scale_of_fit(target_n, family)
    else:
        classes, target_n = _classes(target, data.positive_class)
    offset_n, group_n, fold_n = _numbers(table, data.offset), _codes(table, data.group), _codes(table, data.fold)
    return Roles(target_n, classes, weight_n, offset_n, group_n, fold_n, has_target_n)


def _check_rows_with_target(table: pa.Table, data: Dataset, has_target_n: Tensor, weight_n: Tensor | None) -> None:
    """Rows without a target may lack values in other roles too, and a profile does not tell which rows do."""
    for role, name in data.roles.items():
        column = _with_nulls(table.column(name))
        if role == "target" or not column.null_count:
            continue
        lacks_n = has_target_n & ~_each(column, _is_valid, np.bool_)
        if bool(lacks_n.any()):
            raise _in_row(role, name, "has no value", lacks_n)
    if weight_n is not None and bool((is_wrong_n := has_target_n & (weight_n < 0)).any()):
        raise _in_row("weights", str(data.weights), "is negative", is_wrong_n)


def _in_row(role: str, name: str, fault: str, is_wrong_n: Tensor) -> PermanentError:
    first, n = int(is_wrong_n.nonzero()[0]), int(is_wrong_n.sum())
    reason = f"spec.data.{role}: {name!r} {fault} in data row {first + 1}, which has a target ({n} such rows)"
    return PermanentError(reason, code="bad_data")


def _with_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN as null too."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


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
    """The values in sorted order, and which of them each row has; of a row without one, the first."""
    return _counted(column) if _is_countable(column) else _looked_up(column)


def _is_countable(column: pa.ChunkedArray) -> bool:
    """Whole numbers near each other, none of which is missing."""
    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    ends = pc.min_max(column).as_py()
    return bool(ends["max"] - ends["min"] < MAX_COUNTED and ends["max"] < 2**63)


def _counted(column: pa.ChunkedArray) -> tuple[list[Any], Tensor]:
    """A third of the time that looking them up takes."""
    lowest: int = pc.min(column).as_py()
    code_n = _each(column, lambda some: plain_values(some).astype(np.int64) - lowest, np.int64)
    is_there_v = torch.bincount(code_n) > 0
    place_v = is_there_v.cumsum(0) - 1
    values: list[Any] = (is_there_v.nonzero().flatten() + lowest).tolist()
    return values, code_n if bool(is_there_v.all()) else place_v[code_n]


def _looked_up(column: pa.ChunkedArray) -> tuple[list[Any], Tensor]:
    encoded = column.dictionary_encode()
    values = encoded.chunk(0).dictionary
    order = pc.sort_indices(values)
    place_l = np.zeros(len(values) + 1, np.int64)
    place_l[plain_values(order)] = np.arange(len(values))

    def places(some: pa.DictionaryArray) -> NDArray[np.int64]:
        found: NDArray[np.int64] = place_l[plain_values(pc.fill_null(some.indices, len(values)))]
        return found

    return values.take(order).to_pylist(), _each(encoded, places, np.int64)


def _numbers(table: pa.Table, name: str | None) -> Tensor | None:
    return None if name is None else _each(table.column(name), _as_numbers, np.float64)


def _as_numbers(column: pa.Array) -> NDArray[Any]:
    return plain_values(pc.fill_null(pc.cast(column, pa.float64()), math.nan))


def _is_valid(column: pa.Array) -> NDArray[Any]:
    return plain_values(pc.cast(pc.is_valid(column), pa.uint8()))


def _each(column: pa.ChunkedArray, convert: Callable[[pa.Array], NDArray[Any]], dtype: type) -> Tensor:
    """The whole column converted, a chunk at a time: of many rows, copies of all of them would take much memory."""
    values_n: NDArray[Any] = np.empty(len(column), dtype)
    start = 0
    for chunk in column.chunks:
        values_n[start : start + len(chunk)] = convert(chunk)
        start += len(chunk)
    return torch.from_numpy(values_n)
