"""Fixtures of every test: both databases, Redis and an artifact store, all of them real.

A server that cannot be had skips its tests on a developer's machine and fails them in CI (`CI` set).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from gradline.db import migrations
from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.models import Table
from gradline.db.session import Database
from gradline.storage import ArtifactStore
from tests.servers import PostgreSQLServer, RedisServer

os.environ["OMP_NUM_THREADS"] = "1"
"""As in a worker's child: sums depend on it, also those of the processes that a test starts."""


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    with tempfile.TemporaryDirectory(prefix="gradline-postgresql-") as folder:  # a socket's path must be short
        try:
            server = PostgreSQLServer(Path(folder))
        except Exception as error:  # noqa: BLE001  whatever keeps it from starting
            _unavailable(f"PostgreSQL does not start: {error!r}")
        yield server
        server.remove()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgreSQLServer) -> Iterator[Database]:
    """Migrated once and emptied for each test: that takes a tenth of making another database."""
    database = Database(postgresql_server.url(postgresql_server.create_database()), pool_size=1)
    migrations.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def postgresql_url(migrated_postgresql: Database) -> str:
    """A migrated, empty PostgreSQL database; don't change its schema."""
    tables = ", ".join(Table.metadata.tables)
    with migrated_postgresql.write() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
    return migrated_postgresql.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "gradline.db"
    database = Database(f"sqlite:///{path}")
    migrations.upgrade(database)
    database.close()  # the last connection takes the write-ahead log into the file
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated, empty SQLite file for one test."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'gradline.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Runs the test on each database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def job_store(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def drawing_store(database: Database) -> DrawingStore:
    return DrawingStore(database)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="gradline-redis-") as folder:
        try:
            server = RedisServer(Path(folder))
        except Exception as error:  # noqa: BLE001  whatever keeps it from starting
            _unavailable(f"no Redis starts: {error!r}")
        yield server
        server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def artifact_store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path / 'store'}")


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
