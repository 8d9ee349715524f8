"""Rows whose target has no value: dropped where the spec says so, from files of either format, whatever their roles."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradline import parquet_tables
from gradline.data import uploaded
from gradline.errors import PermanentError
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

PREPARATION = {"missing": "indicator", "max_levels": 3}


def gaps(n: int = 240) -> pd.DataFrame:
    """Roles of every kind, and features with gaps of their own."""
    draw = np.random.default_rng(3)
    table = pd.DataFrame({"a": draw.normal(5, 2, n), "b": draw.normal(size=n), "city": draw.choice([*"uvwxyz"], n)})
    table.loc[::7, "a"] = np.nan
    table["w"], table["fold"], table["group"] = draw.integers(0, 4, n), np.arange(n) % 4, np.arange(n) // 3
    table["number"] = draw.poisson(np.exp(0.4 + 0.3 * table.b)) + 1.0
    table["class"] = np.where(draw.random(n) < 1 / (1 + np.exp(-table.b)), "yes", "no")
    return table


def written(table: pd.DataFrame, format: str) -> bytes:  # noqa: A002
    file = io.BytesIO()
    table.to_csv(file, index=False) if format == "csv" else table.to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("target", "data", "spec"),
    [
        ("class", {}, {}),
        ("class", {"weights": "w", "positive_class": "no"}, {"split": {"validation_fraction": 0.25}}),
        ("class", {"group": "group"}, {"split": {"validation_fraction": 0.25, "folds": 3}}),
        ("number", {"fold": "fold"}, {"model": {"family": "poisson"}}),
        ("number", {"weights": "w"}, {"model": {"family": "log-linear"}, "split": {"folds": 3}}),
        ("number", {}, {"model": {"family": "gaussian"}, "penalty": {"path": {"n_values": 5}}}),
    ],
)
def test_rows_without_a_target_count_as_if_the_file_lacked_them(tmp_path, format, target, data, spec):  # noqa: A002
    table = gaps()
    table.loc[table.index % 5 == 2, target] = None
    without = table[table[target].notna()]
    results = []
    for rows in (table, without):
        attempt = MemoryAttempt()
        attempt.store = ArtifactStore(f"file://{tmp_path}")
        attempt.uploads[ID] = stored(attempt.store, written(rows, format), format)
        source = {"source": "dataset", "dataset_id": ID, "target": target, "features": ["a", "b", "city"]} | data
        source |= {"missing_target": "drop"}
        results.append(train(attempt, data=source, preprocess=PREPARATION, report={"plots": []}, **spec)[0])
        assert ("missing_target" in attempt.warnings) == (rows is table)
    assert [result.pop("n_without_target") for result in results] == [48, 0]
    assert results[0]["warnings"].pop(0)["code"] == "missing_target"
    assert results[0] == results[1]


def test_rows_without_a_target_are_refused_unless_the_spec_drops_them(tmp_path):
    table = gaps()
    table.loc[[3, 8], "class"] = None
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, written(table, "csv"))
    source: dict[str, Any] = {"source": "dataset", "dataset_id": ID, "target": "class", "features": ["b"]}
    with pytest.raises(PermanentError, match=r"no value in 2 of its rows; set spec\.data\.missing_target to drop"):
        train(attempt, data=source)


ROLES: dict[str, dict[str, Any]] = {"w": {"weights": "w"}, "fold": {"fold": "fold"}, "group": {"group": "group"}}


def fit(path: Any, table: pd.DataFrame, format: str, data: dict[str, Any], **spec: Any) -> dict[str, Any]:  # noqa: A002
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{path}")
    attempt.uploads[ID] = stored(attempt.store, written(table, format), format)
    source = {"source": "dataset", "dataset_id": ID, "target": "class", "features": ["b", "city"]}
    return train(attempt, data=source | {"missing_target": "drop"} | data, report={"plots": []}, **spec)[0]


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("data", "spec"),
    [
        ({"weights": "w", "group": "group"}, {"split": {"validation_fraction": 0.25, "folds": 3}}),
        ({"weights": "w", "fold": "fold", "offset": "a"}, {}),
    ],
)
def test_rows_without_a_target_may_hold_anything_in_other_roles(tmp_path, format, data, spec):  # noqa: A002
    table = gaps().astype({"fold": "Int64", "group": "Int64"}).assign(a=lambda rows: rows.b / 2)
    is_dropped = table.group % 5 == 2
    table.loc[is_dropped, ["class", "a", "b", "city", "w", "fold", "group"]] = None
    table.loc[is_dropped.idxmax(), "w"] = -1
    results = [fit(tmp_path, rows, format, data, **spec) for rows in (table, table[~is_dropped])]
    assert [result.pop("n_without_target") for result in results] == [48, 0]
    assert results[0]["warnings"].pop(0)["code"] == "missing_target"
    assert results[0] == results[1]


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["w", "fold", "group", "city", "b"])
def test_rows_with_a_target_still_need_what_their_roles_ask_for(tmp_path, format, column):  # noqa: A002
    table = gaps().astype({"fold": "Int64", "group": "Int64"})
    table.loc[[3, 8], "class"] = None
    table.loc[[8, 9], column] = None
    with pytest.raises(PermanentError, match=r"in data row 10, which has a target|no value in 1 of its rows; set"):
        fit(tmp_path, table, format, ROLES.get(column, {}))
    if column == "w":
        table.loc[[8, 9], "w"] = [1, -1]
        with pytest.raises(PermanentError, match=r"spec\.data\.weights: 'w' is negative in data row 10"):
            fit(tmp_path, table, format, ROLES["w"])


def test_rows_without_a_target_are_dropped_from_blocks_that_come_as_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(uploaded, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(parquet_tables, "_MIN_ROWS", 50)
    test_rows_without_a_target_count_as_if_the_file_lacked_them(tmp_path, "parquet", "class", {"weights": "w"}, {})
