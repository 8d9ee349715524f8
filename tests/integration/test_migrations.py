"""The migrations make what models.py declares, up and down, with and without data, on both databases."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from gradline.db import migrations
from gradline.db.jobs import JobStore
from gradline.db.models import Table
from gradline.db.runs import RunStore
from gradline.db.session import Database
from gradline.status import JobStatus
from tests.factories import artifact, metric, new_job
from tests.integration.store.steps import claimed, fence
from tests.servers import PostgreSQLServer


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Makes empty databases: no table in them yet."""
    made: list[Database] = []

    def make() -> Database:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / f'{len(made)}.db'}"
        else:
            server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
            url = server.url(server.create_database())
        made.append(Database(url))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def empty(make_database: Callable[[], Database]) -> Database:
    return make_database()


def test_an_upgraded_database_has_what_the_models_declare(empty: Database) -> None:
    migrations.upgrade(empty)
    with empty.read() as connection:
        options = {"version_table": migrations.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Table.metadata) == []


def test_columns_defaults_checks_and_indices_are_those_of_the_models(make_database: Callable[[], Database]) -> None:
    migrated, declared = make_database(), make_database()
    migrations.upgrade(migrated)
    Table.metadata.create_all(declared.engine)
    found = _schema(migrated)
    assert found == _schema(declared)
    assert set(found) == set(Table.metadata.tables)
    assert "ix_jobs_queue" in str(found["jobs"])
    assert "status_known" in str(found["jobs"])


def test_a_new_row_gets_the_databases_time(empty: Database) -> None:
    migrations.upgrade(empty)
    job, _ = JobStore(empty).submit(new_job())
    again = JobStore(empty).submit(new_job())[0]
    assert 0 <= (again.created_at - job.created_at).total_seconds() < 60


def test_an_upgrade_can_be_taken_back_and_done_again_with_data(empty: Database) -> None:
    for _ in range(2):
        migrations.upgrade(empty)
        job_store = JobStore(empty)
        job_store.submit(new_job())
        job = claimed(job_store)
        job_store.finish(fence(job), JobStatus.SUCCEEDED, events=[metric(1)], artifacts=[artifact()], drawings=["loss"])
        migrations.downgrade(empty, "base")
        assert set(inspect(empty.engine).get_table_names()) <= {migrations.VERSION_TABLE}
        assert migrations.current(empty) is None
    if not empty.is_sqlite:
        with empty.read() as connection:
            left = connection.execute(text("SELECT proname FROM pg_proc WHERE proname LIKE 'gradline%'")).all()
        assert left == []


def test_jobs_that_wait_lose_the_runs_of_an_older_version_and_get_them_back(empty: Database) -> None:
    migrations.upgrade(empty)
    job_store, runs = JobStore(empty), RunStore(empty)
    begun, waiting = (job_store.submit(new_job())[0] for _ in range(2))
    assert claimed(job_store).id == begun.id
    migrations.downgrade(empty, "0002")
    assert set(runs.find_all([begun.id, waiting.id])) == {begun.id, waiting.id}
    assert claimed(job_store).id == waiting.id, "a run that is there already is no hindrance"
    last, _ = job_store.submit(new_job())
    migrations.upgrade(empty)
    assert set(runs.find_all([begun.id, waiting.id, last.id])) == {begun.id, waiting.id}


def test_an_upgrade_that_is_done_changes_nothing(empty: Database) -> None:
    assert not migrations.is_current(empty)
    migrations.upgrade(empty)
    job, _ = JobStore(empty).submit(new_job())
    migrations.upgrade(empty)
    assert migrations.is_current(empty)
    assert migrations.current(empty) == migrations.head()
    assert JobStore(empty).find(job.id) == job


def test_mlflows_version_table_in_the_same_database_is_left_alone(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of mlflow')"))
    migrations.upgrade(empty)
    migrations.downgrade(empty, "base")
    with empty.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["of mlflow"]


def test_several_processes_may_upgrade_at_once(empty: Database) -> None:
    url = empty.url.render_as_string(hide_password=False)
    databases = [Database(url) for _ in range(4)]
    failures: list[BaseException] = []

    def upgrade(database: Database) -> None:
        try:
            migrations.upgrade(database)
        except BaseException as error:  # noqa: BLE001  whatever it is, the test shows it
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=upgrade, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert migrations.is_current(empty)


def test_foreign_keys_are_on_again_after_a_migration(empty: Database) -> None:
    if not empty.is_sqlite:
        return
    migrations.upgrade(empty)
    for _ in range(12):  # every connection of the pool
        with empty.write() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_command_upgrades_what_the_settings_name(tmp_path: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error", "-m", "gradline.db.migrations", *arguments]
        environment = os.environ | {"GRADLINE_HOME": str(tmp_path / "new home"), "GRADLINE_DATABASE_URL": ""}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run("current").returncode == 1
    upgraded = run("upgrade")
    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert migrations.head() in upgraded.stdout
    assert run("current").returncode == 0
    assert run("downgrade", "base").returncode == 0
    assert run("current").returncode == 1


def test_the_command_says_when_the_database_does_not_answer(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    command = [sys.executable, "-m", "gradline.db.migrations", "upgrade"]
    done = subprocess.run(
        command, env=os.environ | {"GRADLINE_DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the database does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def _schema(database: Database) -> dict[str, Any]:
    """Everything of the tables that the database itself can tell."""
    inspector = inspect(database.engine)
    return {
        name: {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], c.get("default")) for c in inspector.get_columns(name)
            },
            "key": inspector.get_pk_constraint(name),
            "checks": sorted(map(str, inspector.get_check_constraints(name))),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "foreign": sorted(map(str, inspector.get_foreign_keys(name))),
            "indices": _indices(database, name),
        }
        for name in inspector.get_table_names()
        if name != migrations.VERSION_TABLE
    }


def _indices(database: Database, table: str) -> list[str]:
    query = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
        if database.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE tablename = :table"
    )
    with database.read() as connection:
        return sorted(connection.execute(text(query), {"table": table}).scalars())
