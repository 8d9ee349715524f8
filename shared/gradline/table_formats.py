"""CSV and Parquet as columns of numbers, booleans and text, by the rules that `tables` states."""

import csv
import io
import mmap
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from gradline.errors import InputFault, InvalidInput

Source = str | Path | bytes | BinaryIO

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null")
"""Spellings of a missing value, after trimming."""
MAX_COLUMNS = 10_000
MAX_TABLE_BYTES = 8 << 30
"""A Parquet file may be small and its table huge; past this it is refused unread."""
MAX_ROW_BYTES = 16 << 20
_DELIMITERS = ",;\t|"
_HEADER_BYTES = 1 << 20


def fault(reason: str, field: str = "file", value: Any = None) -> InvalidInput:
    return InvalidInput([InputFault(field, value, reason)])


def _bytes_of(source: Source) -> bytes | mmap.mmap:
    if isinstance(source, bytes):
        return source
    if not isinstance(source, str | Path):
        return source.read()
    if Path(source).stat().st_size == 0:
        return b""
    with Path(source).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_csv(source: Source) -> pa.Table:
    """Every column as the first type that fits all its values."""
    table = _read_raw_csv(source)
    return pa.table([_infer(trimmed(column)) for column in table.columns], names=table.column_names)


def read_csv_text(source: Source) -> pa.Table:
    """Every column as trimmed text, null where a value is missing."""
    table = _read_raw_csv(source)
    return pa.table([trimmed(column) for column in table.columns], names=table.column_names)


def _read_raw_csv(source: Source) -> pa.Table:
    data = _bytes_of(source)
    if not data[:_HEADER_BYTES].strip(b"\xef\xbb\xbf \t\r\n"):
        raise fault("the file is empty")
    if (at := data.find(b"\0")) >= 0:
        raise fault(
            f"there is a NUL byte at byte {at + 1}: this is no CSV in UTF-8 (UTF-16 is saved so by some programs)"
        )
    delimiter, header = _header_of(data[:_HEADER_BYTES])
    if "\N{REPLACEMENT CHARACTER}" in "".join(header):
        _check_encoding(data)
    table = _parse_csv(data, delimiter, header)
    _check_quotes(data, table)
    return table.rename_columns([name.strip() for name in header])


def csv_header(source: str | Path | BinaryIO) -> tuple[str, list[str]]:
    """The delimiter and the raw column names; an open file is read from its start, and left there."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return _header_of(file.read(_HEADER_BYTES))
    start = source.read(_HEADER_BYTES)
    source.seek(0)
    return _header_of(start)


def _header_of(first_bytes: bytes) -> tuple[str, list[str]]:
    start = first_bytes.decode("utf-8-sig", errors="replace").lstrip("\r\n")
    rows = [(d, next(csv.reader(io.StringIO(start, newline=""), delimiter=d, strict=False))) for d in _DELIMITERS]
    delimiter, header = max(rows, key=lambda row: len(row[1]))
    _check_names([name.strip() for name in header])
    if all(_is_number(name) for name in header):
        raise fault(f"the first row must hold the column names, but it holds numbers: {', '.join(header[:5])}")
    return delimiter, header


def _check_names(names: list[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise fault(f"the header names {len(names)} columns; at most {MAX_COLUMNS} are allowed")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            raise fault(f"column {position} has no name", field=f"columns[{position - 1}]")
        if name in seen:
            reason = f"columns {seen[name]} and {position} are both named {name!r}"
            raise fault(reason, field=f"columns[{position - 1}]", value=name)
        seen[name] = position


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _parse_csv(data: bytes | mmap.mmap, delimiter: str, header: list[str]) -> pa.Table:
    """Every column as text. One thread, so that a bad row's number is known."""
    ragged: list[Any] = []

    def remember(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=MAX_ROW_BYTES),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=remember
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if ragged:
            row = ragged[0]
            reason = f"has {row.actual_columns} values where the header names {row.expected_columns} columns"
            raise fault(
                f"row {row.number} (the header is row 1) {reason}", f"rows[{row.number}]", row.text[:200]
            ) from error
        _check_encoding(data)
        raise fault(str(error).replace("CSV conversion error to string: ", "")) from error


def _check_encoding(data: bytes | mmap.mmap) -> None:
    """Raises InvalidInput with the first byte that is not UTF-8."""
    line, start = 1, 0
    while start < len(data):
        stop = data.find(b"\n", start) + 1 or len(data)
        try:
            data[start:stop].decode()
        except UnicodeDecodeError as error:
            byte, at = data[start + error.start], start + error.start + 1
            reason = (
                f"line {line} is not in UTF-8: byte {at} of the file is 0x{byte:02X}. Save it as UTF-8; "
                "for a file in Latin-1: iconv -f latin1 -t utf-8 FILE > NEW"
            )
            raise fault(reason, field=f"rows[{line}]") from error
        line, start = line + 1, stop


def _check_quotes(data: bytes | mmap.mmap, table: pa.Table) -> None:
    """A quote that is never closed swallows the rest of the file into one value."""
    if table.num_rows and "\n" in table.column(table.num_columns - 1)[-1].as_py():
        n_quotes = sum(data[at : at + (1 << 20)].count(b'"') for at in range(0, len(data), 1 << 20))
        if n_quotes % 2:
            raise fault(f"row {table.num_rows + 1} (the header is row 1) opens a quote that is never closed")


def trimmed(raw: Any) -> Any:
    """An array of text without the space around its values; spellings of a missing value are null."""
    text = pc.utf8_trim_whitespace(raw)
    return pc.if_else(pc.is_in(text, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), text)


def _infer(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text as the first type that fits all its values."""
    for type_ in (pa.int64(), pa.float64(), pa.bool_()):
        try:
            column = pc.cast(text, type_)
        except pa.ArrowInvalid:
            continue
        is_hex = type_ == pa.int64() and pc.any(pc.match_substring_regex(text, "^[+-]?0[xX]")).as_py()
        return text if is_hex else column
    return text


def read_parquet(source: Source) -> pa.Table:
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)
        _check_size(file.metadata)
        names = file.schema_arrow.names
        _check_names(names)
        types = [parquet_type(field) for field in file.schema_arrow]
        batches, n_bytes = [], 0
        for batch in file.iter_batches():
            n_bytes += batch.nbytes
            if n_bytes > MAX_TABLE_BYTES:
                raise fault(f"the table is larger than the limit of {MAX_TABLE_BYTES} bytes once it is unpacked")
            batches.append(batch)
        table = pa.Table.from_batches(batches, schema=file.schema_arrow)
        return pa.table([plain(c, t) for c, t in zip(table.columns, types, strict=True)], names=names)
    except (pa.ArrowException, OSError) as error:
        raise fault(f"this is no Parquet file that can be read: {error}") from error


def _check_size(metadata: Any) -> None:
    """Before anything is unpacked: what the table will hold, whatever the file's own size."""
    n_bytes = max(
        sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)),
        metadata.num_rows * metadata.num_columns,
    )
    if n_bytes > MAX_TABLE_BYTES:
        raise fault(
            f"{metadata.num_rows} rows of {metadata.num_columns} columns unpack to more than {MAX_TABLE_BYTES} bytes"
        )


def parquet_type(field: pa.Field) -> pa.DataType:
    """What we read a column as; raises InvalidInput where it is nothing that can be learned from."""
    type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_boolean(type_):
        return pa.bool_()
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_temporal(type_):
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
