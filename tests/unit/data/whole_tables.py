"""Tables read as a whole and described the plain way: what reading in blocks is held against."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gradline.column_notes import note_of
from gradline.csv_tables import read_csv_text
from gradline.parquet_tables import parquet_blocks, parquet_type, plain
from gradline.table_tallies import as_type
from gradline.tables import profile

NAMES = {"int64": "integer", "double": "number", "bool": "boolean", "string": "text"}


def read_table(source: Any, format: str) -> pa.Table:  # noqa: A002  the API's word
    """The whole table as int64, double, bool and string columns, once the API has taken it."""
    profile(source, format)
    if format == "parquet":
        table = pa.Table.from_batches(parquet_blocks(source, 1 << 20))
        columns = [plain(table.column(f.name), parquet_type(f)) for f in table.schema]
        return pa.table(columns, names=table.column_names)
    table = read_csv_text(source)
    return pa.table([as_type(c.combine_chunks()) for c in table.columns], names=table.column_names)


def described(table: pa.Table) -> list[dict[str, Any]]:
    return [_described(name, table.column(name)) for name in table.column_names]


def _described(name: str, column: pa.ChunkedArray) -> dict[str, Any]:
    n_distinct = pc.count_distinct(column).as_py()
    kind = NAMES[str(column.type)] if n_distinct else "empty"
    entry = {"name": name, "type": kind, "n_missing": column.null_count, "n_distinct": n_distinct}
    if kind in ("integer", "number"):
        entry |= pc.min_max(column).as_py()
    if n_distinct <= 50:
        entry["levels"] = sorted(pc.unique(column.drop_null()).to_pylist())
    if kind == "text" and (note := note_of(pc.unique(column.drop_null()).to_pylist(), len(column) - column.null_count)):
        entry["note"] = note
    return entry if n_distinct <= 10_000 else entry | {"n_distinct": None}
