"""The reading rules for uploaded tables: the API profiles with them at upload, the worker trains on what they read.

CSV: UTF-8 (a byte order mark is dropped), a header row, delimiter `,` `;` tab or `|` (whichever splits the header into
most names), double quotes, doubled inside; a quoted value may hold line breaks; blank lines are skipped. Every value is
trimmed; an empty one and `NA`, `N/A`, `#N/A`, `NaN`, `null` in the usual spellings, quoted or not, are missing. A
column is `integer`, else `number`, else `boolean` (true/false), else `text`: the first that fits all its values.
Parquet: flat columns of numbers, booleans, text and dates (read as text); NaN is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gradline.errors import InputFault, InvalidInput
from gradline.specs.logistic_regression import Dataset
from gradline.table_formats import Source, fault, read_csv, read_parquet

Format = Literal["csv", "parquet"]
Column = Mapping[str, Any]
"""What `profile` says of a column."""

MAX_LEVELS = 50
"""`profile` lists a column's distinct values up to this many."""
MAX_CLASSES = 1000
MAX_CATEGORIES = 1000
"""A text column with more levels than this is an identifier rather than a category."""


def read_table(source: Source, format: Format) -> pa.Table:  # noqa: A002  the API's word
    """The table as int64, double, bool and string columns; raises InvalidInput naming row or column."""
    table = read_csv(source) if format == "csv" else read_parquet(source)
    if table.num_rows == 0:
        raise fault("the file holds column names but no rows")
    _check_finite(table)
    return table


def profile(table: pa.Table) -> list[dict[str, Any]]:
    """{name, type, n_missing, n_distinct} a column, {min, max} of numbers, and the sorted `levels` of few values."""
    return [_profile_column(name, table.column(name)) for name in table.column_names]


def _profile_column(name: str, column: pa.ChunkedArray) -> dict[str, Any]:
    kind = type_name(column.type)
    n_distinct: int = pc.count_distinct(column).as_py()
    entry: dict[str, Any] = {"name": name, "type": kind, "n_missing": column.null_count, "n_distinct": n_distinct}
    if kind in ("integer", "number"):
        entry |= pc.min_max(column).as_py()
    if n_distinct <= MAX_LEVELS:
        entry["levels"] = sorted(pc.unique(column.drop_null()).to_pylist())
    return entry


def type_name(type_: pa.DataType) -> str:
    """integer, number, boolean or text."""
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "number"
    return "boolean" if pa.types.is_boolean(type_) else "text"


def _check_finite(table: pa.Table) -> None:
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            at = pc.index(pc.is_inf(column), True).as_py()
            if at >= 0:
                raise fault(f"column {name!r} is infinite in data row {at + 1}", name, str(column[at].as_py()))


def check_columns(data: Dataset, columns: Sequence[Column], missing: str | None = None, family: str = "auto") -> None:
    """Whether a spec's columns exist and can play their roles; raises InvalidInput with every fault.

    `columns` is what `profile` returned; `missing` and `family` are the spec's `preprocess.missing` and `model.family`.
    """
    by_name = {column["name"]: column for column in columns}
    faults = [*_unknown(data, by_name)]
    if data.target in by_name:
        faults += _target_faults(data, by_name[data.target], family)
    if data.weights in by_name:
        faults += _weights_faults(by_name[data.weights])
    names = features_of(data, list(by_name))
    if not names:
        faults.append(InputFault("spec.data.features", None, "no column is left to be a feature"))
    for name in names:
        if name in by_name:
            faults += _feature_faults(by_name[name], missing)
    if faults:
        raise InvalidInput(faults)


def features_of(data: Dataset, names: Sequence[str]) -> list[str]:
    """The feature columns: those the spec lists, or all that have no other role."""
    return list(data.features) if data.features else [n for n in names if n not in (data.target, data.weights)]


def _unknown(data: Dataset, by_name: Mapping[str, Column]) -> list[InputFault]:
    roles = {"target": data.target, "weights": data.weights}
    roles |= {f"features[{i}]": name for i, name in enumerate(data.features or [])}
    reason = f"no such column; the columns are: {', '.join(by_name)}"
    return [
        InputFault(f"spec.data.{role}", name, reason)
        for role, name in roles.items()
        if name is not None and name not in by_name
    ]


def _target_faults(data: Dataset, column: Column, family: str) -> list[InputFault]:
    n_classes, field = column["n_distinct"], "spec.data.target"
    if column["n_missing"]:
        return [InputFault(field, data.target, f"{column['n_missing']} rows have no value in it; leave those rows out")]
    if n_classes < 2:
        return [InputFault(field, data.target, f"has one class only: {column['levels'][0]!r}")]
    if n_classes > MAX_CLASSES or (column["type"] == "number" and "levels" not in column):
        return [InputFault(field, data.target, f"has {n_classes} distinct values, too many to be classes")]
    if family == "binomial" and n_classes > 2:
        return [InputFault("spec.model.family", family, f"the target {data.target!r} has {n_classes} classes")]
    return _positive_class_faults(data, column)


def _positive_class_faults(data: Dataset, column: Column) -> list[InputFault]:
    value, field = data.positive_class, "spec.data.positive_class"
    if value is None:
        return []
    if column["n_distinct"] > 2:
        return [InputFault(field, value, f"the target has {column['n_distinct']} classes; it is for two classes only")]
    if find_level(value, column["levels"]) is None:
        shown = ", ".join(repr(level) for level in column["levels"])
        return [InputFault(field, value, f"the target {data.target!r} has no such value; it has: {shown}")]
    return []


def find_level(value: Any, levels: Sequence[Any]) -> int | None:
    """Index of a spec's value among a column's levels; 1 and true are different values, 1 and 1.0 are the same."""
    for index, level in enumerate(levels):
        if isinstance(level, bool) == isinstance(value, bool) and level == value:
            return index
    return None


def _weights_faults(column: Column) -> list[InputFault]:
    field, name = "spec.data.weights", column["name"]
    if column["type"] not in ("integer", "number"):
        return [InputFault(field, name, f"row weights must be numbers; this column holds {column['type']}")]
    if column["n_missing"]:
        return [InputFault(field, name, f"{column['n_missing']} rows have no value in it")]
    if column["min"] < 0 or column["max"] == 0:
        return [InputFault(field, name, "row weights must not be negative, nor all zero")]
    return []


def _feature_faults(column: Column, missing: str | None) -> list[InputFault]:
    field, name = "spec.data.features", column["name"]
    if column["n_distinct"] == 0:
        return [InputFault(field, name, "holds no value at all; leave it out of `features`")]
    if column["type"] == "text" and column["n_distinct"] > MAX_CATEGORIES:
        reason = (
            f"text with {column['n_distinct']} distinct values (at most {MAX_CATEGORIES}); leave it out of `features`"
        )
        return [InputFault(field, name, reason)]
    if missing == "error" and column["n_missing"]:
        reason = f"{column['n_missing']} values are missing; set spec.preprocess.missing to mean, median or indicator"
        return [InputFault(field, name, reason)]
    return []
