"""Features beyond the bound lie in a file, and nothing but memory changes by it."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from torch import Tensor

from gradline.data.room import Room
from gradline.errors import PermanentError
from gradline.storage import ArtifactStore
from gradline.training import Family, Objective, Problem, linear_predictor, make_problem, zero_parameters
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

MIB = 2**20


def resident_file_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[2]) * os.sysconf("SC_PAGE_SIZE")


def settles_below(bound: int, deadline_s: float = 20.0) -> bool:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if resident_file_bytes() < bound:
            return True
        time.sleep(0.005)
    return False


def test_pages_beyond_the_bound_are_let_go_and_keep_what_was_written(tmp_path: Any):
    with Room(8 * MIB, ArtifactStore(f"file://{tmp_path}")) as room:
        before = resident_file_bytes()
        x = room.empty(16 * MIB, 1, torch.float32)
        x[:, 0] = torch.arange(16 * MIB)
        assert settles_below(before + 16 * MIB), "64 MiB were written"
        assert float(x[:, 0].double().sum()) == 16 * MIB * (16 * MIB - 1) / 2
        assert settles_below(before + 16 * MIB)
    assert os.listdir(tmp_path / "incoming") == [], "the file has no name to be left behind"


def resident_bytes_of_no_file() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


def test_what_pyarrow_keeps_of_blocks_is_given_back_where_features_are_beyond_the_bound(tmp_path: Any):
    blocks = [pa.array(np.full(MIB, i)) for i in range(24)]
    doubled = [pc.add(block, block) for block in blocks]
    with Room(MIB, ArtifactStore(f"file://{tmp_path}")) as room:
        room.empty(2 * MIB, 1, torch.float32)
        del doubled
        kept = resident_bytes_of_no_file()
        room.give_back_blocks()
        assert resident_bytes_of_no_file() < kept - 96 * MIB, "192 MiB were sums"


def n_mapped(folder: Any) -> int:
    with open("/proc/self/maps", encoding="utf-8") as file:
        return sum(str(folder) in line for line in file)


def test_what_is_made_in_passing_goes_with_its_tensor(tmp_path: Any):
    with Room(MIB, ArtifactStore(f"file://{tmp_path}")) as room:
        kept = room.empty(2 * MIB, 1, torch.float32)
        for _ in range(3):
            with room.passing():
                passing = room.empty(2 * MIB, 1, torch.float32)
            assert n_mapped(tmp_path) == 2
            del passing
        assert n_mapped(tmp_path) == 1
        assert len(kept) == 2 * MIB


def test_what_fits_stays_in_memory(tmp_path: Any):
    with Room(MIB, ArtifactStore(f"file://{tmp_path}")) as room:
        assert room.empty(100, 10, torch.float64).shape == (100, 10)
    assert not (tmp_path / "incoming").exists()


def test_large_matrices_in_memory_are_no_file_and_can_be_written(tmp_path: Any):
    with Room(None, ArtifactStore(f"file://{tmp_path}")) as room:
        x = room.empty(4 * MIB, 3, torch.float32)
        before = resident_file_bytes()
        x.fill_(2)
        assert x.sum(dtype=torch.float64) == 24 * MIB
        assert resident_file_bytes() < before + 16 * MIB


def test_a_full_disk_is_told_with_the_bytes_that_are_wanted(tmp_path: Any):
    with (
        Room(MIB, ArtifactStore(f"file://{tmp_path}")) as room,
        pytest.raises(PermanentError, match="no room in") as refused,
    ):
        room.empty(2**50, 1, torch.float32)
    assert refused.value.code == "no_room"


def test_what_reads_features_beyond_the_bound_lets_go_of_them_between_parts(tmp_path: Any):
    calls: list[None] = []
    x = torch.randn(150_000, 32, generator=torch.Generator().manual_seed(0))
    problem = make_problem(x, (x[:, 0] > 0).long(), Family.BINOMIAL, implies_ones=True)
    mapped = replace(problem, let_go=lambda: calls.append(None))

    def n_calls(read: Callable[[Problem], Tensor]) -> int:
        before = len(calls)
        torch.testing.assert_close(read(mapped), read(problem), rtol=1e-6, atol=1e-6)
        return len(calls) - before

    theta_bkp = zero_parameters(problem.d, 1, has_intercept=True, dtype=torch.float64) + 0.1
    picked_r = torch.arange(0, problem.n, 77).flip(0)
    assert n_calls(lambda some: Objective(some).derivatives(theta_bkp).gradient_bkp) == 2, "of 16 MiB each, at most"
    assert n_calls(lambda some: linear_predictor(some, theta_bkp)) == 2
    assert n_calls(lambda some: some.rows(picked_r).x_np) == 4, "of 512 rows each, at most"


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "adam"])
def test_a_fit_has_the_same_bits_wherever_its_features_lie_and_lets_go_of_them(
    tmp_path: Any, solver: str, monkeypatch: pytest.MonkeyPatch
):
    lets_go, callers = Room.let_go, set[str]()
    monkeypatch.setattr(Room, "let_go", lambda room: (callers.add(threading.current_thread().name), lets_go(room)))
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(500, 3, generator=generator)
    lines = [f"{a:.6f},{b:.6f},{'uvw'[i % 3]},{int(a + c > 0)}" for i, (a, b, c) in enumerate(rows.tolist())]
    results = []
    for bound in (None, 1):
        attempt = MemoryAttempt()
        attempt.store, attempt.features_max_bytes = ArtifactStore(f"file://{tmp_path}"), bound
        attempt.uploads[ID] = stored(attempt.store, "\n".join(["a,b,c,y", *lines]).encode())
        data = {"source": "dataset", "dataset_id": ID, "target": "y"}
        spec = {"solver": {"name": solver}, "penalty": {"l2": 0.01}, "stop": {"max_steps": 50}}
        results.append(train(attempt, data=data, split={"validation_fraction": 0.2}, **spec)[0])
    assert results[0]["fingerprint"] == results[1]["fingerprint"]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert threading.current_thread().name in callers, "not only the thread that looks"
