"""What is asked about jobs: every query that changes nothing."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, case, func, or_, select, union_all

from gradline.db import queue_order
from gradline.db.models import ArtifactRow, CheckpointRow, DatasetRow, DrawingRow, EventRow, JobRow
from gradline.db.records import Artifact, Event, Job, LaneDepth, Mark, SavedCheckpoint
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import NotFound
from gradline.status import EventKind, JobStatus

_jobs = JobRow.__table__.c


class JobQueries:
    """Reads jobs, and the events, artifacts and checkpoints beside them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- jobs ---------------------------------------------------------------------------------------------------

    def get(self, job_id: UUID, owner: str) -> Job:
        """Raises NotFound also for a job of another owner, or one that was deleted."""
        with self._database.read() as connection:
            return get_owned_job(connection, job_id, owner)

    def find(self, job_id: UUID) -> Job | None:
        with self._database.read() as connection:
            return find_job(connection, job_id)

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

    # --- the queue ----------------------------------------------------------------------------------------------

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

    def ready_counts(self) -> dict[str, int]:
        """Jobs of each lane that could be claimed now."""
        query = select(_jobs.lane, func.count().label("n_ready")).where(queue_order.is_ready()).group_by(_jobs.lane)
        with self._database.read() as connection:
            return {row.lane: row.n_ready for row in connection.execute(query)}

    # --- events and files ---------------------------------------------------------------------------------------

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

    def latest_checkpoints(self, job_id: UUID) -> list[SavedCheckpoint]:
        """Newest first; the second is there in case the first one's file is damaged."""
        query = select(CheckpointRow).where(CheckpointRow.job_id == job_id).order_by(CheckpointRow.step.desc())
        with self._database.read() as connection:
            return [
                SavedCheckpoint(row.step, row.sha256, row.size_bytes, row.fingerprint, row.attempt)
                for row in connection.execute(query)
            ]


def _artifact(row: Any) -> Artifact:
    return Artifact(row.name, row.kind, row.media_type, row.sha256, row.size_bytes, row.step, row.created_at)


def find_job(connection: Connection, job_id: UUID, *, lock: bool = False) -> Job | None:
    query = select(JobRow.__table__).where(_jobs.id == job_id)
    if lock:
        query = query.with_for_update()  # nothing on SQLite, where the transaction holds the only write lock
    row = connection.execute(query).mappings().first()
    return None if row is None else Job.of(row)


def get_job(connection: Connection, job_id: UUID, *, lock: bool = False) -> Job:
    job = find_job(connection, job_id, lock=lock)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


def get_owned_job(connection: Connection, job_id: UUID, owner: str, *, lock: bool = False) -> Job:
    """Raises NotFound also for a job of another owner, or one that was deleted."""
    job = find_job(connection, job_id, lock=lock)
    if job is None or job.owner != owner or job.deleted_at is not None:
        raise NotFound(f"there is no job {job_id}")
    return job
