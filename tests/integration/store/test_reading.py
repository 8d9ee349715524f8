"""What a caller may read, change and delete."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import update

from gradline.db.jobs import JobStore
from gradline.db.models import JobRow
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import Conflict, NotFound
from gradline.status import EventKind, JobStatus
from tests.factories import artifact, checkpoint, metric
from tests.integration.store.steps import claimed, close_runs, fence, kinds, reread, running, submitted


def test_pages_show_every_job_once_newest_first(job_store: JobStore) -> None:
    jobs = [submitted(job_store) for _ in range(7)]
    submitted(job_store, owner="bob")
    seen, before = [], None
    while page := job_store.list_jobs("ada", before=before, limit=3):
        assert len(page) <= 3
        seen += [job.id for job in page]
        before = page[-1].id
    assert seen == [job.id for job in reversed(jobs)]


def test_a_job_submitted_while_paging_moves_nothing(job_store: JobStore) -> None:
    jobs = [submitted(job_store) for _ in range(4)]
    first = job_store.list_jobs("ada", limit=2)
    submitted(job_store)
    rest = job_store.list_jobs("ada", before=first[-1].id, limit=9)
    assert [job.id for job in first + rest] == [job.id for job in reversed(jobs)]


def test_lists_can_be_narrowed_by_status_kind_and_label(job_store: JobStore) -> None:
    labelled = submitted(job_store, labels={"team": "a", "odd key": 'x"y'})
    other = submitted(job_store, kind="autograd", labels={"team": "b"})
    busy = claimed(job_store)
    assert busy.id == labelled.id
    assert [job.id for job in job_store.list_jobs("ada", status="running")] == [labelled.id]
    assert [job.id for job in job_store.list_jobs("ada", status="queued")] == [other.id]
    assert [job.id for job in job_store.list_jobs("ada", kind="autograd")] == [other.id]
    assert [job.id for job in job_store.list_jobs("ada", label=("team", "a"))] == [labelled.id]
    assert [job.id for job in job_store.list_jobs("ada", label=("odd key", 'x"y'))] == [labelled.id]
    assert job_store.list_jobs("ada", label=("team", "c")) == []


def test_the_priority_of_a_queued_job_can_change_and_is_told_once(job_store: JobStore) -> None:
    first, second = submitted(job_store), submitted(job_store)
    assert job_store.set_priority(second.id, "ada", 9).priority == 9
    job_store.set_priority(second.id, "ada", 9)
    assert kinds(job_store, second) == [EventKind.SUBMITTED, EventKind.PRIORITY_CHANGED]
    assert [claimed(job_store).id for _ in range(2)] == [second.id, first.id]
    with pytest.raises(Conflict) as refused:
        job_store.set_priority(first.id, "ada", 1)
    assert refused.value.code == "not_queued"
    with pytest.raises(NotFound):
        job_store.set_priority(first.id, "bob", 1)


def test_deleting_an_ended_job_takes_all_that_is_its_own(
    job_store: JobStore, database: Database, count: Callable[[str], int]
) -> None:
    job, other = running(job_store), running(job_store)
    for each in (job, other):
        job_store.record(fence(each), [metric(1)], checkpoint=checkpoint(1))
    job_store.finish(fence(job), JobStatus.SUCCEEDED, artifacts=[artifact()], drawings=["loss"])
    before = {table: count(table) for table in ("jobs", "events", "artifacts", "checkpoints", "drawings", "runs")}
    assert before == {"jobs": 2, "events": 10, "artifacts": 1, "checkpoints": 1, "drawings": 1, "runs": 2}
    close_runs(database, job)
    job_store.delete(job.id, "ada")
    assert job_store.find(job.id) is None
    after = {table: count(table) for table in before}
    assert after == {"jobs": 1, "events": 4, "artifacts": 0, "checkpoints": 1, "drawings": 0, "runs": 1}


def test_a_deleted_job_is_hidden_at_once_and_goes_when_mlflow_has_it_whole(
    job_store: JobStore, database: Database
) -> None:
    job, kept = running(job_store, idempotency_key="a"), submitted(job_store, idempotency_key="b")
    job_store.finish(fence(job), JobStatus.CANCELLED)
    job_store.delete(job.id, "ada")
    for ask in (job_store.get, job_store.cancel, job_store.delete):
        with pytest.raises(NotFound):
            ask(job.id, "ada")
    assert [found.id for found in job_store.list_jobs("ada")] == [kept.id]
    assert set(job_store.marks([job.id, kept.id])) == {kept.id}
    assert submitted(job_store, idempotency_key="a").id != job.id

    assert job_store.purge(None) == 0
    assert job_store.find(job.id) is not None, "the relay has still to end its run"
    close_runs(database, job)
    assert job_store.purge(None) == 1
    assert job_store.find(job.id) is None


def test_a_job_that_has_not_ended_cannot_be_deleted(job_store: JobStore) -> None:
    for job in (running(job_store), submitted(job_store)):
        with pytest.raises(Conflict) as refused:
            job_store.delete(job.id, "ada")
        assert refused.value.code == "not_ended"
        assert reread(job_store, job) == job


def test_deleting_what_is_not_there_or_not_mine_is_not_found(job_store: JobStore) -> None:
    job = submitted(job_store)
    job_store.cancel(job.id, "ada")
    with pytest.raises(NotFound):
        job_store.delete(job.id, "bob")
    with pytest.raises(NotFound):
        job_store.delete(uuid4(), "ada")
    assert job_store.find(job.id) is not None


def test_a_purge_takes_only_old_jobs_that_mlflow_has_whole(
    job_store: JobStore, database: Database, count: Callable[[str], int]
) -> None:
    synced, unsynced = running(job_store), running(job_store)
    for job in (synced, unsynced):
        job_store.finish(fence(job), JobStatus.CANCELLED)
    never_begun = submitted(job_store)
    job_store.cancel(never_begun.id, "ada")
    close_runs(database, synced)
    assert job_store.purge(3600.0) == 0
    assert job_store.purge(None) == 0
    queued = submitted(job_store)
    assert job_store.purge(-1.0) == 2
    assert job_store.find(synced.id) is None
    assert job_store.find(never_begun.id) is None
    assert reread(job_store, unsynced).status is JobStatus.CANCELLED
    assert reread(job_store, queued).status is JobStatus.QUEUED


def test_lane_depths_count_what_waits_runs_and_just_ended(job_store: JobStore) -> None:
    oldest = submitted(job_store, priority=0)
    for _ in range(2):
        submitted(job_store)
    submitted(job_store, lane="gpu")
    done = claimed(job_store)
    job_store.finish(fence(done), JobStatus.SUCCEEDED)
    claimed(job_store)
    depths = {depth.lane: depth for depth in job_store.lane_depths()}
    assert set(depths) == {"cpu", "gpu"}
    cpu = depths["cpu"]
    assert (cpu.n_queued, cpu.n_running, cpu.n_finished_last_minute) == (1, 1, 1)
    assert cpu.oldest_queued_at == oldest.created_at
    assert (depths["gpu"].n_queued, depths["gpu"].n_running) == (1, 0)


def test_a_lane_whose_jobs_ended_long_ago_is_empty(job_store: JobStore) -> None:
    job_store.cancel(submitted(job_store).id, "ada")
    (depth,) = job_store.lane_depths()
    assert (depth.n_queued, depth.n_running, depth.oldest_queued_at) == (0, 0, None)


def test_running_lists_who_works_on_what(job_store: JobStore) -> None:
    submitted(job_store)
    taken = claimed(job_store, "w7", 3)
    submitted(job_store)
    assert job_store.running() == [taken]


def test_a_time_comes_back_aware_and_in_utc(job_store: JobStore, database: Database) -> None:
    job = submitted(job_store)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job.id).values(not_before=moment))
        assert connection.execute(update(JobRow).where(JobRow.not_before < db_now()).values(priority=1)).rowcount in {
            0,
            1,
        }
    stored = reread(job_store, job).not_before
    assert stored == moment
    assert stored.tzinfo is UTC
