"""How often a job reads its file, and that this changes nothing of what it reads."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from gradline.data import uploaded
from gradline.data.gathering import Gathering
from gradline.table_blocks import read_blocks
from tests.unit.data.conftest import Prepare


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The columns of each reading of a file."""
    made = []

    def read(source: Any, format: Any, types: dict[str, str], block_bytes: int) -> Any:  # noqa: A002  the API's word
        made.append(list(types))
        return read_blocks(source, format, types, block_bytes)

    monkeypatch.setattr(uploaded, "read_blocks", read)
    return made


def table(n: int = 60, *, gaps: int = 0) -> str:
    rng = np.random.default_rng(3)
    rows = [f"{a:.3f},{'rgb'[i % 3]},{i % 4},1,{'' if i < gaps else i % 2}" for i, a in enumerate(rng.normal(size=n))]
    return "a,b,g,one,y\n" + "\n".join(rows)


def test_a_file_whose_rows_all_train_is_read_once(prepared: Prepare, readings: list[list[str]]):
    prepared(table(), {"group": "g"}, split={"folds": 2})
    assert readings == [["a", "b", "one", "y", "g"]]


@pytest.mark.parametrize(
    ("data", "parts", "gaps"),
    [
        ({"weights": "one"}, {}, 0),
        ({}, {"split": {"validation_fraction": 0.5}}, 0),
        ({"missing_target": "drop"}, {}, 4),
    ],
)
def test_columns_that_say_which_rows_train_are_read_before_the_others(
    prepared: Prepare, readings: list[list[str]], data: dict[str, Any], parts: dict[str, Any], gaps: int
):
    prepared(table(gaps=gaps), data | {"features": ["a", "b"]}, **parts)
    assert readings == [["y", *([data["weights"]] if "weights" in data else [])], ["a", "b"]]


def test_one_reading_gives_the_rows_that_two_give(prepared: Prepare):
    at_once, apart = (prepared(table(), {"features": ["a", "b"]} | more) for more in ({}, {"weights": "one"}))
    assert torch.equal(at_once.train.x_np, apart.train.x_np)
    assert torch.equal(at_once.train.y_nk, apart.train.y_nk)
    assert at_once.examples == apart.examples


@pytest.mark.parametrize("n_rows", [4096, 10_000])
def test_the_size_of_blocks_does_not_move_what_is_subtracted_from_a_column(n_rows: int):
    column = pa.record_batch({"a": np.arange(10_000, dtype=np.float32)})
    gathering = Gathering(torch.empty(10_000, 2), ["a"], [], torch.empty(0, 10_000, dtype=torch.int32), is_shifted=True)
    for start in range(0, 10_000, n_rows):
        gathering.add(column.slice(start, n_rows), None)
    assert gathering.numbers(frozenset()).shift_j.tolist() == [2047.5]
