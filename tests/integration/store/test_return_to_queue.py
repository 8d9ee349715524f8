"""The ways back from running: release, retry and rescue."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from gradline.db.jobs import MAX_CRASHES, JobStore
from gradline.db.models import JobRow
from gradline.db.session import Database
from gradline.status import EventKind, JobStatus
from tests.factories import checkpoint, metric
from tests.integration.store.steps import claimed, fence, kinds, reread, running, submitted
from tests.waiting import wait_until


def test_release_queues_the_job_and_counts_nothing(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.record(fence(job), checkpoint=checkpoint(5))
    job_store.release(fence(job), [metric(1)])
    released = reread(job_store, job)
    assert (released.status, released.n_errors, released.n_crashes) == (JobStatus.QUEUED, 0, 0)
    assert (released.worker_id, released.worker_pid, released.lease_expires_at) == (None, None, None)
    assert kinds(job_store, job)[-2:] == [EventKind.METRIC, EventKind.RELEASED]
    assert [saved.step for saved in job_store.latest_checkpoints(job.id)] == [5]
    assert claimed(job_store).attempt == 2


def test_retry_waits_longer_with_each_error_and_then_fails(job_store: JobStore, database: Database) -> None:
    job = submitted(job_store, max_attempts=3)
    waits = []
    for n_errors in (1, 2):
        taken = claimed(job_store)
        assert job_store.retry(fence(taken), {"code": "transient"}, backoff_s=100.0) is JobStatus.QUEUED
        waiting = reread(job_store, job)
        assert (waiting.status, waiting.n_errors, waiting.n_crashes) == (JobStatus.QUEUED, n_errors, 0)
        retried = job_store.events(job.id)[-1]
        assert retried.kind is EventKind.RETRIED
        waits.append(retried.data["wait_s"])
        assert waiting.not_before is not None
        assert abs((waiting.not_before - retried.created_at).total_seconds() - waits[-1]) < 5
        assert job_store.claim("cpu", "w1", 1) is None
        _no_wait(database)
    assert 50 <= waits[0] <= 150
    assert 100 <= waits[1] <= 300
    error = {"code": "transient", "message": "the store was away"}
    assert job_store.retry(fence(claimed(job_store)), error) is JobStatus.FAILED
    failed = reread(job_store, job)
    assert (failed.status, failed.error, failed.n_errors) == (JobStatus.FAILED, error, 3)
    assert kinds(job_store, job)[-1] is EventKind.ENDED


def test_retry_never_waits_longer_than_five_minutes_and_jitter(job_store: JobStore, database: Database) -> None:
    job = submitted(job_store, max_attempts=30)
    for _ in range(12):
        job_store.retry(fence(claimed(job_store)), {"code": "transient"}, backoff_s=2.0)
        _no_wait(database)
    assert job_store.events(job.id)[-1].data["wait_s"] <= 450


def test_a_retried_job_is_claimed_once_its_wait_is_over(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.retry(fence(job), {"code": "transient"}, backoff_s=0.05)
    assert wait_until(lambda: job_store.claim("cpu", "w1", 1)).attempt == 2


def test_a_lapsed_lease_is_rescued_and_counted(job_store: JobStore, lapse: Callable[..., None]) -> None:
    job, alive = running(job_store), running(job_store)
    lapse(job.id)
    rescued = job_store.rescue_lapsed()
    assert [r.id for r in rescued] == [job.id]
    assert (rescued[0].status, rescued[0].n_crashes, rescued[0].n_errors) == (JobStatus.QUEUED, 1, 0)
    assert kinds(job_store, job)[-1] is EventKind.RESCUED
    assert reread(job_store, alive) == alive
    assert job_store.rescue_lapsed() == []
    assert claimed(job_store).attempt == 2


def test_a_job_that_kills_its_workers_fails_as_worker_lost(job_store: JobStore, lapse: Callable[..., None]) -> None:
    job = submitted(job_store)
    for n_crashes in range(1, MAX_CRASHES + 1):
        lapse(claimed(job_store).id)
        assert [rescued.n_crashes for rescued in job_store.rescue_lapsed()] == [n_crashes]
    failed = reread(job_store, job)
    assert failed.status is JobStatus.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "worker_lost"
    assert failed.finished_at is not None
    ended = job_store.events(job.id)[-1]
    assert (ended.kind, ended.data["status"], ended.data["code"]) == (EventKind.ENDED, "failed", "worker_lost")
    assert job_store.latest_checkpoints(job.id) == []


def test_releases_and_retries_are_no_crashes(job_store: JobStore, lapse: Callable[..., None]) -> None:
    job = submitted(job_store, max_attempts=9)
    for _ in range(MAX_CRASHES):
        job_store.release(fence(claimed(job_store)))
    lapse(claimed(job_store).id)
    assert [rescued.status for rescued in job_store.rescue_lapsed()] == [JobStatus.QUEUED]
    assert reread(job_store, job).n_crashes == 1


def test_eight_conductors_at_once_rescue_each_job_once(job_store: JobStore, lapse: Callable[..., None]) -> None:
    jobs = [running(job_store) for _ in range(30)]
    for job in jobs:
        lapse(job.id)
    with ThreadPoolExecutor(8) as pool:
        rescued = [job.id for batch in pool.map(lambda _: job_store.rescue_lapsed(), range(8)) for job in batch]
    assert sorted(rescued) == sorted(job.id for job in jobs)
    assert {reread(job_store, job).n_crashes for job in jobs} == {1}


def test_a_dead_childs_job_comes_back_at_once_and_only_its_own(job_store: JobStore) -> None:
    for _ in range(3):
        submitted(job_store)
    dead, sibling, other = claimed(job_store, "w1", 1), claimed(job_store, "w1", 2), claimed(job_store, "w2", 1)
    assert [job.id for job in job_store.rescue_of("w1", 1)] == [dead.id]
    assert reread(job_store, sibling) == sibling
    assert [job.id for job in job_store.rescue_of("w1")] == [sibling.id]
    assert reread(job_store, other) == other


def test_a_rescue_passes_over_a_row_that_cannot_be_locked(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    job_store = JobStore(database, lease_s=-1.0)
    for _ in range(3):
        submitted(job_store)
    held, *others = [claimed(job_store, pid=i) for i in range(3)]
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == held.id).values(progress={"step": 1}))
        assert {job.id for job in job_store.rescue_lapsed()} == {job.id for job in others}
    assert [job.id for job in job_store.rescue_lapsed()] == [held.id]
    database.close()


@pytest.mark.parametrize("n_lapsed", [5])
def test_a_rescue_takes_at_most_its_limit(job_store: JobStore, lapse: Callable[..., None], n_lapsed: int) -> None:
    for _ in range(n_lapsed):
        lapse(running(job_store).id)
    assert [len(job_store.rescue_lapsed(limit=2)) for _ in range(3)] == [2, 2, 1]


def _no_wait(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(JobRow).values(not_before=None))
