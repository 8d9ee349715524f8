"""Features beyond the bound lie in a file, and nothing but memory changes by it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from torch import Tensor

from gradline.data import spare
from gradline.data.features import Pieces, TextFeatures, pieces_of
from gradline.data.matrix import sparse_matrix
from gradline.data.room import Room
from gradline.data.sample import Roles, Sample, TextColumn, numbers_of
from gradline.data.scaling import moments, scale_in_place
from gradline.errors import PermanentError
from gradline.storage import ArtifactStore
from gradline.training import Family, Objective, Problem, linear_predictor, make_problem, products, zero_parameters
from gradline.training.products import SparseProducts
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


# --- sparse features


@pytest.fixture
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some 100 entries, so that small matrices have many."""
    monkeypatch.setattr(products, "RANGE_BYTES", 1200)


@pytest.mark.usefixtures("short_ranges")
@pytest.mark.parametrize(
    "parts",
    [
        {"solver": {"name": "newton-cg"}, "penalty": {"l2": 0.01}},
        {"solver": {"name": "newton-cg"}, "model": {"family": "multinomial"}, "penalty": {"l2": 0.01}},
        {"solver": {"name": "newton"}, "penalty": {"l2": 0.01}},
        {"solver": {"name": "fista"}, "penalty": {"l1": 0.001}},
        {"solver": {"name": "adam", "batch_size": 64}},
        {"split": {"folds": 3}, "penalty": {"l2": 0.01}},
        {"split": {"folds": 3}, "preprocess": {"sparse": True, "missing": "indicator"}},
        {"split": {"validation_fraction": 0.2}, "model": {"class_weights": "balanced"}, "penalty": {"l2": 0.01}},
    ],
)
def test_a_sparse_fit_has_the_same_bits_wherever_its_features_lie_and_leaves_nothing(
    tmp_path: Any, parts: dict[str, Any]
):
    generator = torch.Generator().manual_seed(0)
    values, levels = torch.randn(600, generator=generator), torch.randint(40, (600, 2), generator=generator)
    lines = ["a,b,c,y"] + [
        f"{'' if i % 50 == 7 and 'preprocess' in parts else round(v, 6)},u{b},w{c},{int(v + b / 20 > 1)}"
        for i, (v, (b, c)) in enumerate(zip(values.tolist(), levels.tolist(), strict=True))
    ]
    results = []
    for bound in (None, 1):
        attempt = MemoryAttempt()
        attempt.store, attempt.features_max_bytes = ArtifactStore(f"file://{tmp_path}"), bound
        attempt.uploads[ID] = stored(attempt.store, "\n".join(lines).encode())
        data = {"source": "dataset", "dataset_id": ID, "target": "y"}
        spec = {"preprocess": {"sparse": True}, "stop": {"max_steps": 30}} | parts
        results.append(train(attempt, data=data, **spec)[0])
    assert results[0]["n_features"] > 70
    assert results[0]["fingerprint"] == results[1]["fingerprint"]
    for told in ("metrics", "objective", "certificate", "cross_validation"):
        assert results[0][told] == results[1][told], told
    assert n_mapped(tmp_path) == 0
    assert os.listdir(tmp_path / "incoming") == []


