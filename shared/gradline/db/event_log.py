"""The log of a job: events numbered by the job's row, at most one under each once-key.

Whoever adds events has locked or changed the row in the same transaction, so they commit in the order of their numbers.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, update

from gradline.db import statements
from gradline.db.models import JobRow
from gradline.db.records import Artifact, Job, NewEvent, SavedCheckpoint
from gradline.status import EventKind, JobStatus

N_WITHOUT_KEY = 2
"""A job's first events, `submitted` and `started`, carry no once-key: while it has only those, nothing can repeat."""

_jobs = JobRow.__table__.c


def append(connection: Connection, job: Job, events: Sequence[NewEvent]) -> None:
    """Events on a job row that this transaction has locked."""
    if not events:
        return
    last_seq = connection.execute(
        update(JobRow).where(_jobs.id == job.id).values(last_seq=_jobs.last_seq + len(events)).returning(_jobs.last_seq)
    ).scalar_one()
    insert_once(connection, job.id, job.attempt, last_seq, events)


def insert_once(connection: Connection, job_id: UUID, attempt: int, last_seq: int, events: Sequence[NewEvent]) -> None:
    """The events that the job does not have yet, as its newest; the row's `last_seq` has counted all of them."""
    has_keys = last_seq - len(events) > N_WITHOUT_KEY
    fresh = _without_repeats(events, _stored_under_keys(connection, job_id, events) if has_keys else {})
    if n_repeats := len(events) - len(fresh):
        last_seq -= n_repeats
        connection.execute(update(JobRow).where(_jobs.id == job_id).values(last_seq=last_seq))
    insert(connection, job_id, attempt, last_seq, fresh)


def insert(connection: Connection, job_id: UUID, attempt: int, last_seq: int, events: Sequence[NewEvent]) -> None:
    if not events:
        return
    first = last_seq - len(events) + 1
    connection.execute(
        statements.INSERT_EVENTS, [row(job_id, first + i, attempt, event) for i, event in enumerate(events)]
    )


def row(job_id: UUID, seq: int, attempt: int, event: NewEvent) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "seq": seq,
        "kind": event.kind,
        "attempt": attempt,
        "once_key": event.once_key,
        "data": event.data,
    }


def _stored_under_keys(connection: Connection, job_id: UUID, events: Sequence[NewEvent]) -> dict[str, dict[str, Any]]:
    """What the job has already under the once-keys of these events."""
    keys = [event.once_key for event in events if event.once_key is not None]
    if not keys:
        return {}
    found = connection.execute(statements.STORED_UNDER_KEYS, {"of_job": job_id, "keys": keys})
    return {row.once_key: row.data for row in found}


def _without_repeats(events: Sequence[NewEvent], stored: dict[str, dict[str, Any]]) -> list[NewEvent]:
    """Events whose once-key is new; of a repeated metric with other values, a warning."""
    fresh: list[NewEvent] = []
    for event in events:
        if event.once_key is None or event.once_key not in stored:
            fresh.append(event)
            if event.once_key is not None:
                stored[event.once_key] = event.data
        elif event.kind is EventKind.METRIC and _values(event.data) != _values(stored[event.once_key]):
            fresh.append(_nondeterminism(event.data, stored[event.once_key]))
    return fresh


def _values(metric: dict[str, Any]) -> dict[str, float | None]:
    """As floats: PostgreSQL gives 1e23 back as a whole number, which is not the float next to it."""
    values: dict[str, float | None] = metric.get("values", {})
    return {name: None if value is None else float(value) for name, value in values.items()}


def _nondeterminism(repeated: dict[str, Any], stored: dict[str, Any]) -> NewEvent:
    message = f"step {repeated.get('step')} was computed again after a resume with another result"
    data = {"code": "nondeterminism", "message": message, "stored": stored, "repeated": repeated}
    return NewEvent(EventKind.WARNING, data)


def submitted(job_id: UUID, kind: str) -> dict[str, Any]:
    """The row of a job's first event."""
    return row(job_id, 1, 0, NewEvent(EventKind.SUBMITTED, {"kind": kind}))


def ended(status: JobStatus, details: dict[str, Any]) -> NewEvent:
    return NewEvent(EventKind.ENDED, {"status": status.value} | details, once_key="ended")


def artifact_added(artifact: Artifact) -> NewEvent:
    data = {"name": artifact.name, "kind": artifact.kind, "media_type": artifact.media_type, "step": artifact.step}
    return NewEvent(EventKind.ARTIFACT, data, once_key=f"artifact:{artifact.name}")


def checkpoint_saved(checkpoint: SavedCheckpoint | None) -> list[NewEvent]:
    if checkpoint is None:
        return []
    return [NewEvent(EventKind.CHECKPOINT, {"step": checkpoint.step, "size_bytes": checkpoint.size_bytes})]
