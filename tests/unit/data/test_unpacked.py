"""What is kept of uploads unpacked, and that jobs read the same from it."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch

from gradline import tables, unpacked_tables
from gradline.data import uploaded
from gradline.data.room import Room
from gradline.data.sample import Sample
from gradline.data.uploaded import Upload
from gradline.storage import ArtifactStore
from gradline.unpacked_tables import Unpacking
from tests.unit.data.uploads import spec_of, stored
from tests.waiting import wait_until

N = 20_000
LARGE = 1 << 40


@pytest.fixture(autouse=True)
def pays_for_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked_tables, "LEAST_BYTES", 0)
    monkeypatch.setattr(uploaded, "BLOCK_BYTES", 8 * 7 * 5000)  # 5,000 rows of Parquet


class Place(NamedTuple):
    folder: Path
    store: ArtifactStore
    file: Any

    @property
    def original(self) -> Path:
        return Path(self.store.local_path(self.file.sha256) or "")

    @property
    def kept(self) -> list[Path]:
        return list(self.folder.glob("??/*.arrow"))

    def read(self, **data: Any) -> Sample:
        spec = spec_of(data, split={"validation_fraction": 0.5}, preprocess={"missing": "mean"})
        upload = Upload(spec, self.file, self.store)
        parts = [torch.arange(0, N, 3), torch.arange(1, N, 3)]
        with Room() as room:
            return upload.samples(upload.roles(), parts, room, torch.float32, is_shifted=True)[1]

    def read_and_wait(self) -> Sample:
        found = self.read()
        wait_until(lambda: self.kept)
        return found


@pytest.fixture(params=["csv", "parquet"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return place_of(tmp_path, request.param)


def place_of(folder: Path, kind: str) -> Place:
    store = ArtifactStore(f"file://{folder}", derived_max_bytes=LARGE)
    return Place(folder, store, stored(store, table(kind), kind))


def table(kind: str, n: int = N) -> bytes:
    """Every type of column, with gaps."""
    rng = np.random.default_rng(5)
    gap_n = rng.random(n) < 0.1
    columns = {
        "single": pa.array(rng.standard_normal(n, np.float32), mask=gap_n),
        "number": rng.standard_normal(n),
        "whole": pa.array(rng.integers(0, 9, n), mask=gap_n),
        "text": pa.array(rng.choice(["u", "v", "w"], n), mask=gap_n),
        "truth": rng.random(n) < 0.5,
        "nothing": pa.nulls(n, pa.string()),
        "y": rng.integers(0, 2, n),
    }
    sink, rows = pa.BufferOutputStream(), pa.table(columns)
    pyarrow.csv.write_csv(rows, sink) if kind == "csv" else pyarrow.parquet.write_table(rows, sink, row_group_size=7000)
    return bytes(sink.getvalue())


def assert_same(a: Sample, b: Sample) -> None:
    assert torch.equal(a.numbers.memory.nan_to_num(9e9), b.numbers.memory.nan_to_num(9e9))
    assert a.numbers.sum_2j is not None
    assert b.numbers.sum_2j is not None
    assert torch.equal(a.numbers.sum_2j.nan_to_num(), b.numbers.sum_2j.nan_to_num())
    assert torch.equal(a.roles.target_n, b.roles.target_n)
    assert [(t.levels, t.code_n.tolist()) for t in a.texts.values()] == [
        (t.levels, t.code_n.tolist()) for t in b.texts.values()
    ]


def test_a_job_reads_the_same_bits_unpacked_or_not_the_first_time_or_later(place: Place):
    without = place._replace(store=ArtifactStore(f"file://{place.folder}")).read()
    assert place.kept == []
    assert_same(place.read_and_wait(), without)
    place.original.write_bytes(table(place.file.format, 0))  # nothing reads its rows any more
    assert_same(place.read(), without)


def test_what_is_used_counts_as_young(place: Place):
    place.read_and_wait()
    os.utime(place.kept[0], (0, 0))
    place.read()
    assert place.kept[0].stat().st_mtime > place.original.stat().st_mtime - 60


def test_some_columns_are_read_in_the_blocks_of_all(place: Place):
    without = place._replace(store=ArtifactStore(f"file://{place.folder}")).read(features=["number"])
    place.read_and_wait()
    assert_same(place.read(features=["number"]), without)


def test_what_describing_a_parquet_file_passed_on_is_what_a_job_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = place_of(tmp_path, "parquet")
    place.read_and_wait()
    monkeypatch.setattr(tables, "BLOCK_BYTES", uploaded.BLOCK_BYTES)
    beside = str(place.folder / "beside")
    with Unpacking(place.store, beside) as unpacking:
        tables.profile(place.original, "parquet", None, unpacking.add)
    unpacking.finish()
    assert wait_until(Path(beside).exists)
    assert Path(beside).read_bytes() == place.kept[0].read_bytes()


@pytest.mark.parametrize("end", [-5000, 0])
def test_what_is_damaged_is_made_anew(place: Place, end: int):
    found = place.read_and_wait()
    path = place.kept[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:end])
    assert_same(place.read(), found)
    wait_until(lambda: path.read_bytes() == whole)


def test_few_of_many_columns_of_parquet_are_read_alone(place: Place):
    place.read(features=["number"])
    written = [*place.folder.glob("incoming/*"), *place.kept]  # in this order: it moves from there to here
    assert bool(written) == (place.file.format == "csv")


def test_nothing_is_kept_of_what_is_small_or_beyond_the_bound(place: Place, monkeypatch: pytest.MonkeyPatch):
    place._replace(store=ArtifactStore(f"file://{place.folder}", derived_max_bytes=8 * 7 * N - 1)).read()
    monkeypatch.setattr(unpacked_tables, "LEAST_BYTES", 1 << 30)
    place.read()
    assert place.kept == list(place.folder.glob("incoming/*")) == []


def test_a_disk_that_is_full_keeps_nothing_and_the_job_reads_on(place: Place, monkeypatch: pytest.MonkeyPatch):
    without = place._replace(store=ArtifactStore(f"file://{place.folder}")).read()

    def is_full(path: str, mode: str) -> Any:
        Path(path).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa, "OSFile", is_full)
    assert_same(place.read(), without)
    assert place.kept == list(place.folder.glob("incoming/*")) == []
