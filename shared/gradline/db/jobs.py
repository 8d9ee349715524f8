"""The job store: every statement on job rows, and on what a worker writes beside them.

A worker's writes carry its attempt number, the fencing token: each begins with an UPDATE of the job row guarded by
`status = 'running' and attempt = mine`, and raises LeaseLost where that hits nothing. The same UPDATE hands out the
event sequence numbers, so the events of a job commit in their order on both databases.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    RowMapping,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from gradline.clock import new_id
from gradline.db import queue_order, statements
from gradline.db.models import ArtifactRow, CheckpointRow, DatasetRow, DrawingRow, EventRow, JobRow, RunRow
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import Conflict, DependencyDown, LeaseLost, NotFound
from gradline.status import EventKind, JobStatus

MAX_CRASHES = 3
"""A job whose worker died this often is poison: it fails with code `worker_lost`."""

_jobs = JobRow.__table__.c


@dataclass(frozen=True)
class NewJob:
    """A validated request, ready to be stored."""

    owner: str
    kind: str
    spec: dict[str, Any]
    lane: str
    request_hash: str
    name: str | None = None
    experiment: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    priority: int = 5
    max_attempts: int = 3
    deadline_s: float | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Job:
    """A job row as it was read."""

    id: UUID
    owner: str
    kind: str
    name: str | None
    experiment: str | None
    labels: dict[str, str]
    spec: dict[str, Any]
    lane: str
    priority: int
    max_attempts: int
    deadline_s: float | None
    idempotency_key: str | None
    request_hash: str
    status: JobStatus
    attempt: int
    n_errors: int
    n_crashes: int
    not_before: datetime | None
    cancel_requested_at: datetime | None
    worker_id: str | None
    worker_pid: int | None
    lease_expires_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None
    last_seq: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None

    @classmethod
    def of(cls, row: RowMapping) -> "Job":
        values = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**values | {"status": JobStatus(values["status"])})


@dataclass(frozen=True)
class NewEvent:
    kind: EventKind
    data: dict[str, Any]
    once_key: str | None = None
    """Drop this event if the job already has one with the same key."""


@dataclass(frozen=True)
class Event:
    job_id: UUID
    seq: int
    kind: EventKind
    attempt: int
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Artifact:
    """A named file of a job; the store has its bytes under `sha256`."""

    name: str
    kind: str
    media_type: str
    sha256: str
    size_bytes: int
    step: int | None = None
    created_at: datetime | None = None
    """Set by the database."""


@dataclass(frozen=True)
class SavedCheckpoint:
    step: int
    sha256: str
    size_bytes: int
    fingerprint: dict[str, Any]
    attempt: int = 0
    """Set by the store."""


@dataclass(frozen=True)
class Fence:
    """One attempt of one job: what every write of a worker is guarded by."""

    job_id: UUID
    attempt: int


@dataclass(frozen=True)
class Mark:
    """How far a job's events are, and whether more can come: what a stream looks at."""

    last_seq: int
    status: JobStatus
    is_drawing: bool
    """Plots are still to be drawn."""

    @property
    def is_over(self) -> bool:
        """No further event will come."""
        return self.status.is_terminal and not self.is_drawing


@dataclass(frozen=True)
class LaneDepth:
    lane: str
    n_queued: int
    n_running: int
    oldest_queued_at: datetime | None
    n_finished_last_minute: int


