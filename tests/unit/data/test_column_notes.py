"""What an upload says of text that looks like something else."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.data.uploads import profiled


def notes(*rows: str) -> dict[str, str | None]:
    return {column["name"]: column.get("note") for column in profiled("\n".join(rows).encode()).columns}


@pytest.mark.parametrize(
    "values",
    [("1,5", "12,25"), ("1,200", "-3,400.5"), ("1.200,5", "7"), ("1 200", "1'200"), ("12%", "3.5 %"), ("$1,200", "€7")],
)
def test_numbers_in_another_spelling_are_noted(values: tuple[str, str]) -> None:
    assert "numbers" in (notes("a;y", *(f"{value};0" for value in values))["a"] or "")


@pytest.mark.parametrize("values", [("2024-01-31", "2024-02-01 10:00"), ("31.1.2024", "01.02.24"), ("1/31/2024", "")])
def test_dates_are_noted(values: tuple[str, str]) -> None:
    assert "dates" in (notes("a;y", *(f"{value};0" for value in values))["a"] or "")


def test_names_of_rows_are_noted_and_levels_are_not() -> None:
    said = notes("id,city,few,y", *(f"u{i},{'Ulm' if i % 2 else 'Bonn'},,{i % 2}" for i in range(30)))
    assert "names the rows" in (said.pop("id") or "")
    assert set(said.values()) == {None}


@pytest.mark.parametrize("values", [("1,5", "n/k"), ("v1.2", "v1.3"), ("2024-01-31", "unknown")])
def test_a_column_with_other_words_among_them_is_not_noted(values: tuple[str, str]) -> None:
    assert notes("a;y", *(f"{value};0" for value in values))["a"] is None


@pytest.mark.parametrize("n_rows", [40, 30_000, 200_000])
def test_what_makes_a_column_of_numbers_text_is_named(n_rows: int) -> None:
    """Also where too many values differ for them to be kept, and the odd one comes in a later block than they do."""
    values = [f"{i / 8}" for i in range(n_rows - 1)]
    said = notes("a,few,y", *(f"{value},{i % 3},{i % 2}" for i, value in enumerate([*values, "?"])))
    assert "numbers but for '?'" in (said["a"] or "")
    assert said["few"] is None


def test_of_many_odd_values_some_are_named() -> None:
    said = notes("a,y", *(f"{i if i % 20 else f'#{i}'},0" for i in range(100)))["a"] or ""
    assert "numbers but for 5 such as '#0', '#20', '#40'" in said


def test_codes_of_which_many_are_no_numbers_are_not_noted() -> None:
    assert notes("a,y", *(f"{i % 25 if i % 5 else f'V{i % 25}'},0" for i in range(100)))["a"] is None


def test_many_different_texts_are_not_said_to_be_numbers() -> None:
    assert notes("a,y", *(f"u{i},0" for i in range(30_000)))["a"] is None


def test_text_in_parquet_that_is_all_numbers_is_noted() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [f"{i}e-3" for i in range(30_000)], "y": [0] * 30_000}), file)
    column, _ = profiled(file.getvalue(), "parquet").columns
    assert "spec.data.types can make it numeric" in column["note"]
