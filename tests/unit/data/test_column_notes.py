"""What an upload says of text that looks like something else."""

import pytest

from tests.unit.data.uploads import profiled


def notes(*rows: str) -> dict[str, str | None]:
    return {column["name"]: column.get("note") for column in profiled("\n".join(rows).encode()).columns}


@pytest.mark.parametrize("values", [("1,5", "12,25"), ("1,200", "-3,400.5"), ("1.200,5", "7"), ("1 200", "1'200")])
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
