"""What the databases themselves refuse, whoever writes and with whatever statement."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from gradline.clock import new_id
from gradline.db.jobs import JobStore
from gradline.db.models import EventRow, JobRow
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.status import JobStatus
from tests.integration.store.steps import claimed, fence, reread, running, submitted


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
@pytest.mark.parametrize(
    "change",
    [
        {"status": "queued", "finished_at": None},
        {"status": "failed"},
        {"status": "succeeded"},
        {"result": {"loss": 0.0}},
        {"error": {"code": "other"}},
        {"attempt": 9},
        {"finished_at": db_now()},
        {"spec": {"seed": 1}},
    ],
    ids="-".join,
)
def test_an_ended_job_never_changes(
    job_store: JobStore, database: Database, status: JobStatus, change: dict[str, Any]
) -> None:
    job = running(job_store)
    job_store.finish(fence(job), status)
    if change == {"status": status.value}:
        change = {"status": "cancelled" if status is not JobStatus.CANCELLED else "failed"}
    before = reread(job_store, job)
    with pytest.raises(IntegrityError, match="has ended never changes"):
        _change(database, job.id, change)
    assert reread(job_store, job) == before


def test_the_last_sequence_number_of_an_ended_job_may_rise(job_store: JobStore, database: Database) -> None:
    job = running(job_store)
    job_store.finish(fence(job), JobStatus.SUCCEEDED)
    _change(database, job.id, {"last_seq": 99})
    assert reread(job_store, job).last_seq == 99


def test_writing_the_same_values_again_is_no_change(job_store: JobStore, database: Database) -> None:
    job = running(job_store)
    job_store.finish(fence(job), JobStatus.SUCCEEDED, result={"x": 1})
    _change(database, job.id, {"status": "succeeded", "result": {"x": 1}})


def test_the_attempt_of_a_job_never_falls(job_store: JobStore, database: Database) -> None:
    submitted(job_store)
    job_store.release(fence(claimed(job_store)))
    job = claimed(job_store)
    with pytest.raises(IntegrityError, match="never falls"):
        _change(database, job.id, {"attempt": 1})
    assert reread(job_store, job).attempt == 2


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("queued", {"status": "sleeping"}),
        ("queued", {"status": "running"}),
        ("queued", {"worker_id": "w1"}),
        ("queued", {"lease_expires_at": db_now()}),
        ("queued", {"finished_at": db_now()}),
        ("queued", {"status": "succeeded"}),
        ("running", {"status": "queued"}),
        ("running", {"lease_expires_at": None}),
        ("running", {"worker_id": None}),
        ("running", {"status": "failed", "finished_at": db_now()}),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(
    job_store: JobStore, database: Database, state: str, change: dict[str, Any]
) -> None:
    job = running(job_store) if state == "running" else submitted(job_store)
    with pytest.raises(IntegrityError):
        _change(database, job.id, change)
    assert reread(job_store, job) == job


def test_an_event_needs_its_job_and_a_free_number(database: Database, job_store: JobStore) -> None:
    job = submitted(job_store)
    event = {"kind": "metric", "attempt": 1, "data": {}}
    for row in ({"job_id": new_id(), "seq": 1}, {"job_id": job.id, "seq": 1}):
        with pytest.raises(IntegrityError), database.write() as connection:
            connection.execute(insert(EventRow).values(**row, **event))


def test_two_events_with_one_key_are_refused(
    database: Database, job_store: JobStore, count: Callable[..., int]
) -> None:
    job = submitted(job_store)
    rows = [{"job_id": job.id, "seq": s, "kind": "ended", "attempt": 1, "data": {}, "once_key": "k"} for s in (2, 3)]
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(EventRow), rows)
    assert count("events") == 1


def _change(database: Database, job_id: Any, values: dict[str, Any]) -> None:
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(values))
