"""The attempt number fences every write of a worker: once another attempt has begun, or the job has ended, nothing is
written and LeaseLost says so."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from gradline.db.jobs import JobStore
from gradline.db.records import Fence, Job, NewEvent
from gradline.db.session import Database
from gradline.errors import LeaseLost
from gradline.status import EventKind, JobStatus
from tests.factories import artifact, checkpoint, metric
from tests.integration.store.steps import claimed, close_runs, fence, running

Write = Callable[[JobStore, Fence], Any]

WRITES: dict[str, Write] = {
    "renew": lambda store, fence: store.renew(fence),
    "renew with progress": lambda store, fence: store.renew(fence, {"step": 9}),
    "look for a cancel request": lambda store, fence: store.is_cancel_requested(fence),
    "record events": lambda store, fence: store.record(fence, [metric(1)]),
    "record an artifact": lambda store, fence: store.record(fence, artifacts=[artifact()]),
    "record a checkpoint": lambda store, fence: store.record(fence, checkpoint=checkpoint(5)),
    "record nothing": lambda store, fence: store.record(fence),
    "release": lambda store, fence: store.release(fence, [metric(1)]),
    "retry": lambda store, fence: store.retry(fence, {"code": "transient"}),
    "succeed": lambda store, fence: store.finish(
        fence, JobStatus.SUCCEEDED, result={"x": 1}, events=[metric(1)], artifacts=[artifact()], drawings=["loss"]
    ),
    "fail": lambda store, fence: store.finish(fence, JobStatus.FAILED, error={"code": "x"}),
}

TABLES = ("jobs", "events", "artifacts", "checkpoints", "drawings", "runs")


@pytest.fixture(params=["released", "rescued", "retried", "ended", "cancelled", "deleted", "never begun"])
def stale(
    request: pytest.FixtureRequest, job_store: JobStore, database: Database, lapse: Callable[..., None]
) -> Iterator[Fence]:
    """The fence of an attempt that another has followed, or whose job has ended."""
    job = running(job_store)
    how: str = request.param
    if how == "never begun":
        yield Fence(job.id, job.attempt + 1)
        return
    _end_attempt(job_store, job, how, lapse)
    if how == "deleted":
        close_runs(database, job)
        job_store.delete(job.id, job.owner)
    if how in {"released", "rescued"}:
        assert claimed(job_store, "w2").attempt == 2
    yield fence(job)


def _end_attempt(job_store: JobStore, job: Job, how: str, lapse: Callable[..., None]) -> None:
    if how == "released":
        job_store.release(fence(job))
    elif how == "retried":
        job_store.retry(fence(job), {"code": "transient"})
    elif how == "rescued":
        lapse(job.id)
        assert len(job_store.rescue_lapsed()) == 1
    else:
        job_store.finish(fence(job), JobStatus.CANCELLED if how == "cancelled" else JobStatus.SUCCEEDED)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_stale_attempt_writes_nothing(job_store: JobStore, database: Database, stale: Fence, write: Write) -> None:
    before = _everything(database)
    with pytest.raises(LeaseLost):
        write(job_store, stale)
    assert _everything(database) == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_the_attempt_that_holds_the_lease_may_write(job_store: JobStore, write: Write) -> None:
    write(job_store, fence(running(job_store)))


def test_a_lapsed_lease_that_nobody_took_may_still_be_renewed(job_store: JobStore, lapse: Callable[..., None]) -> None:
    job = running(job_store)
    lapse(job.id)
    assert job_store.renew(fence(job)) is False
    assert job_store.rescue_lapsed() == []


def test_renewing_prolongs_the_lease_and_keeps_the_progress(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.renew(fence(job), {"step": 3})
    job_store.renew(fence(job))
    renewed = job_store.get(job.id, "ada")
    assert renewed.progress == {"step": 3}
    assert renewed.lease_expires_at is not None
    assert job.lease_expires_at is not None
    assert renewed.lease_expires_at > job.lease_expires_at


def test_a_write_that_fails_half_way_leaves_nothing(job_store: JobStore, database: Database) -> None:
    job = running(job_store)
    before = _everything(database)
    with pytest.raises(Exception, match="JSON compliant"):
        job_store.finish(
            fence(job),
            JobStatus.SUCCEEDED,
            events=[metric(1), NewEvent(EventKind.WARNING, {"value": float("inf")})],
            artifacts=[artifact()],
        )
    assert _everything(database) == before


def _everything(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {table: sorted(map(str, connection.execute(text(f"SELECT * FROM {table}")).all())) for table in TABLES}
