"""Classes, groups and folds as codes of sorted values, whichever way they are found."""

from typing import Any

import pyarrow as pa
import pytest

from gradline.data import roles
from gradline.data.roles import roles_of
from gradline.specs.logistic_regression import Dataset

COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "two numbers": (pa.int64(), [1, 0, 0, 1, 1, 0]),
    "with gaps": (pa.int32(), [-7, 100, 3, 3, 100, -7]),
    "all of a byte": (pa.int8(), [-128, 127, 0, 127, -128, 5]),
    "beyond 63 bits": (pa.uint64(), [2**64 - 1, 2**64 - 3, 2**64 - 1, 2**64 - 2, 2**64 - 2, 2**64 - 1]),
    "to the last of 63 bits": (pa.uint64(), [2**63 - 1, 2**63 - 3, 2**63 - 1, 2**63 - 2, 2**63 - 2, 2**63 - 1]),
    "far apart": (pa.int64(), [-(2**63), 2**63 - 1, 0, 0, 2**63 - 1, -(2**63)]),
    "missing": (pa.int64(), [4, None, 2, 4, None, 2]),
    "text": (pa.string(), ["b", "a", "c", "b", None, "a"]),
    "decimals": (pa.float64(), [0.5, -0.25, float("nan"), 0.5, None, 3.0]),
    "boolean": (pa.bool_(), [True, False, False, True, True, False]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_codes_are_the_places_of_sorted_values(name: str):
    dtype, given = COLUMNS[name]
    table = pa.table({"y": pa.chunked_array([pa.array(given[:2], dtype), pa.array(given[2:], dtype)])})
    found = roles_of(
        table, Dataset(source="dataset", dataset_id="01234567-89ab-cdef-0123-456789abcdef", target="y"), "auto"
    )
    is_there = [value is not None and value == value for value in given]
    values = sorted({value for value, is_there in zip(given, is_there, strict=True) if is_there})
    assert found.classes == values
    assert [type(value) for value in found.classes] == [type(value) for value in values]
    codes = [code for code, is_there in zip(found.target_n.tolist(), is_there, strict=True) if is_there]
    assert codes == [values.index(value) for value, is_there in zip(given, is_there, strict=True) if is_there]


def test_whole_numbers_near_each_other_are_counted_and_others_looked_up(monkeypatch: pytest.MonkeyPatch):
    taken: list[str] = []
    for way in ("_counted", "_looked_up"):
        plain = getattr(roles, way)
        monkeypatch.setattr(roles, way, lambda column, way=way, plain=plain: (taken.append(way), plain(column))[1])
    for name in ("with gaps", "to the last of 63 bits", "beyond 63 bits", "far apart", "missing", "text"):
        dtype, given = COLUMNS[name]
        roles._coded(pa.chunked_array([pa.array(given, dtype)]))
    assert taken == ["_counted", "_counted", "_looked_up", "_looked_up", "_looked_up", "_looked_up"]
