"""Uploaded data sets: rows that name files of the artifact store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from gradline.clock import new_id
from gradline.db.models import DatasetRow, JobRow
from gradline.db.session import Database
from gradline.errors import Conflict, NotFound


@dataclass(frozen=True)
class NewDataset:
    """A file that the artifact store has, read and profiled."""

    owner: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    n_rows: int
    columns: list[dict[str, Any]]


@dataclass(frozen=True)
class StoredDataset:
    """A data set row as it was read."""

    id: UUID
    owner: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    n_rows: int
    columns: list[dict[str, Any]]
    """One {name, type, n_missing, ...} a column, in the file's order."""
    created_at: datetime


class DatasetStore:
    """Owns `datasets`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: NewDataset) -> tuple[StoredDataset, bool]:
        """Store a data set; the second value is False where the owner had these bytes already, under their old name."""
        values = {name: getattr(new, name) for name in new.__dataclass_fields__}
        statement = insert(DatasetRow).values(id=new_id(), **values).returning(DatasetRow.__table__)
        try:
            with self._database.write() as connection:
                return StoredDataset(**connection.execute(statement).mappings().one()), True
        except IntegrityError:
            found = self.find_same(new.owner, new.sha256, new.format)
            if found is None:
                raise
            return found, False

    def get(self, dataset_id: UUID, owner: str) -> StoredDataset:
        """Raises NotFound also for a data set of another owner."""
        with self._database.read() as connection:
            return _get(connection, dataset_id, owner)

    def find_same(self, owner: str, sha256: str, file_format: str) -> StoredDataset | None:
        """The owner's data set with exactly these bytes."""
        query = select(DatasetRow.__table__).where(
            DatasetRow.owner == owner, DatasetRow.sha256 == sha256, DatasetRow.format == file_format
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else StoredDataset(**row)

    def list_datasets(self, owner: str, *, before: UUID | None = None, limit: int = 50) -> list[StoredDataset]:
        """Newest first; `before` is the id after which the page begins."""
        query = select(DatasetRow.__table__).where(DatasetRow.owner == owner)
        if before is not None:
            query = query.where(DatasetRow.id < before)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(DatasetRow.id.desc()).limit(limit)).mappings()
            return [StoredDataset(**row) for row in rows]

    def delete(self, dataset_id: UUID, owner: str) -> None:
        """Forget a data set; raises Conflict while a job that has not ended uses it. Its file is collected later."""
        uses = JobRow.spec[("data", "dataset_id")].as_string() == str(dataset_id)
        in_use = select(JobRow.id).where(JobRow.owner == owner, JobRow.status.in_(("queued", "running")), uses)
        with self._database.write() as connection:
            _get(connection, dataset_id, owner)
            job_id = connection.execute(in_use.limit(1)).scalar()
            if job_id is not None:
                raise Conflict(f"data set {dataset_id} is used by job {job_id}, which has not ended", "dataset_in_use")
            connection.execute(delete(DatasetRow).where(DatasetRow.id == dataset_id))


def _get(connection: Connection, dataset_id: UUID, owner: str) -> StoredDataset:
    query = select(DatasetRow.__table__).where(DatasetRow.id == dataset_id, DatasetRow.owner == owner)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no data set {dataset_id}")
    return StoredDataset(**row)
