"""Blocks of a table hold what the whole table holds."""

import datetime
import decimal
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradline.errors import InvalidInput
from gradline.table_blocks import read_blocks
from gradline.tables import profile
from tests.unit.data.whole_tables import read_table

SPELLINGS = """\ufeffid ; name;"amount, in EUR";ok;note
1; Ulm ;1.5;true;"a; b"
 2 ;"NA"; NA ;FALSE;"two
lines"
3;;-2e3;;N/A
4;null;7;true;"say ""hi"" "
"""


def blocks(source: Any, format: str, names: list[str] | None = None, block_bytes: int = 1 << 20) -> pa.Table:  # noqa: A002
    types = {c["name"]: c["type"] for c in profile(source, format).columns}
    asked = {name: types[name] for name in names or types}
    readable = io.BytesIO(source) if isinstance(source, bytes) else source
    return pa.Table.from_batches(read_blocks(readable, format, asked, block_bytes))


def parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def test_a_csv_is_read_as_it_was_profiled():
    whole = read_table(SPELLINGS.encode(), "csv")
    assert blocks(SPELLINGS.encode(), "csv").to_pylist() == whole.to_pylist()
    assert whole.column("amount, in EUR").to_pylist() == [1.5, None, -2000.0, 7.0]


@pytest.mark.parametrize("odd", [" 7.5 ", '" NA "', '" 3"', " null"])
def test_a_spelling_that_arrow_alone_would_refuse_changes_no_row(odd: str):
    rows = "".join(f"{i},word {i % 5}\n" for i in range(5000))
    table = f"x,word\n{rows}{odd},last\n{rows}".encode()
    assert blocks(table, "csv").to_pylist() == read_table(table, "csv").to_pylist()


def test_an_odd_spelling_in_a_late_block_is_read_on_from_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gradline.csv_tables._BLOCK_BYTES", 4096)
    rows = "".join(f"{i},word {i % 5}\n" for i in range(3000))
    table = f'x,word\n{rows}" NA ",last\n{rows}'.encode()
    assert blocks(table, "csv").to_pylist() == read_table(table, "csv").to_pylist()


def test_columns_come_in_the_order_asked_for(tmp_path: Any):
    path = tmp_path / "table.csv"
    path.write_bytes(SPELLINGS.encode())
    assert blocks(path, "csv", ["ok", "id"]).column_names == ["ok", "id"]
    data = parquet(pa.table({"a": [1, 2], "b.c": [3, 4], "b": [5, 6]}))
    assert blocks(data, "parquet", ["b", "a"]).to_pydict() == {"b": [5, 6], "a": [1, 2]}


def test_every_type_of_parquet_is_read_as_it_was_profiled():
    table = pa.table(
        {
            "small": pa.array([1, None, -3], pa.int8()),
            "half": pa.array([1.5, None, 2.5], pa.float32()),
            "nan": pa.array([1.0, float("nan"), 2.0]),
            "money": pa.array([decimal.Decimal("1.20"), None, decimal.Decimal("3.40")], pa.decimal128(9, 2)),
            "flag": pa.array([True, None, False]),
            "word": pa.array([" a ", "", "b"]),
            "kind": pa.array(["x", "y", None]).dictionary_encode(),
            "day": pa.array([datetime.date(2026, 1, 2), None, datetime.date(2026, 1, 3)]),
        }
    )
    data = parquet(table)
    found = blocks(data, "parquet").to_pydict()
    found["nan"] = [None if v != v else v for v in found["nan"]]
    assert found == read_table(data, "parquet").to_pydict()


def test_blocks_are_no_larger_than_asked(tmp_path: Any):
    path = tmp_path / "table.parquet"
    path.write_bytes(parquet(pa.table({"a": list(range(50_000)), "b": [0.5] * 50_000})))
    types = {"a": "integer", "b": "number"}
    sizes = [batch.nbytes for batch in read_blocks(path, "parquet", types, 1 << 17)]
    assert len(sizes) > 3
    assert max(sizes) <= 1.1 * (1 << 17), "the values; marks of missing ones come on top"


def test_a_file_that_is_no_table_any_more_is_refused():
    with pytest.raises(InvalidInput, match="no Parquet file that can be read"):
        list(read_blocks(io.BytesIO(b"PAR1 nothing PAR1"), "parquet", {"a": "number"}, 1 << 20))
