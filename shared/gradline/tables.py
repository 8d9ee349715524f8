"""The reading rules for uploaded tables: the API profiles with them at upload, the worker trains on what they read.

CSV: UTF-8 (a byte order mark is dropped), a header row, delimiter `,` `;` tab or `|` (whichever splits the header into
most names), double quotes, doubled inside; a quoted value may hold line breaks; blank lines are skipped. Every value is
trimmed; an empty one and `NA`, `N/A`, `#N/A`, `NaN`, `null` in the usual spellings, quoted or not, are missing. A
column is `integer`, else `number`, else `boolean` (true/false), else `text`: the first that fits all its values. One
without any value is `empty`.
Parquet: flat columns of numbers, booleans, text and dates (read as text); NaN is missing.
"""

from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gradline.table_formats import Source, fault, read_csv, read_parquet

Format = Literal["csv", "parquet"]
Column = Mapping[str, Any]
"""What `profile` says of a column."""

EMPTY = "empty"
"""The type of a column without any value."""
MAX_LEVELS = 50
"""`profile` lists a column's distinct values up to this many."""


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
    n_distinct: int = pc.count_distinct(column).as_py()
    kind = type_name(column.type) if n_distinct else EMPTY
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
