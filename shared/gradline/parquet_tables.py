"""Parquet in blocks of rows, by the rules that `tables` states."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from gradline.errors import InvalidInput
from gradline.table_formats import Source, check_names, fault

_MIN_ROWS = 4096
_READ_AHEAD_BYTES = 32 << 20
"""Of all columns; without a limit each is read from one end of a row group to the other."""


def parquet_blocks(
    source: Source, block_bytes: int, names: Sequence[str] | None = None, *, max_bytes: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The columns named, in that order, or all of them; a block of all columns takes about `block_bytes`, and one of
    some has as many rows.

    Numbers come in the width that the file has, and NaN in them may stand for a missing value. Raises InvalidInput,
    also where the table takes more than `max_bytes` once it is unpacked.
    """
    try:
        with _open(source, 0) as file:
            _check_size(file.metadata, max_bytes)
            schema, metadata = file.schema_arrow, file.metadata
        if names is None:
            names = schema.names
            check_names(names)
        types = [parquet_type(schema.field(name)) for name in names]
        ahead_bytes = max(64 << 10, min(1 << 20, _READ_AHEAD_BYTES // len(names)))
        n_rows, n_bytes = max(_MIN_ROWS, block_bytes // (8 * len(schema))), 0
        with _open(source, ahead_bytes, metadata) as file:
            for batch in file.iter_batches(batch_size=n_rows, columns=list(names), use_threads=False):
                n_bytes += batch.nbytes
                if max_bytes is not None and n_bytes > max_bytes:
                    raise fault(f"the table is larger than the limit of {max_bytes} bytes once it is unpacked")
                columns = [_lean(batch.column(name), type_, name) for name, type_ in zip(names, types, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, list(names))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _unreadable(error) from error


def n_parquet_cells(path: str) -> int:
    """Rows times columns, as the file says. Raises InvalidInput."""
    try:
        metadata = pyarrow.parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(error) from error
    return int(metadata.num_rows * metadata.num_columns)


def _unreadable(error: Exception) -> InvalidInput:
    return fault(f"this is no Parquet file that can be read: {error}")


def _open(source: Source, ahead_bytes: int, metadata: Any = None) -> pyarrow.parquet.ParquetFile:
    readable = pa.BufferReader(source) if isinstance(source, bytes) else source
    return pyarrow.parquet.ParquetFile(readable, metadata=metadata, buffer_size=ahead_bytes, pre_buffer=False)


def _lean(column: pa.Array, type_: pa.DataType, name: str) -> pa.Array:
    """As it is where its values are plain numbers already. Raises InvalidInput for a whole number beyond int64."""
    is_number = pa.types.is_signed_integer(column.type) or column.type in (pa.float32(), pa.float64())
    try:
        return column if is_number and not pa.types.is_string(type_) else plain(column, type_)
    except pa.ArrowInvalid as error:
        raise fault(f"column {name!r} cannot be read as {type_}: {error}; store it as float64 or text", name) from error


def _check_size(metadata: Any, max_bytes: int | None) -> None:
    """Before anything is unpacked: what the table will hold, whatever the file's own size."""
    n_bytes = max(
        sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)),
        metadata.num_rows * metadata.num_columns,
    )
    if max_bytes is not None and n_bytes > max_bytes:
        raise fault(f"{metadata.num_rows} rows of {metadata.num_columns} columns unpack to more than {max_bytes} bytes")


def parquet_type(field: pa.Field) -> pa.DataType:
    """What we read a column as; raises InvalidInput where it is nothing that can be learned from."""
    type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_boolean(type_):
        return pa.bool_()
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return pa.float64()
    is_text = pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    if is_text or (pa.types.is_temporal(type_) and not pa.types.is_duration(type_)):
        return pa.string()
    if pa.types.is_null(type_):  # what pandas writes where every value is None
        return pa.string()
    raise fault(
        f"column {field.name!r} holds {field.type}: only numbers, booleans, text and dates can be read", field.name
    )


def plain(column: Any, type_: pa.DataType) -> Any:
    """An array as the type that we read it as; NaN and empty text are null."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    column = pc.cast(column, type_)
    if pa.types.is_string(type_):
        text = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    if pa.types.is_floating(type_):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, type_), column)
    return column
