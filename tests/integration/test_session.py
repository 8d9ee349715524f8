"""What a transaction of ours is on each database, and what becomes of it when the database goes away."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pysqlite3
import pytest
from sqlalchemy import text

from gradline.db import migrations
from gradline.db.jobs import JobStore
from gradline.db.session import WAL_RESET_FIXED, Database
from gradline.errors import DependencyDown
from gradline.status import JobStatus
from tests.factories import new_job
from tests.integration.store.steps import claimed, fence, reread, submitted
from tests.servers import PostgreSQLServer
from tests.waiting import wait_until


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgreSQLServer]:
    """A server that may be stopped without hurting another test."""
    with tempfile.TemporaryDirectory(prefix="gradline-postgresql-") as folder:
        server = PostgreSQLServer(Path(folder))
        yield server
        server.remove()


def test_a_write_takes_the_only_write_lock_when_it_begins(sqlite: Database) -> None:
    other = pysqlite3.connect(sqlite.url.database, timeout=0, isolation_level=None)
    with sqlite.write():
        with pytest.raises(pysqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        other.execute("COMMIT")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_reads_go_on_while_a_write_is_open_and_see_what_was_committed(sqlite: Database) -> None:
    job_store = JobStore(sqlite)
    with sqlite.write() as connection:
        connection.execute(text("UPDATE jobs SET priority = 1"))
        assert job_store.list_jobs("ada") == []
        assert job_store.lane_depths() == []


def test_writers_wait_for_one_another_instead_of_failing(sqlite: Database) -> None:
    second = Database(sqlite.url.render_as_string())
    began = threading.Event()

    def submit() -> None:
        began.set()
        JobStore(second).submit(new_job())

    thread = threading.Thread(target=submit)
    with sqlite.write():
        thread.start()
        began.wait()
        assert JobStore(sqlite).list_jobs("ada") == []
    thread.join()
    assert len(JobStore(sqlite).list_jobs("ada")) == 1
    second.close()


@pytest.mark.parametrize("mode", ["read", "write"])
def test_every_connection_is_durable_and_keeps_foreign_keys(sqlite: Database, mode: str) -> None:
    assert pysqlite3.sqlite_version_info >= WAL_RESET_FIXED
    with getattr(sqlite, mode)() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15000}


def test_several_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    failures: list[DependencyDown] = []

    def read(database: Database, barrier: threading.Barrier) -> None:
        barrier.wait()
        try:
            with database.read() as connection:
                connection.execute(text("SELECT 1"))
        except DependencyDown as error:
            failures.append(error)
        finally:
            database.close()

    for k in range(100):  # without waiting for one another, about 1 in 20 failed
        barrier = threading.Barrier(8)
        databases = [Database(f"sqlite:///{tmp_path / f'{k}.db'}") for _ in range(8)]
        threads = [threading.Thread(target=read, args=(database, barrier)) for database in databases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    worker = "INSERT INTO workers (id, hostname, pid, lane, device, n_slots) VALUES ('w', 'h', 1, 'cpu', 'd', 1)"
    with suppress(ZeroDivisionError), database.write() as connection:
        connection.execute(text(worker))
        raise ZeroDivisionError
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM workers")).scalar() == 0


def test_a_database_that_cannot_be_opened_is_a_dependency_that_is_down(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'no' / 'folder.db'}", "postgresql+psycopg://nobody@127.0.0.1:1/none"):
        database = Database(url)
        with pytest.raises(DependencyDown, match="database does not answer"):
            JobStore(database).list_jobs("ada")
        database.close()


def test_a_pool_without_a_free_connection_is_a_dependency_that_is_down(postgresql_url: str) -> None:
    database = Database(postgresql_url, pool_size=1)
    database.engine.pool._timeout = 0.05
    with database.read(), pytest.raises(DependencyDown, match="in use"), database.read():
        pass
    database.close()


def test_a_lock_that_is_not_given_is_a_dependency_that_is_down(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    job = submitted(JobStore(database))
    with database.write() as connection:
        connection.execute(text("UPDATE jobs SET priority = 1"))
        with pytest.raises(DependencyDown, match="lock timeout"):
            _set_priority_without_patience(database)
    assert reread(JobStore(database), job).priority == 1
    database.close()


def test_after_a_crash_of_the_server_everything_committed_is_there_and_work_goes_on(
    own_server: PostgreSQLServer,
) -> None:
    database = Database(own_server.url(own_server.create_database()))
    migrations.upgrade(database)
    job_store = JobStore(database)
    queued = submitted(job_store)
    running = claimed(job_store)
    waiting = submitted(job_store)
    own_server.stop()
    for call in (
        lambda: job_store.list_jobs("ada"),
        lambda: job_store.submit(new_job()),
        lambda: job_store.renew(fence(running)),
    ):
        with pytest.raises(DependencyDown):
            call()
    own_server.start()
    wait_until(lambda: _answers(job_store), 20)
    assert running.id == queued.id
    assert reread(job_store, running) == running
    job_store.finish(fence(running), JobStatus.SUCCEEDED)
    assert claimed(job_store).id == waiting.id
    database.close()


def _set_priority_without_patience(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        connection.execute(text("UPDATE jobs SET priority = 2"))


def _answers(job_store: JobStore) -> bool:
    try:
        job_store.list_jobs("ada")
    except DependencyDown:
        return False
    return True
