"""CSV in blocks of rows, by the rules that `tables` states."""

import codecs
import csv
import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gradline.table_formats import NO_ROWS, Source, check_names, fault

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null")
"""Spellings of a missing value, after trimming."""
MAX_ROW_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 20
"""Arrow reads up to 32 blocks ahead. Only where a row is longer than one are they of `MAX_ROW_BYTES`."""
_STRADDLES = "straddl"
"""What Arrow says of a row that does not end within its block."""
_NO_BLOCK = "Empty CSV file or block"
"""What Arrow says where nothing follows a header that no line break ends."""
_OTHER_FORMATS = (
    (b'[{"', "JSON", "write a header row, then a row for each object"),
    (b'{"', "JSON", "write a header row, then a row for each object"),
    (b"<!doctype", "HTML", "it may be the page that asks for a password"),
    (b"<html", "HTML", "it may be the page that asks for a password"),
    (b"pk\x03\x04", "a ZIP archive, as an .xlsx workbook is", "save the sheet as CSV"),
    (b"\x1f\x8b", "compressed by gzip", "send it unpacked"),
    (b"par1", "Parquet", "send it with format=parquet"),
)
"""Beginning in lower case, name, mend."""
_DELIMITERS = ",;\t|"
_HEADER_BYTES = 1 << 20


def text_blocks(source: Source) -> Iterator[pa.RecordBatch]:
    """Every column as text as it stands, under its trimmed name. Raises InvalidInput naming row, line or byte."""
    with _opened(source) as file:
        delimiter, header = _read_header(file)
        if "\N{REPLACEMENT CHARACTER}" in "".join(header):
            _check_encoding(file)
        names, last = [name.strip() for name in header], None
        options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        watch = _Watch()
        try:
            for batch in _arrow_blocks(file, delimiter, options, watch):
                watch.refuse_nul()
                last = batch.column(batch.num_columns - 1)[-1].as_py() if batch.num_rows else last
                yield batch.rename_columns(names)
        except pa.ArrowInvalid as error:
            watch.refuse_nul()
            raise _as_fault(error, watch, file) from error
        watch.refuse_nul()
        if last is not None and "\n" in last and watch.n_quotes % 2:
            raise fault("the last row opens a quote that is never closed")


def read_csv_text(source: Source) -> pa.Table:
    """Every column as trimmed text, null where a value is missing."""
    with _opened(source) as file:
        names = [name.strip() for name in _read_header(file)[1]]
        table = pa.Table.from_batches(text_blocks(file), pa.schema([(name, pa.string()) for name in names]))
    return pa.table([trimmed(column) for column in table.columns], names=names)


def typed_blocks(source: Source, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """The columns that `types` names, in its order: by Arrow's own conversion, which is the faster one, or ours from
    where a value is spelled in a way that only ours accepts. For files that `text_blocks` has read to their end."""
    n_read = 0
    with _opened(source) as file:
        try:
            for batch in _converted(file, types, is_typed=True):
                n_read += batch.num_rows
                yield batch
        except pa.ArrowInvalid:
            yield from _without_first(n_read, _converted(file, types, is_typed=False))


def _converted(file: BinaryIO, types: Mapping[str, pa.DataType], *, is_typed: bool) -> Iterator[pa.RecordBatch]:
    delimiter, header = _read_header(file)
    raw_names = {name.strip(): name for name in header}
    read_as = {raw_names[name]: type_ if is_typed else pa.string() for name, type_ in types.items()}
    options = pyarrow.csv.ConvertOptions(
        column_types=read_as, include_columns=list(read_as), null_values=MISSING, strings_can_be_null=is_typed
    )
    for batch in _arrow_blocks(file, delimiter, options, _Watch()):
        columns = [_typed(column, type_) for column, type_ in zip(batch.columns, types.values(), strict=True)]
        yield pa.RecordBatch.from_arrays(columns, list(types))


def _typed(column: pa.Array, type_: pa.DataType) -> Any:
    return pc.cast(trimmed(column), type_) if pa.types.is_string(column.type) else column


def trimmed(raw: Any) -> Any:
    """An array of text without the space around its values; spellings of a missing value are null."""
    text = pc.utf8_trim_whitespace(raw)
    return pc.if_else(pc.is_in(text, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), text)


# --- the header


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return nullcontext(io.BytesIO(source))
    return Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source)


def _read_header(file: BinaryIO) -> tuple[str, list[str]]:
    """The delimiter and the raw column names."""
    file.seek(0)
    first_bytes = file.read(_HEADER_BYTES)
    if not first_bytes.strip(b"\xef\xbb\xbf \t\r\n"):
        raise fault("the file is empty")
    _refuse_other_formats(first_bytes)
    _refuse_nul(first_bytes.find(b"\0"))
    start = first_bytes.decode("utf-8-sig", errors="replace").lstrip("\r\n")
    rows = [(d, next(csv.reader(io.StringIO(start, newline=""), delimiter=d, strict=False))) for d in _DELIMITERS]
    delimiter, header = max(rows, key=lambda row: len(row[1]))
    check_names([name.strip() for name in header])
    if all(_is_number(name) for name in header):
        raise fault(f"the first row must hold the column names, but it holds numbers: {', '.join(header[:5])}")
    return delimiter, header


