"""What the stores of jobs take and give: frozen, as it was read or as it is to be written."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from gradline.status import EventKind, JobStatus


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
