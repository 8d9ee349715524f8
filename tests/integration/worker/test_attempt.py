"""The files of an attempt are written beside its work; a row names none that the store does not have."""

import os
from pathlib import Path
from threading import Event

import pytest

from gradline.db.datasets import DatasetStore
from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.errors import DependencyDown
from gradline.progress import TickPublisher
from gradline.status import EventKind
from gradline.storage import ArtifactStore
from gradline.worker import attempt as attempt_module
from gradline.worker.attempt import Attempt
from gradline.worker.stopping import StopSignal
from tests.integration.store.steps import running

CSV = "text/csv"


@pytest.fixture
def attempt(job_store: JobStore, database: Database, artifact_store: ArtifactStore, redis_url: str) -> Attempt:
    ticks, datasets = TickPublisher(redis_url), DatasetStore(database)
    return Attempt(running(job_store), job_store, datasets, artifact_store, ticks, StopSignal())


def test_files_keep_their_order_and_are_whole_once_settled(attempt: Attempt) -> None:
    for i in range(10):
        attempt.save_artifact(f"{i}.csv", b"x" * i, CSV, "table", i)
    attempt.settle()
    assert [a.name for a in attempt.artifacts] == [f"{i}.csv" for i in range(10)]
    assert [attempt.store.get(a.sha256) for a in attempt.artifacts] == [b"x" * i for i in range(10)]


def test_a_file_that_is_still_being_written_is_not_named(
    attempt: Attempt, job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, fsync = Event(), os.fsync

    def slow(descriptor: int) -> None:
        may_go_on.wait()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    attempt.save_artifact("late.csv", b"1", CSV)
    monkeypatch.setattr(attempt_module, "FLUSH_S", 0.0)
    attempt.metric(0, {"loss": 0.5})
    assert job_store.artifacts(attempt.job.id) == []
    assert [event.data["step"] for event in job_store.events(attempt.job.id, kinds=[EventKind.METRIC])] == [0]
    may_go_on.set()
    attempt.settle()
    attempt.metric(1, {"loss": 0.4})
    assert [a.name for a in job_store.artifacts(attempt.job.id)] == ["late.csv"]


def test_a_store_that_is_down_is_told_at_the_end_and_the_files_it_took_count(attempt: Attempt, tmp_path: Path) -> None:
    attempt.save_artifact("good.csv", b"1", CSV)
    attempt.settle()
    incoming = tmp_path / "store" / "incoming"
    incoming.rmdir()
    incoming.write_bytes(b"")  # no folder can be made here any more
    attempt.save_artifact("bad.csv", b"2", CSV)
    with pytest.raises(DependencyDown, match="cannot be written"):
        attempt.settle()
    assert [a.name for a in attempt.artifacts] == ["good.csv"]
