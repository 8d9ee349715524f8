"""The tables. Each is written only by the store that owns it: job rows by `jobs.py`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gradline.db.types import Json, UtcDateTime, db_now

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class JobRow(Table):
    """What was asked, and where it stands."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(60))
    name: Mapped[str | None] = mapped_column(String(200))
    experiment: Mapped[str | None] = mapped_column(String(200))
    labels: Mapped[dict[str, str]] = mapped_column(Json)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    lane: Mapped[str] = mapped_column(String(20))
    priority: Mapped[int] = mapped_column(Integer)
    max_attempts: Mapped[int] = mapped_column(Integer)
    """Transient errors that are retried before the job fails."""
    deadline_s: Mapped[float | None] = mapped_column(Float)
    """Longest time an attempt may run."""
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the request's canonical JSON, to tell a repeat from another body under the same key."""

    status: Mapped[str] = mapped_column(String(10))
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Number of the newest attempt; the fencing token of every write a worker makes."""
    n_errors: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    n_crashes: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker_id: Mapped[str | None] = mapped_column(String(100))
    worker_pid: Mapped[int | None] = mapped_column(Integer)
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the newest attempt began."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Its owner wants it forgotten; it is hidden, and goes once MLflow has all of it."""
    last_seq: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Sequence number of the newest event; events of one job commit in this order."""
    progress: Mapped[dict[str, Any] | None] = mapped_column(Json)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        CheckConstraint("status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status_known"),
        CheckConstraint(
            "(status = 'running') = (lease_expires_at is not null) and (status = 'running') = (worker_id is not null)",
            name="lease_while_running",
        ),
        CheckConstraint(
            "(status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)", name="finished_when_ended"
        ),
        Index(
            "ix_jobs_queue",
            "lane",
            "priority",
            "owner",
            "id",
            "not_before",
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_jobs_running",
            "owner",
            "lease_expires_at",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index("ix_jobs_owner_id", "owner", "id"),
        Index("ix_jobs_finished_at", "lane", "finished_at"),
        Index(
            "ix_jobs_deleted",
            "id",
            sqlite_where=text("deleted_at is not null"),
            postgresql_where=text("deleted_at is not null"),
        ),
    )


class EventRow(Table):
    """The durable log of a job: audit trail, source of its stream, and what the relay carries to MLflow."""

    __tablename__ = "events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(Integer)
    once_key: Mapped[str | None] = mapped_column(String(200))
    """At most one event of a job has this key: a resumed attempt that repeats a step adds nothing."""
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())

    __table_args__ = (UniqueConstraint("job_id", "once_key"),)


class ArtifactRow(Table):
    """A file of a job, by name; the bytes lie in the artifact store under their hash."""

    __tablename__ = "artifacts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """curve, plot, image (one of a series with steps), animation, model or table."""
    step: Mapped[int | None] = mapped_column(Integer)
    media_type: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())

    __table_args__ = (Index("ix_artifacts_sha256", "sha256"),)


class CheckpointRow(Table):
    """A step from which a job can go on; the newest two of a job are kept while it runs."""

    __tablename__ = "checkpoints"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[dict[str, Any]] = mapped_column(Json)
    """What the bits depend on: image, CPU capability, thread count, device."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())

    __table_args__ = (Index("ix_checkpoints_sha256", "sha256"),)


class DrawingRow(Table):
    """Plots still to be drawn for a job that has trained; a small queue with leases of its own.

    Drawing takes seconds where training takes milliseconds, so it is no part of the attempt: the job ends first.
    """

    __tablename__ = "drawings"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    names: Mapped[list[str]] = mapped_column(Json)
    """The plots that will appear, so that a client can tell what is still to come."""
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Fencing token of the drawing, apart from the job's."""
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "ix_drawings_pending",
            "job_id",
            sqlite_where=text("finished_at is null"),
            postgresql_where=text("finished_at is null"),
        ),
    )


class RunRow(Table):
    """The MLflow run of a job that has begun, and how far the relay is with it."""

    __tablename__ = "runs"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    experiment_id: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(64))
    synced_seq: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Every event of the job up to this one is in MLflow."""
    is_closed: Mapped[bool] = mapped_column(server_default=text("false"))
    """The job has ended, its plots are drawn, all of it is in MLflow and the run has its final status."""
    relay_id: Mapped[str | None] = mapped_column(String(100))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """While it is in the future, `relay_id` is the one writer of this run."""
    n_failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "ix_runs_open",
            "next_try_at",
            sqlite_where=text("not is_closed"),
            postgresql_where=text("not is_closed"),
        ),
    )


class DatasetRow(Table):
    """An uploaded table; the bytes lie in the artifact store under their hash."""

    __tablename__ = "datasets"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    n_rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """One {name, type, n_missing, ...} a column, in the file's order."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())

    __table_args__ = (
        UniqueConstraint("owner", "sha256", "format"),
        Index("ix_datasets_sha256", "sha256"),
        Index("ix_datasets_owner_id", "owner", "id"),
    )


class WorkerRow(Table):
    """A worker that beats; forgotten by the conductor once it has been silent for long."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    hostname: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int] = mapped_column(Integer)
    lane: Mapped[str] = mapped_column(String(20))
    device: Mapped[str] = mapped_column(String(200))
    n_slots: Mapped[int] = mapped_column(Integer)
    """Child processes, each running one job at a time."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())


class ApiKeyRow(Table):
    """A key that opens the API; only its hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=db_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
