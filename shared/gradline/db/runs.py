"""The run store: how far each job is in MLflow, and which relay carries it. Every statement on table `runs`."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update

from gradline.db.models import DrawingRow, JobRow, RunRow
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.status import TERMINAL

MAX_BACKOFF_S = 600.0
"""Longest wait before a run that cannot be carried is tried again."""

_runs = RunRow.__table__.c
_jobs = JobRow.__table__.c


@dataclass(frozen=True)
class Run:
    """A run row as it was read."""

    job_id: UUID
    experiment_id: str | None
    run_id: str | None
    synced_seq: int
    is_closed: bool
    relay_id: str | None
    """The relay that held the lease last, also after it gave the lease back: somebody may have created a run."""
    n_failures: int
    next_try_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, row: Any) -> "Run":
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


class RunStore:
    """Owns `runs`. What a relay writes is guarded by its lease: a write answers False once another relay has it."""

    def __init__(self, database: Database, lease_s: float = 60.0) -> None:
        self._database = database
        self._lease_s = lease_s

    def find(self, job_id: UUID) -> Run | None:
        return next(iter(self.find_all([job_id]).values()), None)

    def find_all(self, job_ids: Sequence[UUID]) -> dict[UUID, Run]:
        with self._database.read() as connection:
            rows = connection.execute(select(RunRow.__table__).where(_runs.job_id.in_(job_ids)))
            return {row.job_id: Run.of(row) for row in rows}

    def claim_due(self, relay_id: str, limit: int = 10) -> list[Run]:
        """Runs with something to carry that no relay holds, longest waiting first; now held by this one.

        The rows come as they were before. Where nothing is due this is one read, and takes no lock.
        """
        with self._database.read() as connection:
            if connection.execute(_due(select(_runs.job_id)).limit(1)).first() is None:
                return []
        query = _due(select(RunRow.__table__)).order_by(func.coalesce(_runs.next_try_at, _jobs.created_at)).limit(limit)
        if not self._database.is_sqlite:
            query = query.with_for_update(of=RunRow, skip_locked=True)
        with self._database.write() as connection:
            runs = [Run.of(row) for row in connection.execute(query)]
            held = {"relay_id": relay_id, "lease_expires_at": db_now(self._lease_s)}
            connection.execute(update(RunRow).where(_runs.job_id.in_([run.job_id for run in runs])).values(held))
        return runs

    def renew(self, relay_id: str, job_id: UUID) -> bool:
        return self._set_held(relay_id, job_id, lease_expires_at=db_now(self._lease_s))

    def set_run_id(self, relay_id: str, job_id: UUID, experiment_id: str, run_id: str) -> bool:
        """Name the MLflow run of a job; False where it has one already or the lease is lost."""
        return self._set_held(relay_id, job_id, _runs.run_id.is_(None), experiment_id=experiment_id, run_id=run_id)

    def forget_run_id(self, relay_id: str, job_id: UUID) -> bool:
        """The run is no longer on the server: carry everything again, into a new one."""
        return self._set_held(relay_id, job_id, experiment_id=None, run_id=None, synced_seq=0)

    def advance(self, relay_id: str, run: Run, synced_seq: int, pause_s: float) -> bool:
        """The server has every event up to `synced_seq`. Give the lease back; `pause_s` until it is looked at again.

        Closes the run if that was all there will ever be.
        """
        is_over = exists().where(
            _jobs.id == _runs.job_id, _job_has_ended, _nothing_to_draw, _jobs.last_seq == synced_seq
        )
        return self._set_held(
            relay_id,
            run.job_id,
            _runs.synced_seq == run.synced_seq,
            synced_seq=synced_seq,
            is_closed=is_over.correlate(RunRow),
            **_FREE,
            n_failures=0,
            error=None,
            next_try_at=db_now(pause_s),
        )

    def close(self, relay_id: str, job_id: UUID, error: str | None = None) -> bool:
        """Nothing more is to be carried."""
        return self._set_held(relay_id, job_id, is_closed=True, error=error, **_FREE)

    def put_off(self, relay_id: str, run: Run, error: str) -> bool:
        """This run cannot be carried now: give the lease back and wait, longer with each failure, with jitter."""
        wait_s = min(MAX_BACKOFF_S, 2.0 * 2 ** min(run.n_failures, 20)) * random.uniform(0.5, 1.0)  # noqa: S311
        return self._set_held(
            relay_id, run.job_id, n_failures=_runs.n_failures + 1, error=error, next_try_at=db_now(wait_s), **_FREE
        )

    def give_back(self, relay_id: str) -> None:
        """Let go of every lease that this relay holds."""
        with self._database.write() as connection:
            held = (_runs.relay_id == relay_id, _runs.is_closed.is_(False), _runs.lease_expires_at.is_not(None))
            connection.execute(update(RunRow).where(*held).values(_FREE))

    def _set_held(self, relay_id: str, job_id: UUID, *guard: ColumnElement[bool], **values: Any) -> bool:
        mine = (_runs.job_id == job_id, _runs.relay_id == relay_id, _runs.lease_expires_at > db_now())
        with self._database.write() as connection:
            return connection.execute(update(RunRow).where(*mine, *guard).values(values)).rowcount == 1


_FREE: dict[str, Any] = {"lease_expires_at": None}

_job_has_ended = _jobs.status.in_([status.value for status in TERMINAL])
_nothing_to_draw = ~(exists().where(DrawingRow.job_id == _jobs.id, DrawingRow.finished_at.is_(None)).correlate(JobRow))


def _due(query: Any) -> Any:
    """Open runs with unsent events or nothing left but to be closed.

    The pause between two visits ends with the job; the wait after a failure does not.
    """
    free = or_(_runs.lease_expires_at.is_(None), _runs.lease_expires_at < db_now())
    has_news = _jobs.last_seq > _runs.synced_seq
    can_close = and_(_job_has_ended, _nothing_to_draw)
    now = or_(_runs.next_try_at.is_(None), _runs.next_try_at <= db_now(), and_(can_close, _runs.n_failures == 0))
    return query.join(JobRow, _jobs.id == _runs.job_id).where(
        _runs.is_closed.is_(False), free, now, or_(has_news, can_close)
    )
