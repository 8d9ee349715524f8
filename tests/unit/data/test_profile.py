"""A table described in blocks is described as if it were read as a whole, in memory that does not grow with it."""

import io
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from gradline import csv_tables, tables
from gradline.column_notes import ALL_DIFFERENT
from gradline.errors import InvalidInput
from gradline.tables import profile
from tests.unit.data.whole_tables import described, read_table

SPELLINGS = {
    "integers": ["1", " 2", "-3 ", "007", "NA", ""],
    "numbers": ["1", "2.5", "1e3", "NaN", "-0.5"],
    "booleans": ["true", "False", "0", "1", ""],
    "words": ["a", " a", "b ", "null", "7", "0x10"],
    "hexadecimal": ["0x10", "16", "0X1"],
    "empty": ["", "NA", " "],
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_tables, "_BLOCK_BYTES", 512)
    monkeypatch.setattr("gradline.table_tallies.MAX_DISTINCT", 40)


def agree(data: bytes, format: str) -> None:  # noqa: A002  the API's word
    whole = described(read_table(data, format))
    for column, said in zip(whole, profile(data, format).columns, strict=True):
        if said["n_distinct"] is None:
            assert column.pop("n_distinct") in (None, *range(41, 10_001))
            column |= {"n_distinct": None}
            column.pop("levels", None)
            if column.get("note") == ALL_DIFFERENT:
                column.pop("note")
        assert said == column


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_a_csv_are_described_as_the_whole(seed: int):
    """Columns change their type late, have few or many values, and odd spellings anywhere."""
    draw, n = random.Random(seed), 400
    columns: dict[str, list[str]] = {name: draw.choices(values, k=n) for name, values in SPELLINGS.items()}
    late = {"number": " 1.5 ", "text": "x", "hexadecimal": "0x1", "missing": "NA", "integer": "7"}
    columns |= {f"late {name}": [*map(str, range(n - 1)), value] for name, value in late.items()}
    columns["many words"] = [f"w{draw.randrange(10**6)}" for _ in range(n)]
    columns["numbers then text"] = [f"{draw.random():.5f}" for _ in range(n - 3)] + ["", " NaN", "y"]
    columns["flags then a number"] = ["true"] * (n - 1) + ["2"]
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    agree("\n".join(lines).encode(), "csv")


def test_blocks_of_parquet_are_described_as_the_whole():
    n = 30_000
    draw = random.Random(3)
    table = pa.table(
        {
            "real": pa.array([draw.random() for _ in range(n)], pa.float32()),
            "gap": [None if i % 7 == 0 else float("nan") if i % 5 == 0 else i / 3 for i in range(n)],
            "small": pa.array([i % 100 - 50 for i in range(n)], pa.int8()),
            "unsigned": pa.array(range(n), pa.uint16()),
            "flag": [i % 3 == 0 if i % 4 else None for i in range(n)],
            "word": pa.array([f" level {i % 60} " for i in range(n)]).dictionary_encode(),
            "nothing": pa.array([None] * n, pa.float64()),
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=10_000)
    agree(file.getvalue(), "parquet")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("tail", "field", "reason"),
    [
        (b"1\n", "rows[502]", "row 502 (the header is row 1) has 1 values"),
        (b"1,\xff\n", "rows[502]", "line 502 is not in UTF-8: byte 2007 of the file is 0xFF"),
        (b"1,\xc3\n", "rows[502]", "line 502 is not in UTF-8: byte 2007 of the file is 0xC3"),
        (b"1,\xc3", "rows[502]", "line 502 is not in UTF-8: byte 2007 of the file is 0xC3"),
        (b"1,\0\n", "file", "NUL byte at byte 2007"),
        (b'1,"x\n2,y\n', "file", "a quote that is never closed"),
        (b"1,-inf\n", "b", "column 'b' is infinite in data row 501"),
    ],
)
def test_a_fault_in_a_late_block_is_named_by_its_place_in_the_file(tail: bytes, field: str, reason: str):
    with pytest.raises(InvalidInput) as refused:
        profile(b"a,b\n" + b"1,2\n" * 500 + tail, "csv")
    (fault,) = refused.value.faults
    assert (fault.field, reason in fault.reason) == (field, True), fault


def test_a_row_longer_than_a_block_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_tables, "_BLOCK_BYTES", 256)
    data = b"a,b\n" + b"1,x\n" * 300 + b'2,"' + b"long\n" * 500 + b'"\n' + b"3,y\n" * 300
    agree(data, "csv")
    assert profile(data, "csv").n_rows == 601


MEASURE = """
import resource, sys
from gradline.tables import profile
profile(sys.argv[1], sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
profile(sys.argv[3], sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_memory_stays_the_same_however_long_the_file(tmp_path: Path, format: str):  # noqa: A002
    paths = [tmp_path / "short", tmp_path / "long"]
    for path, n_groups in zip(paths, (4, 24), strict=True):
        write(path, format, n_groups)
    assert paths[1].stat().st_size > 100 << 20
    command = [sys.executable, "-c", MEASURE, str(paths[0]), format, str(paths[1])]
    grown_mib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown_mib < 40, f"{paths[1].stat().st_size >> 20} MiB took {grown_mib} MiB more"


def write(path: Path, format: str, n_groups: int) -> None:  # noqa: A002
    draw = random.Random(0)
    block = pa.table(
        {f"x{j}": [draw.random() for _ in range(50_000)] for j in range(9)} | {"y": ["yes", "no"] * 25_000}
    )
    with path.open("wb") as file:
        writer = (pq.ParquetWriter if format == "parquet" else pyarrow.csv.CSVWriter)(file, block.schema)
        for _ in range(n_groups):
            writer.write_table(block)
        writer.close()


def test_a_wide_file_is_looked_at_in_few_blocks(monkeypatch):
    monkeypatch.setattr(csv_tables, "_BLOCK_BYTES", 4096)
    rows = [",".join(str((i * j) % 97) for j in range(400)) for i in range(200)]
    data = "\n".join([",".join(f"x{j}" for j in range(400)), *rows]).encode()
    read, joined = list(csv_tables.text_blocks(data)), list(tables._joined(csv_tables.text_blocks(data)))
    assert (len(read) > 20, len(joined)) == (True, 1)
    assert joined[0] == pa.Table.from_batches(read).combine_chunks().to_batches()[0]
    agree(data, "csv")
