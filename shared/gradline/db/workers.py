"""Who is alive: workers beat, and are forgotten when they stop or have long been silent."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gradline.db.models import WorkerRow
from gradline.db.session import Database
from gradline.db.types import db_now


@dataclass(frozen=True)
class Worker:
    """A worker as it last reported itself."""

    id: str
    hostname: str
    pid: int
    lane: str
    device: str
    n_slots: int
    started_at: datetime
    last_seen_at: datetime


class WorkerStore:
    """Owns `workers`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def beat(self, *, worker_id: str, hostname: str, pid: int, lane: str, device: str, n_slots: int) -> None:
        """Report a worker as alive now."""
        values = {"hostname": hostname, "pid": pid, "lane": lane, "device": device, "n_slots": n_slots}
        statement = self._insert(WorkerRow).values(id=worker_id, **values)
        fresh = values | {"last_seen_at": db_now()}
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=fresh))

    def list_alive(self, max_age_s: float = 30.0) -> list[Worker]:
        """Workers heard within the last `max_age_s` seconds, by lane and start."""
        query = select(WorkerRow.__table__).where(WorkerRow.last_seen_at > db_now(-max_age_s))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(WorkerRow.lane, WorkerRow.started_at, WorkerRow.id))
            return [Worker(**row) for row in rows.mappings()]

    def forget(self, worker_id: str) -> None:
        """The worker has stopped."""
        with self._database.write() as connection:
            connection.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def forget_silent(self, silent_s: float) -> int:
        """Forget workers not heard for that long; the number forgotten."""
        with self._database.write() as connection:
            return connection.execute(delete(WorkerRow).where(WorkerRow.last_seen_at < db_now(-silent_s))).rowcount
