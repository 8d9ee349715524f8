"""The drawing store: plots still to be drawn for jobs that have ended. Every statement on table `drawings`.

A small queue with leases of its own; its fence counts the drawings of a job, not its attempts.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from gradline.db import event_log, files, statements
from gradline.db.jobs import MAX_CRASHES
from gradline.db.models import ArtifactRow, DrawingRow
from gradline.db.queries import find_job, get_job
from gradline.db.records import Artifact, Fence, Job, NewEvent
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import LeaseLost
from gradline.status import EventKind


class DrawingStore:
    """Owns `drawings`; the plots themselves become artifacts of their job."""

    def __init__(self, database: Database, lease_s: float = 30.0) -> None:
        self._database = database
        self._lease_s = 4 * lease_s  # a drawing is renewed with every few plots, not by a heartbeat

    def claim(self) -> tuple[Job, Fence] | None:
        """The oldest ended job whose plots are still to be drawn and that nobody is drawing.

        The fence counts the drawings of the job, not its attempts. One that failed, or killed its worker, three times
        is given up.
        """
        with self._database.write() as connection:
            while (free := connection.execute(statements.FREE_DRAWING).first()) is not None:
                if free.attempt < MAX_CRASHES:
                    attempt = free.attempt + 1
                    held = {"attempt": attempt, "lease_expires_at": db_now(self._lease_s)}
                    connection.execute(update(DrawingRow).where(DrawingRow.job_id == free.job_id).values(held))
                    return get_job(connection, free.job_id), Fence(free.job_id, attempt)
                self._give_up(connection, free.job_id, f"whoever drew them died {free.attempt} times")
        return None

    def record(self, fence: Fence, artifacts: Sequence[Artifact], *, is_last: bool, error: str | None = None) -> None:
        """Add drawn plots to an ended job; with an error the drawing is tried again, three times in all.

        Raises LeaseLost.
        """
        guard = (
            DrawingRow.job_id == fence.job_id,
            DrawingRow.attempt == fence.attempt,
            DrawingRow.finished_at.is_(None),
        )
        held = {"lease_expires_at": None if is_last or error else db_now(self._lease_s), "error": error}
        with self._database.write() as connection:
            job = find_job(connection, fence.job_id, lock=True)  # the job first, as everyone locks it
            if job is None or connection.execute(update(DrawingRow).where(*guard).values(held)).rowcount == 0:
                raise LeaseLost(f"drawing {fence.attempt} of job {fence.job_id} is another's now")
            event_log.append(connection, job, [event_log.artifact_added(a) for a in artifacts])
            files.put_artifacts(connection, job.id, job.attempt, artifacts)
            if error is not None and fence.attempt >= MAX_CRASHES:
                self._give_up(connection, job.id, error)
            elif is_last:
                done = update(DrawingRow).where(DrawingRow.job_id == job.id).values(finished_at=db_now())
                connection.execute(done)

    def _give_up(self, connection: Connection, job_id: UUID, error: str) -> None:
        over = {"finished_at": db_now(), "lease_expires_at": None, "error": error}
        connection.execute(update(DrawingRow).where(DrawingRow.job_id == job_id).values(over))
        warning = {"code": "plots_failed", "message": f"the plots could not be drawn: {error}"}
        told = NewEvent(EventKind.WARNING, warning, once_key="plots_failed")
        event_log.append(connection, get_job(connection, job_id, lock=True), [told])

    def pending_names(self, job_id: UUID) -> list[str]:
        """Names of the plots that are still to come."""
        query = select(DrawingRow.names).where(DrawingRow.job_id == job_id, DrawingRow.finished_at.is_(None))
        with self._database.read() as connection:
            names: list[str] = connection.execute(query).scalar() or []
            done = set(connection.execute(select(ArtifactRow.name).where(ArtifactRow.job_id == job_id)).scalars())
        return [name for name in names if name not in done]

    def n_pending(self) -> int:
        with self._database.read() as connection:
            query = select(func.count()).select_from(DrawingRow).where(DrawingRow.finished_at.is_(None))
            return connection.execute(query).scalar_one()
