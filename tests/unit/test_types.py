"""UtcDateTime and the database's clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, literal, select
from sqlalchemy.exc import StatementError

from gradline.db.session import Database
from gradline.db.types import UtcDateTime, db_now

moments = Table("moments", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.fixture
def stored(tmp_path: object) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/moments.db")
    moments.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
    ],
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(stored: Database, moment: datetime) -> None:
    with stored.write() as connection:
        connection.execute(insert(moments).values(id=1, at=moment))
    with stored.read() as connection:
        found = connection.execute(select(moments.c.at)).scalar_one()
    assert found == moment
    assert found.tzinfo is UTC


def test_no_moment_stays_no_moment(stored: Database) -> None:
    with stored.write() as connection:
        connection.execute(insert(moments).values(id=1, at=None))
        assert connection.execute(select(moments.c.at)).scalar_one() is None


def test_a_moment_without_a_time_zone_is_refused(stored: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  that is the point
    with pytest.raises(StatementError, match="no time zone"), stored.write() as connection:
        connection.execute(insert(moments).values(id=1, at=naive))


@pytest.mark.parametrize("offset_s", [0.0, 30.0, -3600.0, 0.25, 1e-6, 86400.5])
def test_the_databases_clock_is_now_and_may_be_shifted(database: Database, offset_s: float) -> None:
    with database.read() as connection:
        shifted, now = connection.execute(select(db_now(offset_s), db_now())).one()
        given = connection.execute(select(db_now(bindparam("wait_s"))), {"wait_s": offset_s}).scalar_one()
    assert abs((shifted - now).total_seconds() - offset_s) < 0.002
    assert abs((given - now).total_seconds() - offset_s) < 1.0
    assert now.tzinfo is UTC
    assert abs((now - datetime.now(UTC)).total_seconds()) < 5


def test_a_stored_moment_compares_with_the_clock(database: Database) -> None:
    now = datetime.now(UTC)
    with database.read() as connection:
        before = literal(now - timedelta(seconds=60), UtcDateTime)
        after = literal(now + timedelta(seconds=60), UtcDateTime)
        assert connection.execute(select(before < db_now(), db_now() < after)).one() == (True, True)
