"""The job store: every statement that changes a job row, and what a worker writes beside it.

A worker's writes carry its attempt number, the fencing token: each begins with an UPDATE of the job row guarded by
`status = 'running' and attempt = mine`, and raises LeaseLost where that hits nothing. The same UPDATE hands out the
event sequence numbers, so the events of a job commit in their order on both databases.
"""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Executable, and_, delete, not_, or_, select, update

from gradline.clock import new_id
from gradline.db import event_log, files, queue_order, statements
from gradline.db.group_commit import GroupCommit
from gradline.db.models import JobRow, RunRow
from gradline.db.queries import JobQueries, find_job, get_job, get_owned_job
from gradline.db.records import Artifact, Fence, Job, NewEvent, NewJob, SavedCheckpoint
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import Conflict, DependencyDown, LeaseLost
from gradline.status import EventKind, JobStatus

MAX_CRASHES = 3
"""A job whose worker died this often is poison: it fails with code `worker_lost`."""

_jobs = JobRow.__table__.c


class JobStore(JobQueries):
    """Owns `jobs`, `events`, `artifacts` and `checkpoints`: submits, claims, ends, rescues and forgets jobs."""

    def __init__(self, database: Database, lease_s: float = 30.0) -> None:
        super().__init__(database)
        self._lease_s = lease_s
        self._submits = GroupCommit(self._insert_jobs)

    # --- what a caller asks -------------------------------------------------------------------------------------

    def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Store a job and its first event; the second value is False where the idempotency key found an earlier one.

        Raises Conflict (`idempotency_key_reused`) where that earlier job was asked with another body.
        """
        job_id = new_id()
        try:
            job = self._submits.write((job_id, new))
        except DependencyDown:
            job = self.find(job_id)  # the commit may have happened before the connection broke
            if job is None:
                raise
        return (self._job_under_key(new), False) if job is None else (job, True)

    def cancel(self, job_id: UUID, owner: str) -> Job:
        """A queued job is cancelled at once; a running one is flagged. Repeating it changes nothing."""
        with self._database.write() as connection:
            job = get_owned_job(connection, job_id, owner, lock=True)
            if job.status is JobStatus.QUEUED:
                _set(connection, job, status=JobStatus.CANCELLED, finished_at=db_now(), cancel_requested_at=db_now())
                event_log.append(connection, job, [event_log.ended(JobStatus.CANCELLED, {})])
            elif job.status is JobStatus.RUNNING and job.cancel_requested_at is None:
                _set(connection, job, cancel_requested_at=db_now())
                event_log.append(connection, job, [NewEvent(EventKind.CANCEL_REQUESTED, {})])
            elif job.status.is_terminal and job.status is not JobStatus.CANCELLED:
                raise Conflict(f"job {job_id} has already {job.status}", code="job_ended")
            return get_job(connection, job_id)

    def set_priority(self, job_id: UUID, owner: str, priority: int) -> Job:
        with self._database.write() as connection:
            job = get_owned_job(connection, job_id, owner, lock=True)
            if job.status is not JobStatus.QUEUED:
                raise Conflict(
                    f"job {job_id} is {job.status}: only a queued job has a place to change", code="not_queued"
                )
            if priority != job.priority:
                _set(connection, job, priority=priority)
                event_log.append(connection, job, [NewEvent(EventKind.PRIORITY_CHANGED, {"priority": priority})])
            return get_job(connection, job_id)

    def delete(self, job_id: UUID, owner: str) -> None:
        """Forget an ended job with its events, artifacts and run; raises Conflict while it has not ended.

        It is gone for everybody at once. Its rows go now if MLflow has all of it, else with `purge`.
        """
        with self._database.write() as connection:
            job = get_owned_job(connection, job_id, owner, lock=True)
            if not job.status.is_terminal:
                raise Conflict(f"job {job_id} is {job.status}: cancel it first", code="not_ended")
            _set(connection, job, deleted_at=db_now(), idempotency_key=None)
            connection.execute(delete(JobRow).where(_jobs.id == job_id, _jobs.id.not_in(_to_carry)))

    def purge(self, older_than_s: float | None, limit: int = 1000) -> int:
        """Forget what was deleted, or ended longer ago than that, and MLflow has whole; returns how many jobs."""
        unwanted: list[ColumnElement[bool]] = [_jobs.deleted_at.is_not(None)]
        if older_than_s is not None:
            unwanted.append(_jobs.finished_at < db_now(-older_than_s))
        which = select(_jobs.id).where(or_(*unwanted), _jobs.id.not_in(_to_carry)).limit(limit)
        with self._database.write() as connection:
            return connection.execute(delete(JobRow).where(_jobs.id.in_(which))).rowcount

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
            events = [*events, *map(event_log.artifact_added, artifacts), *event_log.checkpoint_saved(checkpoint)]
            self._write_held(connection, statements.RECORD, fence, events, **_if_given(progress=progress))
            files.put_artifacts(connection, fence.job_id, fence.attempt, artifacts)
            if checkpoint is not None:
                files.put_checkpoint(connection, fence, checkpoint)

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
        ended = event_log.ended(status, error if error is not None else {"outcome": (result or {}).get("outcome")})
        # The end stays last: a stream that has seen it may close.
        events = [*events, *map(event_log.artifact_added, artifacts), ended]
        end = {"status": status.value, "result": result, "error": error, **_if_given(progress=progress)}
        try:
            with self._database.write() as connection:
                self._write_held(connection, statements.END, fence, events, **end)
                files.put_artifacts(connection, fence.job_id, fence.attempt, artifacts)
                files.drop_checkpoints(connection, fence.job_id)
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
                event_log.append(connection, job, events)
                self._end(connection, job, JobStatus.CANCELLED, None)
            else:
                _set(connection, job, **_IDLE, status="queued")
                event_log.append(connection, job, [*events, NewEvent(EventKind.RELEASED, {})])

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
            event_log.append(
                connection, job, [NewEvent(EventKind.RETRIED, {"error": error, "wait_s": round(wait_s, 3)})]
            )
            return JobStatus.QUEUED

    # --- rescue -------------------------------------------------------------------------------------------------

    def rescue_lapsed(self, limit: int = 100) -> list[Job]:
        """Take back running jobs whose lease has lapsed; any number of conductors may do so at once."""
        return self._rescue(_jobs.lease_expires_at < db_now(), limit)

    def rescue_of(self, worker_id: str, worker_pid: int | None = None) -> list[Job]:
        """Take back what a dead child (or, without a pid, a dead worker) was running, without waiting for the lease."""
        mine = _jobs.worker_id == worker_id
        return self._rescue(mine if worker_pid is None else and_(mine, _jobs.worker_pid == worker_pid), 100)

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
                event_log.append(connection, job, [NewEvent(EventKind.RESCUED, {"n_crashes": n_crashes})])
            return get_job(connection, dead.id)

    # --- the pieces ---------------------------------------------------------------------------------------------

    def _start_best(self, connection: Connection, lane: str, worker_id: str, worker_pid: int) -> Job | None:
        job_id = queue_order.pick(connection, lane)
        if job_id is None:
            return None
        start = {"claimed_id": job_id, "lease_s": self._lease_s, "worker_id": worker_id, "worker_pid": worker_pid}
        job = Job.of(connection.execute(statements.START, start).mappings().one())
        started = NewEvent(EventKind.STARTED, {"attempt": job.attempt, "worker_id": worker_id})
        event_log.insert(connection, job.id, job.attempt, job.last_seq, [started])
        if job.attempt == 1:
            connection.execute(statements.INSERT_RUN[connection.dialect.name], {"job_id": job.id})
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

    def _insert_jobs(self, asked: Sequence[tuple[UUID, NewJob]]) -> list[Job | None]:
        """Jobs with their first events, in one transaction; None where the idempotency key is taken."""
        rows = [{**_NEW, **vars(new), "id": job_id} for job_id, new in asked]
        # Two processes that took the same keys in different orders would wait for each other.
        rows.sort(key=lambda row: (row["owner"], row["idempotency_key"] or ""))
        with self._database.write() as connection:
            inserted = connection.execute(statements.INSERT_JOBS[connection.dialect.name], rows)
            created_at = {row.id: row.created_at for row in inserted}
            rows = [row | {"created_at": created_at[row["id"]]} for row in rows if row["id"] in created_at]
            if rows:
                connection.execute(
                    statements.INSERT_EVENTS, [event_log.submitted(row["id"], row["kind"]) for row in rows]
                )
        jobs = {row["id"]: Job(**{**_EMPTY, **row}) for row in rows}
        return [jobs.get(job_id) for job_id, _ in asked]

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
        event_log.insert_once(connection, fence.job_id, fence.attempt, last_seq, events)

    def _end(
        self, connection: Connection, job: Job, status: JobStatus, error: dict[str, Any] | None, **values: Any
    ) -> JobStatus:
        _set(connection, job, **_IDLE, status=status, finished_at=db_now(), error=error, **values)
        files.drop_checkpoints(connection, job.id)
        event_log.append(connection, job, [event_log.ended(status, error or {})])
        return status


_EMPTY: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
_NEW: dict[str, Any] = {"status": JobStatus.QUEUED, "attempt": 0, "n_errors": 0, "n_crashes": 0, "last_seq": 1}
"""What is not asked of a job that is submitted; the rest of its row is empty."""
_IDLE: dict[str, Any] = {"worker_id": None, "worker_pid": None, "lease_expires_at": None}
"""Nobody holds the job."""


_to_carry = select(RunRow.job_id).where(not_(RunRow.is_closed))
"""Jobs that have begun and of which MLflow has not everything."""


def _guard(fence: Fence) -> tuple[ColumnElement[bool], ...]:
    return _jobs.id == fence.job_id, _jobs.status == "running", _jobs.attempt == fence.attempt


def _parameters(fence: Fence) -> dict[str, Any]:
    return {"fence_job_id": fence.job_id, "fence_attempt": fence.attempt}


def _if_given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _set(connection: Connection, job: Job, **values: Any) -> None:
    """Change a row that this transaction has locked and read."""
    connection.execute(update(JobRow).where(_jobs.id == job.id).values(values))


def _find_held(connection: Connection, fence: Fence) -> Job:
    """The job, its row locked; raises LeaseLost where it is another attempt's or has ended."""
    job = find_job(connection, fence.job_id, lock=True)
    if job is None or job.status is not JobStatus.RUNNING or job.attempt != fence.attempt:
        raise _lease_lost(fence)
    return job


def _lease_lost(fence: Fence) -> LeaseLost:
    return LeaseLost(f"attempt {fence.attempt} of job {fence.job_id} no longer holds the lease")


def _worker_lost(attempt: int, n_crashes: int) -> dict[str, Any]:
    return {
        "code": "worker_lost",
        "message": f"the worker process died {n_crashes} times while it ran this job, the last on attempt {attempt}",
        "mend": "likely the job needs more memory than the worker has; try less data or a larger worker, then resubmit",
    }
