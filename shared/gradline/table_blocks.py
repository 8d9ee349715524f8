"""Uploaded tables read block by block, by the rules that `tables` states.

The file was read to its end when it was uploaded, so its columns and their types are known and its rows are sound.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from gradline.csv_tables import typed_blocks
from gradline.parquet_tables import parquet_blocks
from gradline.table_formats import Source, fault
from gradline.tables import EMPTY, Format

_ARROW = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "text": pa.string(), EMPTY: pa.int64()}


def read_blocks(
    source: Source,
    format: Format,  # noqa: A002  the API's word
    types: Mapping[str, str],
    block_bytes: int,
) -> Iterator[pa.RecordBatch]:
    """The columns that `types` names, in its order, of the types that `profile` gave them.

    A block of a Parquet file takes about `block_bytes` with all its columns; NaN in one may stand for a missing value.
    Raises InvalidInput.
    """
    if format == "parquet":
        yield from parquet_blocks(source, block_bytes, list(types))
        return
    try:
        yield from typed_blocks(source, {name: _ARROW[type_] for name, type_ in types.items()})
    except (pa.ArrowException, KeyError) as error:
        raise fault(f"this is no csv file that can be read: {error}") from error


def single_columns(path: str | Path, format: Format) -> frozenset[str]:  # noqa: A002  the API's word
    """Those whose numbers the file itself holds in single precision."""
    if format == "csv":
        return frozenset()
    schema = pyarrow.parquet.read_schema(path)
    return frozenset(field.name for field in schema if field.type == pa.float32())
