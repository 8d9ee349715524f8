"""Uploaded tables read block by block, by the rules that `tables` states.

The file was read as a whole when it was uploaded, so its columns and their types are known and its rows are sound.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from gradline.table_formats import MAX_ROW_BYTES, MISSING, csv_header, fault, parquet_type, plain, trimmed
from gradline.tables import EMPTY

_ARROW = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "text": pa.string(), EMPTY: pa.int64()}
_MIN_ROWS = 4096
_READ_AHEAD_BYTES = 32 << 20
"""Of all columns; without a limit each is read from one end of a row group to the other."""


def read_blocks(
    source: str | Path | BinaryIO,
    format: Literal["csv", "parquet"],  # noqa: A002  the API's word
    types: Mapping[str, str],
    block_bytes: int,
) -> Iterator[pa.RecordBatch]:
    """The columns that `types` names, in its order, of the types that `profile` gave them.

    A block of a Parquet file takes about `block_bytes`; NaN in one may stand for a missing value. Raises InvalidInput.
    """
    try:
        if format == "csv":
            yield from _csv_blocks(source, types)
        else:
            yield from _parquet_blocks(source, list(types), block_bytes)
    except (pa.ArrowException, KeyError) as error:
        raise fault(f"this is no {format} file that can be read: {error}") from error


def _parquet_blocks(source: str | Path | BinaryIO, names: Sequence[str], block_bytes: int) -> Iterator[pa.RecordBatch]:
    """Numbers come in the width that the file has."""
    ahead_bytes = max(64 << 10, min(1 << 20, _READ_AHEAD_BYTES // len(names)))
    with pyarrow.parquet.ParquetFile(source, buffer_size=ahead_bytes, pre_buffer=False) as file:
        types = [parquet_type(file.schema_arrow.field(name)) for name in names]
        n_rows = max(_MIN_ROWS, block_bytes // (8 * len(names)))
        for batch in file.iter_batches(batch_size=n_rows, columns=list(names), use_threads=False):
            columns = [_lean(batch.column(name), type_) for name, type_ in zip(names, types, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, list(names))


def _lean(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """As it is where its values are plain numbers already."""
    is_number = pa.types.is_integer(column.type) or column.type in (pa.float32(), pa.float64())
    return column if is_number and not pa.types.is_string(type_) else plain(column, type_)


def _csv_blocks(source: str | Path | BinaryIO, types: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Arrow's own conversion, or ours from where a value is spelled in a way that only ours accepts."""
    n_read = 0
    try:
        for batch in _open_csv(source, types, is_typed=True):
            n_read += batch.num_rows
            yield batch
    except pa.ArrowInvalid:
        if not isinstance(source, str | Path):
            source.seek(0)
        to_skip = n_read
        for raw in _open_csv(source, types, is_typed=False):
            batch = raw.slice(to_skip)
            to_skip = max(0, to_skip - raw.num_rows)
            if batch.num_rows:
                yield batch


def _open_csv(source: str | Path | BinaryIO, types: Mapping[str, str], *, is_typed: bool) -> Iterator[pa.RecordBatch]:
    delimiter, header = csv_header(source)
    raw_names = {name.strip(): name for name in header}
    read_as = {raw_names[name]: _ARROW[type_] if is_typed else pa.string() for name, type_ in types.items()}
    reader = pyarrow.csv.open_csv(
        source,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=read_as, include_columns=list(read_as), null_values=MISSING, strings_can_be_null=is_typed
        ),
    )
    with reader:
        for batch in reader:
            columns = [
                _typed(column, _ARROW[type_]) for column, type_ in zip(batch.columns, types.values(), strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, list(types))


def _typed(column: pa.Array, type_: pa.DataType) -> Any:
    return pc.cast(trimmed(column), type_) if pa.types.is_string(column.type) else column
