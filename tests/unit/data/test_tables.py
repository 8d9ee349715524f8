"""The reading rules for uploaded tables."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from gradline.errors import InvalidInput
from gradline.tables import profile
from tests.unit.data.whole_tables import read_table


def parquet(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def test_a_csv_with_everything_odd_is_read():
    data = (
        b'\xef\xbb\xbf id ,"full, name",age,member,note\r\n'
        b'1,"Ann ""A"" B",NA, true ,"two\nlines"\r\n'
        b"\r\n"
        b"2,,3.5,FALSE, x \r\n"
    )
    assert read_table(data, "csv").to_pydict() == {
        "id": [1, 2],
        "full, name": ['Ann "A" B', None],
        "age": [None, 3.5],
        "member": [True, False],
        "note": ["two\nlines", "x"],
    }


def test_a_parquet_column_of_no_type_is_one_without_any_value():
    table = read_table(parquet({"a": pa.nulls(2), "b": [1, 2]}), "parquet")
    assert table.to_pydict() == {"a": [None, None], "b": [1, 2]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(delimiter: str):
    data = delimiter.join(["a", "b"]) + "\n" + delimiter.join(["1", '"x, y; z"']) + "\n"
    assert read_table(data.encode(), "csv").to_pydict() == {"a": [1], "b": ["x, y; z"]}


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-2", "007"], "integer", [1, -2, 7]),
        (["1", "2.5", "1e3"], "number", [1.0, 2.5, 1000.0]),
        (["9999999999999999999"], "number", [1e19]),
        (["True", "false"], "boolean", [True, False]),
        (["1", "x"], "text", ["1", "x"]),
        (["0x10", "0x11"], "text", ["0x10", "0x11"]),
        (["1,5", "2"], "text", ["1,5", "2"]),
        (["1", "NA", '"N/A"', "null", "NaN", "#N/A"], "integer", [1, None, None, None, None, None]),
    ],
)
def test_a_column_takes_the_first_type_that_fits_all_its_values(values, kind, expected):
    rows = [f'"{v}"' if "," in v else v for v in values]
    data = "\n".join(["a,b", *(f"{row},z" for row in rows)]).encode()
    assert read_table(data, "csv").column("a").to_pylist() == expected
    assert profile(data, "csv").columns[0]["type"] == kind


def test_a_late_value_of_another_type_changes_the_column_not_the_reading():
    rows = "\n".join(["a,b", *["1,2"] * 100_000, "x,2"])
    assert profile(rows.encode(), "csv").columns[0]["type"] == "text"


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b"", "file", "the file is empty"),
        (b"\n \n", "file", "the file is empty"),
        (b"a,b\n", "file", "no rows"),
        (b"a,b\n1,2\n3\n", "rows[3]", "row 3 (the header is row 1) has 1 values where the header names 2 columns"),
        (b"a,b\n1,2,3\n", "rows[2]", "has 3 values"),
        (b"a\0,b\n1,2\n", "file", "NUL byte at byte 2"),
        ("a,b\n1,2\n".encode("utf-16"), "file", "UTF-16"),
        (b"a,b\n1,\xff\n", "rows[2]", "line 2 is not in UTF-8"),
        (b"a,a\n1,2\n", "columns[1]", "columns 1 and 2 are both named 'a'"),
        (b"a,\n1,2\n", "columns[1]", "column 2 has no name"),
        (b"1,2.5\n3,4\n", "file", "first row must hold the column names"),
        (b"a,b\n1,inf\n", "b", "column 'b' is infinite in data row 1"),
        (b"a,b\n1,2\n1,1e999\n", "b", "column 'b' is infinite in data row 2"),
        (b'a,b\n1,"x\n2,y\n', "file", "opens a quote that is never closed"),
        (b'a,b,c\n1,"x,0\n2,x,1\n', "rows[2]", "has 2 values where the header names 3 columns; it opens a quote"),
        (b"a,b", "file", "no rows"),
        (b'\xef\xbb\xbf [{"a": 1}]', "file", "this is JSON, not CSV"),
        (b"<!DOCTYPE html><html></html>\n", "file", "this is HTML"),
        (b"PK\x03\x04rest\n", "file", "save the sheet as CSV"),
        (b"\x1f\x8brest\n", "file", "send it unpacked"),
        (b"PAR1rest\n", "file", "format=parquet"),
        ((",".join(f"c{i}" for i in range(10_001)) + "\n").encode(), "file", "at most 10000"),
    ],
)
def test_a_csv_that_cannot_be_trusted_is_refused_by_place_and_reason(data: bytes, field: str, reason: str):
    with pytest.raises(InvalidInput) as refused:
        read_table(data, "csv")
    (fault,) = refused.value.faults
    assert fault.field == field
    assert reason in fault.reason


def test_a_file_a_path_and_bytes_are_read_alike(tmp_path):
    data = b"a,b\n1,x\n"
    (tmp_path / "table.csv").write_bytes(data)
    expected = read_table(data, "csv")
    assert read_table(str(tmp_path / "table.csv"), "csv") == expected
    assert read_table(io.BytesIO(data), "csv") == expected


def test_parquet_columns_become_the_same_four_types():
    data = parquet(
        {
            "small": pa.array([1, None], pa.int8()),
            "half": pa.array([1.5, float("nan")], pa.float32()),
            "flag": [True, False],
            "level": pa.array(["x", ""]).dictionary_encode(),
            "day": pa.array([0, 1], pa.date32()),
            "view": pa.array(["x", ""], pa.string_view()),
        }
    )
    assert read_table(data, "parquet").to_pydict() == {
        "small": [1, None],
        "half": [1.5, None],
        "flag": [True, False],
        "level": ["x", None],
        "day": ["1970-01-01", "1970-01-02"],
        "view": ["x", None],
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PAR1 and then nothing PAR1", "no Parquet file"),
        (b"", "no Parquet file"),
        (parquet({"a": [[1], [2]]}), "column 'a' holds list"),
        (parquet({"a": pa.array([1, 2], pa.duration("us"))}), "column 'a' holds duration"),
        (parquet({"b": [1], "a": pa.array([2**63], pa.uint64())}), "column 'a' cannot be read as int64"),
        (parquet({"a": [float("inf")]}), "column 'a' is infinite in data row 1"),
        (parquet({"a": pa.array([], pa.int64())}), "no rows"),
    ],
)
def test_parquet_that_cannot_be_used_is_refused(data: bytes, reason: str):
    with pytest.raises(InvalidInput) as refused:
        read_table(data, "parquet")
    assert reason in refused.value.faults[0].reason


def test_a_small_parquet_file_with_a_huge_table_is_refused_unread():
    bomb = parquet({"a": pa.array([7] * 3_000_000, pa.int64())})
    assert len(bomb) < 100_000
    with pytest.raises(InvalidInput, match="3000000 rows of 1 columns"):
        profile(bomb, "parquet", max_bytes=1_000_000)


def test_the_profile_says_what_a_caller_must_know():
    n_rows, (age, city, _) = profile(b"age,city,id\n3,Ulm,a\n,Bonn,b\n5,Ulm,c\n", "csv")
    assert n_rows == 3
    assert age == {
        "name": "age", "type": "integer", "n_missing": 1, "n_distinct": 2, "min": 3, "max": 5, "levels": [3, 5],
    }  # fmt: skip
    assert city == {"name": "city", "type": "text", "n_missing": 0, "n_distinct": 2, "levels": ["Bonn", "Ulm"]}


def test_levels_are_listed_only_where_they_are_few():
    rows = "\n".join(["a,b", *(f"{i},{i % 2}" for i in range(51))])
    many, few = profile(rows.encode(), "csv").columns
    assert "levels" not in many
    assert few["levels"] == [0, 1]


@pytest.mark.parametrize(("text", "line", "byte"), [("größe,b\n1,x\n", 1, 3), ("a,b\n1,x\n2,é\n", 3, 11)])
def test_a_file_in_latin_1_is_refused_with_line_byte_and_mend(text: str, line: int, byte: int):
    with pytest.raises(InvalidInput) as refused:
        read_table(text.encode("latin1"), "csv")
    (fault,) = refused.value.faults
    assert f"line {line} is not in UTF-8: byte {byte} of the file" in fault.reason
    assert "iconv -f latin1 -t utf-8" in fault.reason


def test_a_replacement_character_in_a_header_is_a_character():
    assert read_table("a\N{REPLACEMENT CHARACTER},b\n1,2\n".encode(), "csv").column_names[0] == "a\ufffd"
