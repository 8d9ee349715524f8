"""The statements that every job runs, built once, with their values sent beside them.

Building one takes longer than SQLite takes to run it, and SQLAlchemy finds the compiled form of one that it has seen
without looking at its parts. Parameters that are no columns: `fence_*`, `claimed_id`, `of_job`, `lease_s`, `n_events`.
A column sent beside RENEW, RECORD or END (`progress`, `result`, …) is set as well.
"""

from typing import Any

from sqlalchemy import Insert, Update, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gradline.db.models import JobRow
from gradline.db.queue_order import is_queued, is_running
from gradline.db.types import db_now

_tables = JobRow.metadata.tables
_jobs, _events, _artifacts = _tables["jobs"], _tables["events"], _tables["artifacts"]
_checkpoints, _drawings = _tables["checkpoints"], _tables["drawings"]


def _held(**values: Any) -> Update:
    """A change of a running job by the attempt that holds it; hits nothing once another has begun."""
    mine = (_jobs.c.id == bindparam("fence_job_id"), is_running(), _jobs.c.attempt == bindparam("fence_attempt"))
    return update(_jobs).where(*mine).values(values)


_with_events = {"last_seq": _jobs.c.last_seq + bindparam("n_events")}

INSERT_EVENTS = insert(_events)
INSERT_DRAWING = insert(_drawings)

START = (
    update(_jobs)
    .where(_jobs.c.id == bindparam("claimed_id"), is_queued())
    .values(
        status="running",
        attempt=_jobs.c.attempt + 1,
        lease_expires_at=db_now(bindparam("lease_s")),
        started_at=db_now(),
        not_before=None,
        last_seq=_jobs.c.last_seq + 1,
    )
    .returning(_jobs)
)
RENEW = _held(lease_expires_at=db_now(bindparam("lease_s"))).returning(_jobs.c.cancel_requested_at)
RECORD = _held(**_with_events).returning(_jobs.c.last_seq)
END = _held(**_with_events, worker_id=None, worker_pid=None, lease_expires_at=None, finished_at=db_now()).returning(
    _jobs.c.last_seq
)

STORED_UNDER_KEYS = select(_events.c.once_key, _events.c.data).where(
    _events.c.job_id == bindparam("of_job"), _events.c.once_key.in_(bindparam("keys", expanding=True))
)
_newest = _checkpoints.alias("newest")
DROP_OLD_CHECKPOINTS = delete(_checkpoints).where(
    _checkpoints.c.job_id == bindparam("of_job"),
    _checkpoints.c.step.not_in(
        select(_newest.c.step).where(_newest.c.job_id == bindparam("of_job")).order_by(_newest.c.step.desc()).limit(2)
    ),
)
DROP_CHECKPOINTS = delete(_checkpoints).where(_checkpoints.c.job_id == bindparam("of_job"))

FREE_DRAWING = (
    select(_drawings.c.job_id, _drawings.c.attempt)
    .where(
        _drawings.c.finished_at.is_(None),
        or_(_drawings.c.lease_expires_at.is_(None), _drawings.c.lease_expires_at < db_now()),
    )
    .order_by(_drawings.c.job_id)
    .limit(1)
    .with_for_update(skip_locked=True)
)


def _upsert(insert_into: Any, key: list[str], replaced: list[str]) -> Insert:
    """Insert, or replace these columns of the row under the same key."""
    statement: Insert = insert_into.on_conflict_do_update(
        index_elements=key, set_={name: insert_into.excluded[name] for name in replaced}
    )
    return statement


_inserts: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

INSERT_JOBS = {
    dialect: insert_into(_jobs)
    .on_conflict_do_nothing(index_elements=["owner", "idempotency_key"])
    .returning(_jobs.c.id, _jobs.c.created_at)
    for dialect, insert_into in _inserts.items()
}
INSERT_RUN = {
    dialect: insert_into(_tables["runs"]).on_conflict_do_nothing() for dialect, insert_into in _inserts.items()
}
"""There is one already where an older version submitted the job."""
PUT_ARTIFACTS = {
    dialect: _upsert(
        insert_into(_artifacts), ["job_id", "name"], ["kind", "step", "media_type", "sha256", "size_bytes", "attempt"]
    )
    for dialect, insert_into in _inserts.items()
}
PUT_CHECKPOINT = {
    dialect: _upsert(insert_into(_checkpoints), ["job_id", "step"], ["sha256", "size_bytes", "fingerprint", "attempt"])
    for dialect, insert_into in _inserts.items()
}
