"""Cancel: queued -> cancelled at once; running: a flag that the worker obeys."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from gradline.db.jobs import JobStore
from gradline.errors import Conflict, LeaseLost, NotFound
from gradline.status import EventKind, JobStatus
from tests.integration.store.steps import claimed, fence, kinds, reread, running, submitted


def test_a_queued_job_is_cancelled_at_once(job_store: JobStore) -> None:
    job = submitted(job_store)
    cancelled = job_store.cancel(job.id, "ada")
    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.finished_at is not None
    assert kinds(job_store, job) == [EventKind.SUBMITTED, EventKind.ENDED]
    assert job_store.events(job.id)[-1].data["status"] == "cancelled"
    assert job_store.claim("cpu", "w1", 1) is None


def test_a_running_job_is_asked_and_its_worker_hears_of_it(job_store: JobStore) -> None:
    job = running(job_store)
    assert job_store.renew(fence(job)) is False
    assert job_store.is_cancel_requested(fence(job)) is False
    asked = job_store.cancel(job.id, "ada")
    assert (asked.status, asked.cancel_requested_at is not None) == (JobStatus.RUNNING, True)
    assert job_store.is_cancel_requested(fence(job)) is True
    assert job_store.renew(fence(job)) is True
    job_store.finish(fence(job), JobStatus.CANCELLED)
    assert reread(job_store, job).status is JobStatus.CANCELLED
    assert kinds(job_store, job)[-2:] == [EventKind.CANCEL_REQUESTED, EventKind.ENDED]


def test_cancelling_again_changes_nothing(job_store: JobStore) -> None:
    queued, busy = submitted(job_store, lane="gpu"), running(job_store)
    once = [job_store.cancel(job.id, "ada") for job in (queued, busy)]
    again = [job_store.cancel(job.id, "ada") for job in (queued, busy)]
    assert again == once


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_a_job_that_has_ended_otherwise_cannot_be_cancelled(job_store: JobStore, status: JobStatus) -> None:
    job = running(job_store)
    job_store.finish(fence(job), status)
    before = reread(job_store, job)
    with pytest.raises(Conflict) as refused:
        job_store.cancel(job.id, "ada")
    assert refused.value.code == "job_ended"
    assert reread(job_store, job) == before


def test_only_the_owner_can_cancel(job_store: JobStore) -> None:
    job = submitted(job_store)
    with pytest.raises(NotFound):
        job_store.cancel(job.id, "bob")
    assert reread(job_store, job) == job


def test_a_job_may_succeed_before_the_worker_hears_of_the_cancel(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.cancel(job.id, "ada")
    job_store.finish(fence(job), JobStatus.SUCCEEDED, result={"x": 1})
    assert reread(job_store, job).status is JobStatus.SUCCEEDED


def test_a_cancelled_job_is_not_queued_again_by_a_worker_that_shuts_down(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.cancel(job.id, "ada")
    job_store.release(fence(job))
    assert reread(job_store, job).status is JobStatus.CANCELLED
    assert kinds(job_store, job)[-1] is EventKind.ENDED


def test_a_cancelled_job_is_not_retried(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.cancel(job.id, "ada")
    assert job_store.retry(fence(job), {"code": "transient"}) is JobStatus.CANCELLED
    assert reread(job_store, job).status is JobStatus.CANCELLED


def test_a_cancelled_job_whose_worker_died_is_cancelled(job_store: JobStore, lapse: Callable[..., None]) -> None:
    job = running(job_store)
    job_store.cancel(job.id, "ada")
    lapse(job.id)
    assert [rescued.status for rescued in job_store.rescue_lapsed()] == [JobStatus.CANCELLED]
    assert kinds(job_store, job)[-1] is EventKind.ENDED


def test_cancel_and_finish_at_once_leave_one_end(job_store: JobStore) -> None:
    jobs = [submitted(job_store) for _ in range(40)]
    taken = [claimed(job_store) for _ in jobs]

    def finish(index: int) -> None:
        job_store.finish(fence(taken[index]), JobStatus.SUCCEEDED)

    def cancel(index: int) -> None:
        with suppress(Conflict):  # it had already succeeded
            job_store.cancel(taken[index].id, "ada")

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(call, i) for i in range(len(jobs)) for call in (finish, cancel)]
    for future in done:
        future.result()
    for job in jobs:
        assert kinds(job_store, job).count(EventKind.ENDED) == 1
        assert reread(job_store, job).status is JobStatus.SUCCEEDED


def test_cancel_and_claim_at_once_leave_the_job_cancelled_or_asked(job_store: JobStore) -> None:
    jobs = [submitted(job_store) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        cancels = [pool.submit(job_store.cancel, job.id, "ada") for job in jobs]
        claims = [pool.submit(job_store.claim, "cpu", "w1", i) for i in range(len(jobs))]
    taken = {job.id for future in claims if (job := future.result()) is not None}
    for job, future in zip(jobs, cancels, strict=True):
        future.result()
        now = reread(job_store, job)
        assert (now.status, now.attempt) == ((JobStatus.RUNNING, 1) if job.id in taken else (JobStatus.CANCELLED, 0))
        assert now.cancel_requested_at is not None


def test_a_stopped_worker_cannot_undo_a_cancelled_end(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.finish(fence(job), JobStatus.CANCELLED)
    with pytest.raises(LeaseLost):
        job_store.finish(fence(job), JobStatus.SUCCEEDED)
    assert reread(job_store, job).status is JobStatus.CANCELLED