@pytest.mark.usefixtures("short_ranges")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_sparse_features_beyond_the_bound_have_the_bits_of_those_in_memory(
    tmp_path: Any, dtype: torch.dtype
):
    generator = torch.Generator().manual_seed(0)
    x_np = (
        torch.randn(500, 60, generator=generator, dtype=dtype).relu_().mul_(torch.rand(60, generator=generator) > 0.8)
    )
    x_np[:, -1], x_np[17] = 1, 0
    theta_pm, r_nm = (torch.randn(some, 2, generator=generator, dtype=dtype) for some in (60, 500))
    calls: list[None] = []
    with Room(1, ArtifactStore(f"file://{tmp_path}")) as room:
        here = SparseProducts(x_np.to_sparse_csr())
        there = SparseProducts(x_np.to_sparse_csr(), lambda: calls.append(None), room.entries)

        def same(ask: Callable[[SparseProducts], Any]) -> bool:
            return bool(torch.equal(torch.as_tensor(ask(here)), torch.as_tensor(ask(there))))

        def predicted(some: SparseProducts) -> Tensor:
            out_nm = torch.empty_like(r_nm)
            some.predict(theta_pm, out_nm)
            return out_nm

        def collected(some: SparseProducts) -> Tensor:
            out_mp = torch.empty(2, 60, dtype=dtype)
            some.collect(r_nm, out_mp)
            return out_mp

        assert same(predicted)
        assert len(calls) > 5, "the rows are looked at some at a time"
        assert same(collected)
        assert n_mapped(tmp_path) == 1, "the transpose"
        assert same(lambda some: some.squares(r_nm[:, :1]))
        assert same(lambda some: some.gram(r_nm[:, :1]))
        assert same(lambda some: some.block(13, 77))
        assert same(SparseProducts.highest)
        assert same(SparseProducts.highest_of_all)
        assert same(SparseProducts.radius)
        torch.testing.assert_close(collected(there), r_nm.T @ x_np)


def text_pieces(n: int, n_columns: int, n_levels: int) -> Pieces:
    """Columns of text without missing values, each with levels in a random order."""
    generator = torch.Generator().manual_seed(0)
    levels = [f"v{i}" for i in range(n_levels)]
    columns = {
        f"t{j}": TextColumn(f"t{j}", levels, torch.randint(n_levels, (n,), generator=generator, dtype=torch.int32))
        for j in range(n_columns)
    }
    roles = Roles(torch.zeros(n, dtype=torch.long), [0, 1])
    sample = Sample("text", list(columns), numbers_of([], torch.empty(n, 0, dtype=torch.float64)), columns, roles)
    return pieces_of([TextFeatures(name, levels, None, None) for name in columns], sample)


@contextmanager
def peak_growth() -> Iterator[list[int]]:
    """The most that resident memory grows meanwhile, as looks all the time find it."""
    before, peaks, is_over = resident_bytes(), [0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.001):
            peaks[0] = max(peaks[0], resident_bytes() - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        is_over.set()
        thread.join()


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_sparse_features_beyond_the_bound_take_no_more_memory_than_it_and_some_ranges(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(products, "RANGE_BYTES", 2 * MIB)
    monkeypatch.setattr(spare, "_spare", [])  # what another test has left is resident already
    n, n_columns = 200_000, 24
    entries_bytes = 2 * 12 * n * (n_columns + 1)
    pieces = text_pieces(n, n_columns, 500)
    theta_pm, r_nm = torch.ones(24 * 499 + 1, 1, dtype=torch.float64), torch.ones(n, 1, dtype=torch.float64)
    share_n, grown = torch.full((n,), 1 / n, dtype=torch.float64), {}
    for bound in (entries_bytes, 8 * MIB):
        with Room(bound, ArtifactStore(f"file://{tmp_path}")) as room, peak_growth() as peaks:
            x_np = sparse_matrix(pieces, n, torch.float64, room, has_intercept=True)
            deviation_d = moments(x_np, 24 * 499, share_n, room.let_go)[1]
            scale_in_place(x_np, torch.zeros_like(deviation_d), deviation_d, room.let_go)
            is_beyond = room.is_beyond
            some = SparseProducts(x_np, room.let_go, room.entries) if is_beyond else SparseProducts(x_np)
            some.predict(theta_pm, torch.empty_like(r_nm))
            some.collect(r_nm, theta_pm.T)
            some.squares(r_nm)
            some.radius()
        grown[is_beyond] = peaks[0]
        del x_np, some
    assert grown[False] > 0.9 * entries_bytes, "of 120 MB, which the other has in the file"
    assert grown[True] < 40 * MIB, "8 MiB of the file, and what is made of some rows"
