"""Blocks of columns become rows, whichever way they are turned."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from gradline.data import gathering
from gradline.data.gathering import Gathering
from gradline.data.sample import Numbers

N = 1003
NO_CODES = torch.empty(0, N, dtype=torch.int32)


def gathered(columns: dict[str, pa.Array], dtype: torch.dtype, *, is_shifted: bool) -> Numbers:
    made = Gathering(
        torch.full((N, len(columns) + 1), -1.0, dtype=dtype), list(columns), [], NO_CODES, is_shifted=is_shifted
    )
    block = pa.record_batch(columns)
    for start, stop in ((0, 600), (600, N)):
        made.add(block.slice(start, stop - start), None)
    return made.numbers(frozenset())


@pytest.mark.parametrize("d", [1, 5, 600])  # the last in several tiles
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_shifted", [False, True])
def test_the_compiled_turn_writes_and_sums_what_numpy_does(
    d: int, dtype: torch.dtype, is_shifted: bool, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(d, N)) * 10.0 ** (np.arange(d)[:, None] % 5)
    values = values.astype(str(dtype).removeprefix("torch."))
    values[-1, 700] = np.nan
    columns = {f"x{j}": pa.array(values[j]) for j in range(d)}
    by_numpy = gathered(columns, dtype, is_shifted=is_shifted)
    monkeypatch.setattr(gathering, "MIN_COMPILED", 1)
    monkeypatch.setattr(gathering, "_place", None)  # numpy's way is not taken
    compiled = gathered(columns, dtype, is_shifted=is_shifted)
    torch.testing.assert_close(compiled.memory, by_numpy.memory, rtol=0.0, atol=0.0, equal_nan=True)
    assert compiled.memory[:, d].tolist() == [1.0] * N
    if not is_shifted:
        assert compiled.sum_2j is None
        return
    rows_nd = compiled.values_nj.double()
    exact_2d = torch.stack((rows_nd.sum(0), rows_nd.square().sum(0)))
    torch.testing.assert_close(compiled.sum_2j, exact_2d, rtol=1e-12, atol=1e-9, equal_nan=True)


def test_columns_of_other_types_and_with_gaps_are_turned_by_numpy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gathering, "MIN_COMPILED", 1)
    whole = pa.array(np.arange(N))
    gaps = pa.array([None if i % 7 == 0 else float(i) for i in range(N)], pa.float32())
    numbers = gathered({"whole": whole, "gaps": gaps}, torch.float32, is_shifted=False)
    assert numbers.values_nj[:, 0].tolist() == list(range(N))
    assert numbers.values_nj[:, 1].isnan().nonzero().flatten().tolist() == list(range(0, N, 7))


def test_rows_of_text_alone_are_turned_into_ones(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gathering, "MIN_COMPILED", 1)
    made = Gathering(torch.zeros(N, 1), [], ["c"], torch.empty(1, N, dtype=torch.int32), is_shifted=False)
    made.add(pa.record_batch({"c": pa.array(["v", "u", None] * (N // 3) + ["w"])}), None)
    assert made.numbers(frozenset()).memory[:, 0].tolist() == [1.0] * N
    text = made.texts(lambda _: str, frozenset())["c"]
    assert (text.levels, text.code_n[:3].tolist(), int(text.code_n[-1])) == (["u", "v", "w"], [1, 0, -1], 2)
