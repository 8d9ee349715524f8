"""Tables as the columns that a scorecard takes: what the API reads of a CSV body, and batch prediction of a data set.

A CSV file says nothing of types, so each column is read as the model knows it: digits are text where the model has
levels, and text that is no number is refused where it wants a number.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradline.errors import InputFault, InvalidInput
from gradline.parquet_tables import parquet_type, plain
from gradline.scoring import MAX_FAULTS, Encoded, NumberInput, RowFault, RowsRefused, Scorecard
from gradline.table_blocks import read_blocks
from gradline.table_formats import Source

MAX_ROWS = 65_536
"""Of a block."""
BLOCK_BYTES = 16 << 20
"""From here on a block takes no more rows."""


def read_row_blocks(source: Source, format: Any, names: Sequence[str]) -> Iterator[pa.Table]:  # noqa: A002
    """Tables for `encode_table`, of all rows in order, with the columns named; raises InvalidInput."""
    gathered: list[pa.RecordBatch] = []
    for read in read_blocks(source, format, dict.fromkeys(names, "text"), BLOCK_BYTES):
        columns = [plain(column, parquet_type(field)) for column, field in zip(read.columns, read.schema, strict=True)]
        block = pa.RecordBatch.from_arrays(columns, names=list(names))
        while block.num_rows:
            room = MAX_ROWS - sum(part.num_rows for part in gathered)
            gathered.append(block.slice(0, room))
            block = block.slice(room)
            if gathered[-1].num_rows == room or sum(part.nbytes for part in gathered) >= BLOCK_BYTES:
                yield pa.Table.from_batches(gathered)
                gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


def check_names(card: Scorecard, table: pa.Table) -> None:
    """Raises RowsRefused for a column that the model does not know."""
    known = card.columns
    faults = []
    for name in table.column_names:
        if name == card.document["target"]:
            faults.append(RowFault(f"columns.{name}", name, "is what the model predicts; leave it out"))
        elif name not in known:
            reason = f"the model has no such column; its columns are: {', '.join(known)}"
            faults.append(RowFault(f"columns.{name}", name, reason))
    if faults:
        raise RowsRefused(faults[:MAX_FAULTS])


def encode_table(card: Scorecard, table: pa.Table, first_row: int = 0) -> Encoded:
    """Rows of the table; its further columns are ignored. Raises RowsRefused, counting rows from `first_row`."""
    faults: list[RowFault] = []
    columns: dict[str, Any] = {}
    for i in [*card.numbers, *([] if card.offset is None else [card.offset])]:
        if i.column in table.column_names:
            columns[i.column] = _numbers(table.column(i.column), i, faults)
    for text in card.texts:
        if text.column in table.column_names:
            columns[text.column] = pc.cast(table.column(text.column), pa.string()).to_pylist()
    try:
        if faults:
            raise RowsRefused(faults)
        return card.encode(columns)
    except RowsRefused as refused:
        raise RowsRefused([_moved(fault, first_row) for fault in refused.faults]) from refused


def as_invalid_input(refused: RowsRefused) -> InvalidInput:
    return InvalidInput([InputFault(*fault) for fault in refused.faults])


def _numbers(column: pa.ChunkedArray, wanted: NumberInput, faults: list[RowFault]) -> Any:
    """float64 with NaN for what is missing."""
    type_ = pa.bool_() if wanted.is_boolean else pa.float64()
    if pa.types.is_string(column.type):
        column = _parsed(column, wanted, faults)
    elif not wanted.is_boolean and pa.types.is_boolean(column.type):
        faults.append(RowFault(f"columns.{wanted.column}", None, "holds true and false where the model wants numbers"))
    numbers = pc.cast(pc.cast(column, type_, safe=False), pa.float64())
    return np.array(pc.fill_null(numbers, float("nan")))


def _parsed(column: pa.ChunkedArray, wanted: NumberInput, faults: list[RowFault]) -> pa.ChunkedArray:
    """Text as numbers, or as true and false; what is neither becomes a fault."""
    type_, said = (pa.bool_(), "true or false") if wanted.is_boolean else (pa.float64(), "a number")
    try:
        return pc.cast(column, type_)
    except pa.ArrowInvalid:
        values = column.to_pylist()
    bad = [i for i, value in enumerate(values) if value is not None and not _reads(value, type_)]
    faults += [RowFault(f"rows[{i}].{wanted.column}", values[i], f"must be {said}") for i in bad[:MAX_FAULTS]]
    return pa.chunked_array([pa.nulls(len(values), type_)])


def _reads(value: str, type_: pa.DataType) -> bool:
    try:
        pc.cast(pa.scalar(value), type_)
    except pa.ArrowInvalid:
        return False
    return True


def _moved(fault: RowFault, first_row: int) -> RowFault:
    """The fault with its row counted from the start of the whole table."""
    if not first_row or not fault.field.startswith("rows["):
        return fault
    row, _, rest = fault.field.removeprefix("rows[").partition("]")
    return fault._replace(field=f"rows[{int(row) + first_row}]{rest}")
