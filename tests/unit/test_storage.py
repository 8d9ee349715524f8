"""The artifact store: bytes under their hash, whole or not at all, on a folder and on anything else fsspec reaches."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from gradline.errors import DependencyDown, TooLarge
from gradline.storage import ArtifactStore

PAYLOAD = b"weights" * 1000
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
LATER = timedelta(minutes=1)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path / 'store'}" if request.param == "file" else f"memory://{uuid4().hex}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def local(folder: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{folder}")


def test_what_was_put_can_be_had_by_its_hash(store: ArtifactStore) -> None:
    stored = store.put(PAYLOAD)
    assert (stored.sha256, stored.size_bytes) == (SHA256, len(PAYLOAD))
    assert store.get(SHA256) == PAYLOAD
    with store.open(SHA256) as file:
        assert file.read() == PAYLOAD


def test_the_same_bytes_again_are_harmless(store: ArtifactStore) -> None:
    assert store.put(PAYLOAD) == store.put_stream([PAYLOAD[:10], PAYLOAD[10:]])
    assert store.get(SHA256) == PAYLOAD


def test_an_empty_file_is_a_file(store: ArtifactStore) -> None:
    assert store.get(store.put(b"").sha256) == b""


def test_files_put_at_once_are_all_there_once_their_results_are(store: ArtifactStore) -> None:
    payloads = [bytes([i]) * 1000 for i in range(20)]
    results = [store.put_later(payload) for payload in payloads]
    assert [store.get(result.result().sha256) for result in results] == payloads


def test_a_file_put_later_tells_of_a_store_that_is_down(local: ArtifactStore, folder: Path) -> None:
    folder.mkdir()
    (folder / "incoming").write_bytes(b"")
    with pytest.raises(DependencyDown, match="cannot be written"):
        local.put_later(PAYLOAD).result()


KILLED_BETWEEN = """
import os, signal, sys, threading
from gradline.storage import ArtifactStore
n_renamed, replace, lock = 0, os.replace, threading.Lock()
def killing_replace(source, target):
    global n_renamed
    with lock:
        replace(source, target)
        n_renamed += 1
        if n_renamed == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
os.replace = killing_replace
store = ArtifactStore(sys.argv[1])
for result in [store.put_later(bytes([i]) * 100_000) for i in range(8)]:
    result.result()