class JobStore:
    """Owns `jobs`, `events`, `artifacts` and `checkpoints`."""

    def __init__(self, database: Database, lease_s: float = 30.0) -> None:
        self._database = database
        self._lease_s = lease_s
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._upsert_artifacts = statements.put_artifacts(is_sqlite=database.is_sqlite)

    # --- what a caller asks -------------------------------------------------------------------------------------

    def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Store a job and its first event; the second value is False where the idempotency key found an earlier one.

        Raises Conflict (`idempotency_key_reused`) where that earlier job was asked with another body.
        """
        job_id = new_id()
        try:
            with self._database.write() as connection:
                return self._insert_job(connection, job_id, new), True
        except IntegrityError:
            if new.idempotency_key is None:
                raise
            return self._job_under_key(new), False
        except DependencyDown:
            found = self.find(job_id)  # the commit may have happened before the connection broke
            if found is None:
                raise
            return found, True

    def get(self, job_id: UUID, owner: str) -> Job:
        """Raises NotFound also for a job of another owner, or one that was deleted."""
        with self._database.read() as connection:
            return _get_owned(connection, job_id, owner)

    def find(self, job_id: UUID) -> Job | None:
        with self._database.read() as connection:
            return _find(connection, job_id)

    def list_jobs(
        self,
        owner: str,
        *,
        status: str | None = None,
        kind: str | None = None,
        label: tuple[str, str] | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Newest first; `before` is the id after which the page begins."""
        query = select(JobRow.__table__).where(_jobs.owner == owner, _jobs.deleted_at.is_(None))
        if status is not None:
            query = query.where(_jobs.status == status)
        if kind is not None:
            query = query.where(_jobs.kind == kind)
        if label is not None:
            query = query.where(_jobs.labels[label[0]].as_string() == label[1])
        if before is not None:
            query = query.where(_jobs.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_jobs.id.desc()).limit(limit)).mappings()
            return [Job.of(row) for row in rows]

    def cancel(self, job_id: UUID, owner: str) -> Job:
        """A queued job is cancelled at once; a running one is flagged. Repeating it changes nothing."""
        with self._database.write() as connection:
            job = _get_owned(connection, job_id, owner, lock=True)
            if job.status is JobStatus.QUEUED:
                _set(connection, job, status=JobStatus.CANCELLED, finished_at=db_now(), cancel_requested_at=db_now())
                self._append(connection, job, [_ended(JobStatus.CANCELLED, {})])
            elif job.status is JobStatus.RUNNING and job.cancel_requested_at is None:
                _set(connection, job, cancel_requested_at=db_now())
                self._append(connection, job, [NewEvent(EventKind.CANCEL_REQUESTED, {})])
            elif job.status.is_terminal and job.status is not JobStatus.CANCELLED:
                raise Conflict(f"job {job_id} has already {job.status}", code="job_ended")
            return _get(connection, job_id)

    def set_priority(self, job_id: UUID, owner: str, priority: int) -> Job:
        with self._database.write() as connection:
            job = _get_owned(connection, job_id, owner, lock=True)
            if job.status is not JobStatus.QUEUED:
                raise Conflict(
                    f"job {job_id} is {job.status}: only a queued job has a place to change", code="not_queued"
                )
            if priority != job.priority:
                _set(connection, job, priority=priority)
                self._append(connection, job, [NewEvent(EventKind.PRIORITY_CHANGED, {"priority": priority})])
            return _get(connection, job_id)

    def delete(self, job_id: UUID, owner: str) -> None:
        """Forget an ended job with its events, artifacts and run; raises Conflict while it has not ended.

        It is gone for everybody at once. Its rows go now if MLflow has all of it, else with `purge`.
        """
        with self._database.write() as connection:
            job = _get_owned(connection, job_id, owner, lock=True)
            if not job.status.is_terminal:
                raise Conflict(f"job {job_id} is {job.status}: cancel it first", code="not_ended")
            _set(connection, job, deleted_at=db_now(), idempotency_key=None)
            connection.execute(delete(JobRow).where(_jobs.id == job_id, _jobs.id.in_(_carried)))

    def purge(self, older_than_s: float | None, limit: int = 1000) -> int:
        """Forget what was deleted, or ended longer ago than that, and MLflow has whole; returns how many jobs."""
        unwanted: list[ColumnElement[bool]] = [_jobs.deleted_at.is_not(None)]
        if older_than_s is not None:
            unwanted.append(_jobs.finished_at < db_now(-older_than_s))
        which = select(_jobs.id).where(or_(*unwanted), _jobs.id.in_(_carried)).limit(limit)
        with self._database.write() as connection:
            return connection.execute(delete(JobRow).where(_jobs.id.in_(which))).rowcount

    def queue_position(self, job: Job) -> int | None:
        """The job's place in its lane, from 1, in the order in which claims would take it now; None unless queued."""
        if job.status is not JobStatus.QUEUED:
            return None
        with self._database.read() as connection:
            return queue_order.position(connection, job.lane, job.id)

    def lane_depths(self) -> list[LaneDepth]:
        """What waits and runs in each lane that has ever had a job."""
        recent = and_(_jobs.finished_at.is_not(None), _jobs.finished_at > db_now(-60.0))
        query = select(
            _jobs.lane,
            func.count(case((_jobs.status == "queued", 1))),
            func.count(case((_jobs.status == "running", 1))),
            func.min(case((_jobs.status == "queued", _jobs.created_at))),
            func.count(case((recent, 1))),
        ).where(or_(_jobs.finished_at.is_(None), recent))
        with self._database.read() as connection:
            return [LaneDepth(*row) for row in connection.execute(query.group_by(_jobs.lane))]

    def running(self) -> list[Job]:
        """Every running job: who works on what."""
        with self._database.read() as connection:
            rows = connection.execute(select(JobRow.__table__).where(_jobs.status == "running")).mappings()
            return [Job.of(row) for row in rows]

    # --- what a worker does -------------------------------------------------------------------------------------

    def claim(self, lane: str, worker_id: str, worker_pid: int) -> Job | None:
        """The best queued job of the lane, now running under a new attempt; None where nothing is ready.

        Best: highest priority, then the owner with the fewest running jobs, then the oldest. Where the database broke
        off, the row is read again: a claim that was committed is this worker's. If that fails too, the lease lapses.
        """
        job: Job | None = None
        try:
            with self._database.write() as connection:
                job = self._start_best(connection, lane, worker_id, worker_pid)
        except DependencyDown:
            if job is None or not self._is_running_for(job, worker_id, worker_pid):
                raise
        return job

    def renew(self, fence: Fence, progress: dict[str, Any] | None = None) -> bool:
        """Prolong the lease; True where the owner has asked to cancel. Raises LeaseLost."""
        values = {**_parameters(fence), "lease_s": self._lease_s, **_if_given(progress=progress)}
        with self._database.write() as connection:
            row = connection.execute(statements.RENEW, values).first()
        if row is None:
            raise _lease_lost(fence)
        return row[0] is not None

    def is_cancel_requested(self, fence: Fence) -> bool:
        """What `renew` answers, without writing. Raises LeaseLost."""
        query = select(_jobs.cancel_requested_at).where(*_guard(fence))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _lease_lost(fence)
        return row[0] is not None

    def record(
        self,
        fence: Fence,
        events: Sequence[NewEvent] = (),
        artifacts: Sequence[Artifact] = (),
        checkpoint: SavedCheckpoint | None = None,
        progress: dict[str, Any] | None = None,
    ) -> None:
        """What an attempt has to say while it runs, in one transaction.

        Raises LeaseLost and then has written nothing.
        """
        with self._database.write() as connection:
            events = [*events, *map(_artifact_event, artifacts), *_checkpoint_events(checkpoint)]
            self._write_held(connection, statements.RECORD, fence, events, **_if_given(progress=progress))
            self._put_artifacts(connection, fence.job_id, fence.attempt, artifacts)
            if checkpoint is not None:
                self._put_checkpoint(connection, fence, checkpoint)

    def finish(
        self,
        fence: Fence,
        status: JobStatus,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        events: Sequence[NewEvent] = (),
        artifacts: Sequence[Artifact] = (),
        progress: dict[str, Any] | None = None,
        drawings: Sequence[str] = (),
    ) -> None:
        """End the job: result, last events, artifacts and the plots still to be drawn, in one transaction.

        Raises LeaseLost. Where the database broke off, the row is read again: an end that was committed counts as done.
        """
        ended = _ended(status, error if error is not None else {"outcome": (result or {}).get("outcome")})
        # The end stays last: a stream that has seen it may close.
        events = [*events, *map(_artifact_event, artifacts), ended]
        end = {"status": status.value, "result": result, "error": error, **_if_given(progress=progress)}
        try:
            with self._database.write() as connection:
                self._write_held(connection, statements.END, fence, events, **end)
                self._put_artifacts(connection, fence.job_id, fence.attempt, artifacts)
                connection.execute(statements.DROP_CHECKPOINTS, {"of_job": fence.job_id})
                if drawings:
                    connection.execute(statements.INSERT_DRAWING, {"job_id": fence.job_id, "names": list(drawings)})
        except DependencyDown:
            job = self.find(fence.job_id)
            if job is None or job.attempt != fence.attempt or job.status is not status:
                raise

    def release(self, fence: Fence, events: Sequence[NewEvent] = ()) -> None:
        """Give the job back, nothing counted: the worker shuts down. It is cancelled if that was asked for.

        Raises LeaseLost.
        """
        with self._database.write() as connection:
            job = _find_held(connection, fence)
            if job.cancel_requested_at is not None:
                self._append(connection, job, events)
                self._end(connection, job, JobStatus.CANCELLED, None)
            else:
                _set(connection, job, **_IDLE, status="queued")
                self._append(connection, job, [*events, NewEvent(EventKind.RELEASED, {})])

    def retry(self, fence: Fence, error: dict[str, Any], backoff_s: float = 2.0) -> JobStatus:
        """Queue the job again after a transient error, or fail it once `max_attempts` errors are used up.

        The wait doubles with each error, up to five minutes, with jitter. Raises LeaseLost.
        """
        with self._database.write() as connection:
            job = _find_held(connection, fence)
            n_errors = job.n_errors + 1
            if job.cancel_requested_at is not None:
                return self._end(connection, job, JobStatus.CANCELLED, None, n_errors=n_errors)
            if n_errors >= job.max_attempts:
                return self._end(connection, job, JobStatus.FAILED, error, n_errors=n_errors)
            wait_s = min(300.0, backoff_s * 2 ** (n_errors - 1)) * random.uniform(0.5, 1.5)  # noqa: S311
            _set(connection, job, **_IDLE, status="queued", n_errors=n_errors, not_before=db_now(wait_s))
            self._append(connection, job, [NewEvent(EventKind.RETRIED, {"error": error, "wait_s": round(wait_s, 3)})])
            return JobStatus.QUEUED

    def latest_checkpoints(self, job_id: UUID) -> list[SavedCheckpoint]:
        """Newest first; the second is there in case the first one's file is damaged."""
        query = select(CheckpointRow).where(CheckpointRow.job_id == job_id).order_by(CheckpointRow.step.desc())
        with self._database.read() as connection:
            return [
                SavedCheckpoint(row.step, row.sha256, row.size_bytes, row.fingerprint, row.attempt)
                for row in connection.execute(query)
            ]

    # --- rescue -------------------------------------------------------------------------------------------------

    def rescue_lapsed(self, limit: int = 100) -> list[Job]:
        """Take back running jobs whose lease has lapsed; any number of conductors may do so at once."""
        return self._rescue(_jobs.lease_expires_at < db_now(), limit)

    def rescue_of(self, worker_id: str, worker_pid: int | None = None) -> list[Job]:
        """Take back what a dead child (or, without a pid, a dead worker) was running, without waiting for the lease."""
        mine = _jobs.worker_id == worker_id
        return self._rescue(mine if worker_pid is None else and_(mine, _jobs.worker_pid == worker_pid), 100)

    def ready_counts(self) -> dict[str, int]:
        """Jobs of each lane that could be claimed now."""
        query = select(_jobs.lane, func.count().label("n_ready")).where(queue_order.is_ready()).group_by(_jobs.lane)
        with self._database.read() as connection:
            return {row.lane: row.n_ready for row in connection.execute(query)}

    def _rescue(self, which: ColumnElement[bool], limit: int) -> list[Job]:
        query = select(JobRow.__table__).where(_jobs.status == "running", which).limit(limit)
        with self._database.read() as connection:
            dead = [Job.of(row) for row in connection.execute(query).mappings()]
        return [rescued for job in dead if (rescued := self._rescue_one(job, which)) is not None]

    def _rescue_one(self, dead: Job, which: ColumnElement[bool]) -> Job | None:
        """One transaction a job, and none waits for a row: one that cannot be written does not hold up the others."""
        still_dead = select(JobRow.__table__).where(*_guard(Fence(dead.id, dead.attempt)), which)
        with self._database.write() as connection:
            row = connection.execute(still_dead.with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            job = Job.of(row)
            n_crashes = job.n_crashes + 1
            if job.cancel_requested_at is not None:
                self._end(connection, job, JobStatus.CANCELLED, None, n_crashes=n_crashes)
            elif n_crashes >= MAX_CRASHES:
                self._end(connection, job, JobStatus.FAILED, _worker_lost(job.attempt, n_crashes), n_crashes=n_crashes)
            else:
                _set(connection, job, **_IDLE, status="queued", n_crashes=n_crashes)
                self._append(connection, job, [NewEvent(EventKind.RESCUED, {"n_crashes": n_crashes})])
            return _get(connection, dead.id)

    # --- events and artifacts -----------------------------------------------------------------------------------

    def events(
        self, job_id: UUID, after: int = 0, kinds: Iterable[EventKind] | None = None, limit: int = 1000
    ) -> list[Event]:
        """Durable events with a sequence number above `after`, in order."""
        query = select(EventRow).where(EventRow.job_id == job_id, EventRow.seq > after)
        if kinds is not None:
            query = query.where(EventRow.kind.in_(list(kinds)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(EventRow.seq).limit(limit))
            return [Event(r.job_id, r.seq, EventKind(r.kind), r.attempt, r.data, r.created_at) for r in rows]

    def artifacts(self, job_id: UUID) -> list[Artifact]:
        query = (
            select(ArtifactRow).where(ArtifactRow.job_id == job_id).order_by(ArtifactRow.created_at, ArtifactRow.name)
        )
        with self._database.read() as connection:
            return [_artifact(row) for row in connection.execute(query)]

    def marks(self, job_ids: Sequence[UUID]) -> dict[UUID, Mark]:
        """How far each of these jobs is, in one cheap query; a job that does not exist or is deleted is left out."""
        is_drawing = and_(DrawingRow.job_id.is_not(None), DrawingRow.finished_at.is_(None))
        query = (
            select(_jobs.id, _jobs.last_seq, _jobs.status, is_drawing)
            .select_from(JobRow)
            .outerjoin(DrawingRow, DrawingRow.job_id == _jobs.id)
            .where(_jobs.id.in_(job_ids), _jobs.deleted_at.is_(None))
        )
        with self._database.read() as connection:
            return {row[0]: Mark(row[1], JobStatus(row[2]), bool(row[3])) for row in connection.execute(query)}

    def find_artifact(self, job_id: UUID, name: str) -> Artifact | None:
        query = select(ArtifactRow).where(ArtifactRow.job_id == job_id, ArtifactRow.name == name)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _artifact(row)

    def is_file_named(self, sha256: str) -> bool:
        """Whether any row names this file of the artifact store."""
        named = [
            select(table.sha256).where(table.sha256 == sha256) for table in (ArtifactRow, CheckpointRow, DatasetRow)
        ]
        with self._database.read() as connection:
            return connection.execute(union_all(*named).limit(1)).first() is not None

    # --- drawing, after the job has ended -----------------------------------------------------------------------

    def claim_drawing(self) -> tuple[Job, Fence] | None:
        """The oldest ended job whose plots are still to be drawn and that nobody is drawing.

        The fence counts the drawings of the job, not its attempts. One that failed, or killed its worker, three times
        is given up.
        """
        with self._database.write() as connection:
            while (free := connection.execute(statements.FREE_DRAWING).first()) is not None:
                if free.attempt < MAX_CRASHES:
                    attempt = free.attempt + 1
                    held = {"attempt": attempt, "lease_expires_at": db_now(4 * self._lease_s)}
                    connection.execute(update(DrawingRow).where(DrawingRow.job_id == free.job_id).values(held))
                    return _get(connection, free.job_id), Fence(free.job_id, attempt)
                self._give_up_drawing(connection, free.job_id, f"whoever drew them died {free.attempt} times")
        return None

    def record_drawing(
        self, fence: Fence, artifacts: Sequence[Artifact], *, is_last: bool, error: str | None = None
    ) -> None:
        """Add drawn plots to an ended job; with an error the drawing is tried again, three times in all.

        Raises LeaseLost.
        """
        guard = (
            DrawingRow.job_id == fence.job_id,
            DrawingRow.attempt == fence.attempt,
            DrawingRow.finished_at.is_(None),
        )
        held = {"lease_expires_at": None if is_last or error else db_now(4 * self._lease_s), "error": error}
        with self._database.write() as connection:
            job = _find(connection, fence.job_id, lock=True)  # the job first, as everyone locks it
            if job is None or connection.execute(update(DrawingRow).where(*guard).values(held)).rowcount == 0:
                raise LeaseLost(f"drawing {fence.attempt} of job {fence.job_id} is another's now")
            self._append(connection, job, [_artifact_event(a) for a in artifacts])
            self._put_artifacts(connection, job.id, job.attempt, artifacts)
            if error is not None and fence.attempt >= MAX_CRASHES:
                self._give_up_drawing(connection, job.id, error)
            elif is_last:
                done = update(DrawingRow).where(DrawingRow.job_id == job.id).values(finished_at=db_now())
                connection.execute(done)

    def _give_up_drawing(self, connection: Connection, job_id: UUID, error: str) -> None:
        over = {"finished_at": db_now(), "lease_expires_at": None, "error": error}
        connection.execute(update(DrawingRow).where(DrawingRow.job_id == job_id).values(over))
        warning = {"code": "plots_failed", "message": f"the plots could not be drawn: {error}"}
        told = NewEvent(EventKind.WARNING, warning, once_key="plots_failed")
        self._append(connection, _get(connection, job_id, lock=True), [told])

    def pending_drawings(self, job_id: UUID) -> list[str]:
        """Names of the plots that are still to come."""
        query = select(DrawingRow.names).where(DrawingRow.job_id == job_id, DrawingRow.finished_at.is_(None))
        with self._database.read() as connection:
            names: list[str] = connection.execute(query).scalar() or []
            done = set(connection.execute(select(ArtifactRow.name).where(ArtifactRow.job_id == job_id)).scalars())
        return [name for name in names if name not in done]

    def n_pending_drawings(self) -> int:
        with self._database.read() as connection:
            query = select(func.count()).select_from(DrawingRow).where(DrawingRow.finished_at.is_(None))
            return connection.execute(query).scalar_one()

    # --- the pieces ---------------------------------------------------------------------------------------------

    def _start_best(self, connection: Connection, lane: str, worker_id: str, worker_pid: int) -> Job | None:
        job_id = queue_order.pick(connection, lane)
        if job_id is None:
            return None
        start = {"claimed_id": job_id, "lease_s": self._lease_s, "worker_id": worker_id, "worker_pid": worker_pid}
        job = Job.of(connection.execute(statements.START, start).mappings().one())
        started = NewEvent(EventKind.STARTED, {"attempt": job.attempt, "worker_id": worker_id})
        _insert_events(connection, job.id, job.attempt, job.last_seq, [started])
        return job

    def _is_running_for(self, claimed: Job, worker_id: str, worker_pid: int) -> bool:
        """Another worker may have claimed the job under the same attempt number if this claim was not committed."""
        now = self.find(claimed.id)
        return now is not None and (now.status, now.attempt, now.worker_id, now.worker_pid) == (
            JobStatus.RUNNING,
            claimed.attempt,
            worker_id,
            worker_pid,
        )

    def _insert_job(self, connection: Connection, job_id: UUID, new: NewJob) -> Job:
        values = {name: getattr(new, name) for name in new.__dataclass_fields__}
        row = connection.execute(statements.INSERT_JOB, values | {"id": job_id, "status": "queued", "last_seq": 1})
        job = Job.of(row.mappings().one())
        _insert_events(connection, job_id, 0, 1, [NewEvent(EventKind.SUBMITTED, {"kind": job.kind})])
        connection.execute(statements.INSERT_RUN, {"job_id": job_id})
        return job

    def _job_under_key(self, new: NewJob) -> Job:
        query = select(JobRow.__table__).where(_jobs.owner == new.owner, _jobs.idempotency_key == new.idempotency_key)
        with self._database.read() as connection:
            job = Job.of(connection.execute(query).mappings().one())
        if job.request_hash != new.request_hash:
            raise Conflict(
                f"Idempotency-Key {new.idempotency_key!r} was used for job {job.id} with another body",
                code="idempotency_key_reused",
            )
        return job

    def _write_held(
        self, connection: Connection, statement: Executable, fence: Fence, events: Sequence[NewEvent], **values: Any
    ) -> None:
        """Change the job's row and add events, if the fence still holds it."""
        parameters = {**_parameters(fence), "n_events": len(events), **values}
        last_seq = connection.execute(statement, parameters).scalar()
        if last_seq is None:
            raise _lease_lost(fence)
        self._insert_events_once(connection, fence.job_id, fence.attempt, last_seq, events)

    def _append(self, connection: Connection, job: Job, events: Sequence[NewEvent]) -> None:
        """Events on a job row that this transaction has locked."""
        if not events:
            return
        last_seq = connection.execute(
            update(JobRow)
            .where(_jobs.id == job.id)
            .values(last_seq=_jobs.last_seq + len(events))
            .returning(_jobs.last_seq)
        ).scalar_one()
        self._insert_events_once(connection, job.id, job.attempt, last_seq, events)

    def _insert_events_once(
        self, connection: Connection, job_id: UUID, attempt: int, last_seq: int, events: Sequence[NewEvent]
    ) -> None:
        """The events that the job does not have yet, as its newest; the row's `last_seq` has counted all of them."""
        fresh = _without_repeats(events, _stored_under_keys(connection, job_id, events))
        if n_repeats := len(events) - len(fresh):
            last_seq -= n_repeats
            connection.execute(update(JobRow).where(_jobs.id == job_id).values(last_seq=last_seq))
        _insert_events(connection, job_id, attempt, last_seq, fresh)

    def _put_artifacts(self, connection: Connection, job_id: UUID, attempt: int, artifacts: Sequence[Artifact]) -> None:
        if artifacts:
            rows = [vars(a) | {"job_id": job_id, "attempt": attempt} for a in artifacts]
            for row in rows:
                del row["created_at"]
            connection.execute(self._upsert_artifacts, rows)

    def _put_checkpoint(self, connection: Connection, fence: Fence, checkpoint: SavedCheckpoint) -> None:
        values = {
            "sha256": checkpoint.sha256,
            "size_bytes": checkpoint.size_bytes,
            "fingerprint": checkpoint.fingerprint,
        }
        values |= {"attempt": fence.attempt}
        statement = self._insert(CheckpointRow).values(job_id=fence.job_id, step=checkpoint.step, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["job_id", "step"], set_=values))
        mine = CheckpointRow.job_id == fence.job_id
        kept = select(CheckpointRow.step).where(mine).order_by(CheckpointRow.step.desc()).limit(2)
        connection.execute(delete(CheckpointRow).where(mine, CheckpointRow.step.not_in(kept)))

    def _end(
        self, connection: Connection, job: Job, status: JobStatus, error: dict[str, Any] | None, **values: Any
    ) -> JobStatus:
        _set(connection, job, **_IDLE, status=status, finished_at=db_now(), error=error, **values)
        connection.execute(statements.DROP_CHECKPOINTS, {"of_job": job.id})
        self._append(connection, job, [_ended(status, error or {})])
        return status


_IDLE: dict[str, Any] = {"worker_id": None, "worker_pid": None, "lease_expires_at": None}
"""Nobody holds the job."""


_carried = select(RunRow.job_id).where(RunRow.is_closed)
"""Jobs of which MLflow has everything."""


def _guard(fence: Fence) -> tuple[ColumnElement[bool], ...]:
    return _jobs.id == fence.job_id, _jobs.status == "running", _jobs.attempt == fence.attempt


def _parameters(fence: Fence) -> dict[str, Any]:
    return {"fence_job_id": fence.job_id, "fence_attempt": fence.attempt}


def _if_given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _set(connection: Connection, job: Job, **values: Any) -> None:
    """Change a row that this transaction has locked and read."""
    connection.execute(update(JobRow).where(_jobs.id == job.id).values(values))


def _find(connection: Connection, job_id: UUID, *, lock: bool = False) -> Job | None:
    query = select(JobRow.__table__).where(_jobs.id == job_id)
    if lock:
        query = query.with_for_update()  # nothing on SQLite, where the transaction holds the only write lock
    row = connection.execute(query).mappings().first()
    return None if row is None else Job.of(row)


def _get(connection: Connection, job_id: UUID, *, lock: bool = False) -> Job:
    job = _find(connection, job_id, lock=lock)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


def _get_owned(connection: Connection, job_id: UUID, owner: str, *, lock: bool = False) -> Job:
    """The job as its owner may see it."""
    job = _find(connection, job_id, lock=lock)
    if job is None or job.owner != owner or job.deleted_at is not None:
        raise NotFound(f"there is no job {job_id}")
    return job


def _find_held(connection: Connection, fence: Fence) -> Job:
    """The job, its row locked; raises LeaseLost where it is another attempt's or has ended."""
    job = _find(connection, fence.job_id, lock=True)
    if job is None or job.status is not JobStatus.RUNNING or job.attempt != fence.attempt:
        raise _lease_lost(fence)
    return job


def _lease_lost(fence: Fence) -> LeaseLost:
    return LeaseLost(f"attempt {fence.attempt} of job {fence.job_id} no longer holds the lease")


def _insert_events(
    connection: Connection, job_id: UUID, attempt: int, last_seq: int, events: Sequence[NewEvent]
) -> None:
    if not events:
        return
    first = last_seq - len(events) + 1
    rows = [
        {"job_id": job_id, "seq": first + i, "kind": e.kind, "attempt": attempt, "once_key": e.once_key, "data": e.data}
        for i, e in enumerate(events)
    ]
    connection.execute(statements.INSERT_EVENTS, rows)


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


def _ended(status: JobStatus, details: dict[str, Any]) -> NewEvent:
    return NewEvent(EventKind.ENDED, {"status": status.value} | details, once_key="ended")


def _artifact_event(artifact: Artifact) -> NewEvent:
    data = {"name": artifact.name, "kind": artifact.kind, "media_type": artifact.media_type, "step": artifact.step}
    return NewEvent(EventKind.ARTIFACT, data, once_key=f"artifact:{artifact.name}")


def _checkpoint_events(checkpoint: SavedCheckpoint | None) -> list[NewEvent]:
    if checkpoint is None:
        return []
    return [NewEvent(EventKind.CHECKPOINT, {"step": checkpoint.step, "size_bytes": checkpoint.size_bytes})]


def _artifact(row: Any) -> Artifact:
    return Artifact(row.name, row.kind, row.media_type, row.sha256, row.size_bytes, row.step, row.created_at)


def _worker_lost(attempt: int, n_crashes: int) -> dict[str, Any]:
    return {
        "code": "worker_lost",
        "message": f"the worker process died {n_crashes} times while it ran this job, the last on attempt {attempt}",
        "mend": "likely the job needs more memory than the worker has; try less data or a larger worker, then resubmit",
    }
