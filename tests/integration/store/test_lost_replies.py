"""A COMMIT whose answer is lost may have happened: what follows is read again, never assumed."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from gradline.db.jobs import JobStore
from gradline.db.records import Job
from gradline.db.session import Database
from gradline.errors import DependencyDown, LeaseLost
from gradline.status import EventKind, JobStatus
from tests.factories import artifact, metric, new_job
from tests.faults import lost_replies
from tests.integration.store.steps import claimed, fence, kinds, reread, running, submitted

T = TypeVar("T")


def test_a_submit_that_was_committed_answers_with_its_job(job_store: JobStore, database: Database) -> None:
    with lost_replies(database, after=1.0) as replies:
        job, is_new = job_store.submit(new_job())
    assert replies.n_lost_after == 1
    assert is_new
    assert [found.id for found in job_store.list_jobs("ada")] == [job.id]
    assert kinds(job_store, job) == [EventKind.SUBMITTED]


def test_a_submit_that_was_not_committed_says_so(job_store: JobStore, database: Database) -> None:
    with lost_replies(database, before=1.0), pytest.raises(DependencyDown):
        job_store.submit(new_job(idempotency_key="k"))
    assert job_store.list_jobs("ada") == []
    assert job_store.submit(new_job(idempotency_key="k"))[1] is True


def test_a_claim_that_was_committed_is_the_workers(job_store: JobStore, database: Database) -> None:
    job = submitted(job_store)
    with lost_replies(database, after=1.0):
        taken = claimed(job_store, "w1", 7)
    assert taken == reread(job_store, job)
    assert taken.status is JobStatus.RUNNING
    assert job_store.claim("cpu", "w2", 1) is None
    assert kinds(job_store, job) == [EventKind.SUBMITTED, EventKind.STARTED]


def test_a_claim_that_was_not_committed_leaves_the_job_queued(job_store: JobStore, database: Database) -> None:
    job = submitted(job_store)
    with lost_replies(database, before=1.0), pytest.raises(DependencyDown):
        job_store.claim("cpu", "w1", 7)
    assert reread(job_store, job) == job
    assert claimed(job_store).attempt == 1


def test_a_claim_that_another_worker_made_instead_is_not_taken_for_ones_own(
    job_store: JobStore, database: Database
) -> None:
    job = submitted(job_store)
    elsewhere = Database(database.url.render_as_string(hide_password=False))
    with lost_replies(database, before=1.0) as replies:
        replies.on_loss = lambda: JobStore(elsewhere).claim("cpu", "w2", 7)
        with pytest.raises(DependencyDown):
            job_store.claim("cpu", "w1", 7)
    elsewhere.close()
    assert (reread(job_store, job).worker_id, reread(job_store, job).attempt) == ("w2", 1)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_finish_that_was_committed_counts_as_done(job_store: JobStore, database: Database, status: JobStatus) -> None:
    job = running(job_store)
    with lost_replies(database, after=1.0):
        job_store.finish(fence(job), status, events=[metric(1)], artifacts=[artifact()], drawings=["loss"])
    assert reread(job_store, job).status is status
    assert kinds(job_store, job)[-3:] == [EventKind.METRIC, EventKind.ARTIFACT, EventKind.ENDED]


def test_a_finish_that_was_not_committed_can_be_sent_again(job_store: JobStore, database: Database) -> None:
    job = running(job_store)
    with lost_replies(database, before=1.0), pytest.raises(DependencyDown):
        job_store.finish(fence(job), JobStatus.SUCCEEDED, events=[metric(1)])
    assert reread(job_store, job) == job
    job_store.finish(fence(job), JobStatus.SUCCEEDED, events=[metric(1)])
    assert reread(job_store, job).status is JobStatus.SUCCEEDED


def test_a_record_that_is_sent_again_adds_nothing_twice(job_store: JobStore, database: Database) -> None:
    job = running(job_store)
    with lost_replies(database, after=1.0), pytest.raises(DependencyDown):
        job_store.record(fence(job), [metric(1), metric(2)], [artifact()])
    job_store.record(fence(job), [metric(1), metric(2)], [artifact()])
    assert kinds(job_store, job)[2:] == [EventKind.METRIC, EventKind.METRIC, EventKind.ARTIFACT]


def test_a_cancel_that_was_committed_can_be_asked_again(job_store: JobStore, database: Database) -> None:
    queued, busy = submitted(job_store, lane="gpu"), running(job_store)
    for job in (queued, busy):
        with lost_replies(database, after=1.0), pytest.raises(DependencyDown):
            job_store.cancel(job.id, "ada")
        before = reread(job_store, job)
        assert job_store.cancel(job.id, "ada") == before
        assert before.cancel_requested_at is not None


def test_a_rescue_that_was_committed_is_not_counted_again(job_store: JobStore, database: Database) -> None:
    quick = JobStore(database, lease_s=-1.0)
    submitted(job_store)
    job = claimed(quick)
    with lost_replies(database, after=1.0), pytest.raises(DependencyDown):
        quick.rescue_lapsed()
    assert quick.rescue_lapsed() == []
    assert reread(job_store, job).n_crashes == 1


@pytest.mark.parametrize("seed", range(3))
def test_jobs_end_once_each_though_one_answer_in_five_is_lost(
    job_store: JobStore, database: Database, seed: int
) -> None:
    n_jobs = 25
    with lost_replies(database, after=0.1, before=0.1, seed=seed) as replies:
        for i in range(n_jobs):
            _insist(lambda i=i: job_store.submit(new_job(idempotency_key=f"k{i}")))
        while (job := _insist(lambda: job_store.claim("cpu", "w1", 1))) is not None:
            _insist(lambda job=job: job_store.record(fence(job), [metric(1)]))
            _finish(job_store, job)
    assert replies.n_lost_after > 0
    assert replies.n_lost_before > 0
    jobs = job_store.list_jobs("ada", limit=100)
    assert len(jobs) == n_jobs
    for job in jobs:
        assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
        assert kinds(job_store, job) == [EventKind.SUBMITTED, EventKind.STARTED, EventKind.METRIC, EventKind.ENDED]


def _insist(call: Callable[[], T]) -> T:
    while True:
        try:
            return call()
        except DependencyDown:
            continue


def _finish(job_store: JobStore, job: Job) -> None:
    try:
        _insist(lambda: job_store.finish(fence(job), JobStatus.SUCCEEDED))
    except LeaseLost:
        assert reread(job_store, job).status is JobStatus.SUCCEEDED
