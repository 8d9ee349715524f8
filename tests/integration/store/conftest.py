"""What the conformance tests of the job store share. Every test here runs on SQLite and on PostgreSQL."""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text, update

from gradline.db.models import JobRow
from gradline.db.session import Database
from gradline.db.types import db_now


@pytest.fixture
def lapse(database: Database) -> Callable[[UUID], None]:
    """Makes a running job's lease lie in the past, as if its worker had been silent."""

    def lapse(job_id: UUID) -> None:
        with database.write() as connection:
            connection.execute(update(JobRow).where(JobRow.id == job_id).values(lease_expires_at=db_now(-1.0)))

    return lapse


@pytest.fixture
def count(database: Database) -> Callable[[str], int]:
    """Counts the rows of a table."""

    def count(table: str) -> int:
        with database.read() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    return count
