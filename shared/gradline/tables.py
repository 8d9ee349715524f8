"""The reading rules for uploaded tables: the API profiles by them at upload, the worker trains on what they read.

CSV: UTF-8 (a byte order mark is dropped), a header row, delimiter `,` `;` tab or `|` (whichever splits the header into
most names), double quotes, doubled inside; a quoted value may hold line breaks; blank lines are skipped. Every value is
trimmed; an empty one and `NA`, `N/A`, `#N/A`, `NaN`, `null` in the usual spellings, quoted or not, are missing. A
column is `integer`, else `number`, else `boolean` (true/false), else `text`: the first that fits all its values. One
without any value is `empty`.
Parquet: flat columns of numbers, booleans, text and dates (read as text); NaN is missing.

A file of any size is read once, in blocks, in bounded memory.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from gradline.column_notes import note_of
from gradline.csv_tables import text_blocks, typed_blocks
from gradline.parquet_tables import parquet_blocks
from gradline.table_formats import BLOCK_BYTES, NO_ROWS, Source, fault
from gradline.table_tallies import SpellingTally, Tally, TypedTally

Format = Literal["csv", "parquet"]
Column = Mapping[str, Any]
"""What `profile` says of a column."""

EMPTY = "empty"
"""The type of a column without any value."""
MAX_LEVELS = 50
"""`profile` lists a column's distinct values up to this many."""
_HELD_BYTES = 256 << 20
"""What the values of all columns that are told apart may take."""
_LEAST_HELD_BYTES = 16 << 10
"""The same of one column, however many there are."""
_COLUMN_BYTES = 8 << 10
"""Text of a column worth a look; of wide tables, until it takes `_JOINED_BYTES` in all."""
_JOINED_BYTES = 32 << 20


class Profile(NamedTuple):
    n_rows: int
    columns: list[dict[str, Any]]
    """{name, type, n_missing, n_distinct} a column, {min, max} of numbers, the sorted `levels` of few values, and a
    `note` where text looks like something else.
    `n_distinct` is None where there are more than 10,000, or more than memory is set aside for."""


def profile(
    source: Source,
    format: Format,  # noqa: A002  the API's word
    max_bytes: int | None = None,
    pass_on: Callable[[pa.RecordBatch], None] = lambda _: None,
) -> Profile:
    """Raises InvalidInput naming row or column, and for a table that takes more than `max_bytes` once unpacked.

    `pass_on` is called with each block as it is read: of CSV all columns are still text.
    """
    tallies: dict[str, Tally] = {}
    n_rows = 0
    of_csv = format == "csv"
    for block in _joined(text_blocks(source)) if of_csv else parquet_blocks(source, BLOCK_BYTES, max_bytes=max_bytes):
        tallies = tallies or _tallies(block, is_text=of_csv)
        for name, tally in tallies.items():
            tally.add(block.column(name))
        n_rows += block.num_rows
        pass_on(block)
    if n_rows == 0:
        raise fault(NO_ROWS)
    counted = {name: tally.counted() for name, tally in tallies.items()}
    for name, tally in counted.items():
        _check_finite(source, format, name, tally)
    return Profile(n_rows, [_describe(name, tally, n_rows) for name, tally in counted.items()])


def _joined(blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Blocks put together until a column's part of them is worth the calls that it costs to look at."""
    waiting: list[pa.RecordBatch] = []
    n_bytes = 0
    for block in blocks:
        waiting.append(block)
        n_bytes += block.nbytes
        if n_bytes >= min(_COLUMN_BYTES * block.num_columns, _JOINED_BYTES):
            yield pa.concat_batches(waiting)
            waiting, n_bytes = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


def _tallies(block: pa.RecordBatch, *, is_text: bool) -> dict[str, Tally]:
    held_bytes = max(_LEAST_HELD_BYTES, _HELD_BYTES // block.num_columns)
    return {
        field.name: SpellingTally(held_bytes) if is_text else TypedTally(field.type, held_bytes)
        for field in block.schema
    }


def _describe(name: str, tally: TypedTally, n_rows: int) -> dict[str, Any]:
    n_distinct = tally.n_distinct
    kind = EMPTY if n_distinct == 0 else _type_name(tally.type_)
    entry: dict[str, Any] = {"name": name, "type": kind, "n_missing": tally.n_missing, "n_distinct": n_distinct}
    if kind in ("integer", "number"):
        entry |= {"min": tally.low, "max": tally.high}
    if n_distinct is not None and n_distinct <= MAX_LEVELS:
        entry["levels"] = tally.levels
    if kind == "text":
        n_present = None if n_distinct is None else n_rows - tally.n_missing
        entry |= {"note": note} if (note := note_of(tally.some_values, n_present)) else {}
    return entry


def _type_name(type_: pa.DataType) -> str:
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "number"
    return "boolean" if pa.types.is_boolean(type_) else "text"


def _check_finite(source: Source, format: Format, name: str, tally: TypedTally) -> None:  # noqa: A002
    """Raises InvalidInput with a row that is infinite, which is looked for only where there is one."""
    if tally.low is None or (math.isfinite(tally.low) and math.isfinite(tally.high)):
        return
    low_or_high = tally.low if not math.isfinite(tally.low) else tally.high
    row = first_row(source, format, name, low_or_high)
    raise fault(f"column {name!r} is infinite in data row {row}", name, str(low_or_high))


def first_row(source: Source, format: Format, name: str, value: float) -> int | None:  # noqa: A002  the API's word
    """The first row, from 1, in which a column of numbers has this value."""
    start = 0
    for block in _one_column(source, format, name):
        at = pc.index(pc.cast(block.column(0), pa.float64(), safe=False), float(value)).as_py()
        if at >= 0:
            return start + int(at) + 1
        start += block.num_rows
    return None


def _one_column(source: Source, format: Format, name: str) -> Iterator[pa.RecordBatch]:  # noqa: A002
    if format == "csv":
        return typed_blocks(source, {name: pa.float64()})
    return parquet_blocks(source, BLOCK_BYTES, [name])