"""


@pytest.mark.parametrize("n_renamed", [1, 3, 7])
def test_a_kill_between_the_files_of_a_batch_leaves_whole_files_alone(
    local: ArtifactStore, folder: Path, n_renamed: int
) -> None:
    command = [sys.executable, "-c", KILLED_BETWEEN, f"file://{folder}", str(n_renamed)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    named = list(local.list_older_than(datetime.now(UTC) + LATER))
    assert len(named) == n_renamed
    assert all(len(local.get(sha256)) == 100_000 for sha256 in named)  # get() checks the hash
    assert {path.parent.name for path in _files(folder) if path.name not in named} <= {"incoming"}


@pytest.mark.parametrize(("start", "length"), [(0, None), (5, None), (0, 7), (100, 1), (6999, 50), (7000, 5), (0, 0)])
def test_any_range_can_be_read_in_blocks(store: ArtifactStore, start: int, length: int | None) -> None:
    store.put(PAYLOAD)
    end = None if length is None else start + length
    assert b"".join(store.blocks(SHA256, start, length)) == PAYLOAD[start:end]


def test_a_stream_over_the_limit_is_refused_and_leaves_nothing(local: ArtifactStore, folder: Path) -> None:
    with pytest.raises(TooLarge, match="100 bytes"):
        local.put_stream((b"x" * 60 for _ in range(1000)), max_bytes=100)
    assert _files(folder) == []


def test_a_stream_of_exactly_the_limit_is_taken(store: ArtifactStore) -> None:
    assert store.put_stream([b"x" * 60, b"x" * 40], max_bytes=100).size_bytes == 100


def test_a_stream_that_breaks_off_leaves_nothing(local: ArtifactStore, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half of it"
        raise ConnectionAbortedError("the client went away")

    with pytest.raises(DependencyDown, match="went away"):
        local.put_stream(broken())
    assert _files(folder) == []


def test_a_file_has_its_name_only_once_it_is_whole_and_durable(
    local: ArtifactStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).parent.name)
        fsync(descriptor)

    def watched_replace(source: str, target: str) -> None:
        assert synced == ["incoming"]
        assert Path(source).read_bytes() == PAYLOAD
        replace(source, target)
        synced.append("renamed")

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    local.put(PAYLOAD)
    assert synced == ["incoming", "renamed", "store"]  # the parent of the folder that was synced last
    assert _files(folder) == [folder / SHA256[:2] / SHA256]


def test_a_full_disk_is_a_dependency_that_is_down_and_leaves_nothing(
    local: ArtifactStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DependencyDown, match="No space left"):
        local.put(PAYLOAD)
    assert _files(folder) == []


@pytest.mark.parametrize("damage", [b"weight!" + PAYLOAD[7:], PAYLOAD[:-1], b""])
def test_a_damaged_file_is_never_passed_on(local: ArtifactStore, folder: Path, damage: bytes) -> None:
    local.put(PAYLOAD)
    (folder / SHA256[:2] / SHA256).write_bytes(damage)
    with pytest.raises(DependencyDown, match="damaged"):
        local.get(SHA256)


def test_putting_the_bytes_again_mends_a_damaged_file(local: ArtifactStore, folder: Path) -> None:
    local.put(PAYLOAD)
    (folder / SHA256[:2] / SHA256).write_bytes(b"damaged")
    local.put(PAYLOAD)
    assert local.get(SHA256) == PAYLOAD


def test_a_file_that_is_missing_is_a_dependency_that_is_down(store: ArtifactStore) -> None:
    for read in (store.get, store.open, lambda sha256: list(store.blocks(sha256))):
        with pytest.raises(DependencyDown, match="cannot read"):
            read("0" * 64)


def test_a_deleted_file_is_gone_and_deleting_it_again_is_harmless(store: ArtifactStore) -> None:
    store.put(PAYLOAD)
    store.delete(SHA256)
    store.delete(SHA256)
    with pytest.raises(DependencyDown):
        store.get(SHA256)


def test_files_older_than_a_moment_are_listed_and_half_written_ones_are_not(store: ArtifactStore) -> None:
    hashes = {store.put(bytes([i]) * 10).sha256 for i in range(5)}
    now = datetime.now(UTC)
    assert set(store.list_older_than(now + LATER)) == hashes
    assert list(store.list_older_than(now - LATER)) == []


def test_an_empty_store_lists_nothing(store: ArtifactStore) -> None:
    assert list(store.list_older_than(datetime.now(UTC) + LATER)) == []
    assert store.delete_unfinished(datetime.now(UTC) + LATER) == 0


def test_whole_files_are_no_unfinished_ones(store: ArtifactStore) -> None:
    store.put(PAYLOAD)
    assert store.delete_unfinished(datetime.now(UTC) + LATER) == 0
    assert store.get(SHA256) == PAYLOAD


def test_only_a_folder_has_paths_for_mapping_files_into_memory(local: ArtifactStore) -> None:
    stored = local.put(PAYLOAD)
    path = local.local_path(stored.sha256)
    assert path is not None
    assert Path(path).read_bytes() == PAYLOAD
    assert ArtifactStore("memory://x").local_path(stored.sha256) is None


def test_what_is_derived_of_a_file_has_a_place_beside_it_and_is_listed_by_its_age(folder: Path) -> None:
    store = ArtifactStore(f"file://{folder}", derived_max_bytes=100)
    store.put(PAYLOAD)
    path = store.derived_path(SHA256, "kind", 100)
    assert path is not None
    temporary = Path(store.scratch_folder() or "", "whole")
    temporary.write_bytes(b"derived")
    store.keep_derived(str(temporary), path).result()
    assert Path(path).read_bytes() == b"derived"
    assert not temporary.exists()
    assert set(store.list_older_than(datetime.now(UTC) + LATER)) == {SHA256, f"{SHA256}.kind"}
    store.delete(f"{SHA256}.kind")
    assert [file.name for file in _files(folder)] == [SHA256]


def test_what_was_derived_of_a_file_goes_with_it(folder: Path) -> None:
    store = ArtifactStore(f"file://{folder}", derived_max_bytes=100)
    store.put(PAYLOAD)
    other = store.put(b"another file")
    Path(store.derived_path(SHA256, "kind", 1) or "").write_bytes(b"derived")
    store.delete(SHA256)
    assert [file.name for file in _files(folder)] == [other.sha256]


def test_nothing_derived_has_a_place_beyond_the_bound_on_a_full_disk_or_elsewhere(folder: Path) -> None:
    assert ArtifactStore(f"file://{folder}", derived_max_bytes=100).derived_path(SHA256, "kind", 101) is None
    assert ArtifactStore(f"file://{folder}", derived_max_bytes=2**80).derived_path(SHA256, "kind", 2**70) is None
    assert ArtifactStore("memory://x", derived_max_bytes=100).derived_path(SHA256, "kind", 1) is None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