def _refuse_other_formats(first_bytes: bytes) -> None:
    start = first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    for beginning, kind, mend in _OTHER_FORMATS:
        if start.startswith(beginning):
            raise fault(f"this is {kind}, not CSV: {mend}")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


# --- the rows


class _Watch:
    """What Arrow does not tell of the bytes it reads."""

    def __init__(self) -> None:
        self.ragged: Any = None
        """The first row with too few or too many values."""
        self.begin()

    def begin(self) -> None:
        self.n_quotes = self._n_bytes = 0
        self._nul_at = -1

    def look(self, block: bytes) -> None:
        self.n_quotes += block.count(b'"')
        if self._nul_at < 0 and (at := block.find(b"\0")) >= 0:
            self._nul_at = self._n_bytes + at
        self._n_bytes += len(block)

    def remember(self, row: Any) -> str:
        self.ragged = self.ragged or row
        return "error"

    def refuse_nul(self) -> None:
        _refuse_nul(self._nul_at)


def _refuse_nul(at: int) -> None:
    if at >= 0:
        raise fault(
            f"there is a NUL byte at byte {at + 1}: this is no CSV in UTF-8 (UTF-16 is saved so by some programs)"
        )


class _Reading(io.RawIOBase):
    """A file from its start, for a thread of Arrow's that reads ahead; once given back, it is left alone."""

    def __init__(self, file: BinaryIO, watch: _Watch) -> None:
        super().__init__()
        self._file, self._watch = file, watch
        self._lock, self._is_given_back = threading.Lock(), False
        file.seek(0)
        watch.begin()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._lock:
            block = b"" if self._is_given_back else self._file.read(size)
            self._watch.look(block)
        return block

    def give_back(self) -> None:
        with self._lock:
            self._is_given_back = True


def _arrow_blocks(
    file: BinaryIO, delimiter: str, options: pyarrow.csv.ConvertOptions, watch: _Watch
) -> Iterator[pa.RecordBatch]:
    n_read = 0
    try:
        for batch in _read(file, delimiter, options, watch, _BLOCK_BYTES):
            yield batch
            n_read += batch.num_rows
    except pa.ArrowInvalid as error:
        if _STRADDLES not in str(error):
            raise
        yield from _without_first(n_read, _read(file, delimiter, options, watch, MAX_ROW_BYTES))


def _without_first(n: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rest = batch.slice(n)
        n = max(0, n - batch.num_rows)
        if rest.num_rows:
            yield rest


def _read(
    file: BinaryIO, delimiter: str, options: pyarrow.csv.ConvertOptions, watch: _Watch, block_bytes: int
) -> Iterator[pa.RecordBatch]:
    """On one thread, so that a bad row's number is known."""
    reading = _Reading(file, watch)
    try:
        with pyarrow.csv.open_csv(
            reading,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=block_bytes),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=watch.remember
            ),
            convert_options=options,
        ) as batches:
            yield from batches
    finally:
        reading.give_back()


# --- what is wrong


def _as_fault(error: pa.ArrowInvalid, watch: _Watch, file: BinaryIO) -> Exception:
    if (row := watch.ragged) is not None:
        reason = f"has {row.actual_columns} values where the header names {row.expected_columns} columns"
        reason += "; it opens a quote that is never closed" if row.text.count('"') % 2 else ""
        return fault(f"row {row.number} (the header is row 1) {reason}", f"rows[{row.number}]", row.text[:200])
    _check_encoding(file)
    if _NO_BLOCK in str(error):
        return fault(NO_ROWS)
    if _STRADDLES in str(error):
        return fault(f"a row is longer than {MAX_ROW_BYTES} bytes, or opens a quote that is never closed")
    return fault(str(error).replace("CSV conversion error to string: ", ""))


def _check_encoding(file: BinaryIO) -> None:
    """Raises InvalidInput with the first byte that is not UTF-8."""
    decoder, line, at = codecs.getincrementaldecoder("utf-8")(), 1, 0
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        pending = decoder.getstate()[0]
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            line += (pending + block).count(b"\n", 0, error.start)
            _refuse_byte((pending + block)[error.start], line, at - len(pending) + error.start + 1)
        line, at = line + block.count(b"\n"), at + len(block)
    if pending := decoder.getstate()[0]:
        _refuse_byte(pending[0], line, at - len(pending) + 1)


def _refuse_byte(byte: int, line: int, at: int) -> None:
    reason = (
        f"line {line} is not in UTF-8: byte {at} of the file is 0x{byte:02X}. Save it as UTF-8; "
        "for a file in Latin-1: iconv -f latin1 -t utf-8 FILE > NEW"
    )
    raise fault(reason, field=f"rows[{line}]")
