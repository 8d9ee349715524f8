"""The schema's history, and the commands that move a database along it.

`versions/` holds one file a revision, oldest first. Notes for whoever adds one:
- SQLite changes a table by copying it (batch mode), and a copied table has lost its triggers: make them again.
- Each upgrade and downgrade is one transaction on both databases; one migrator works at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gradline.db.session import Database

VERSION_TABLE = "gradline_alembic_version"
"""Not Alembic's own name, so that MLflow may keep its tables in the same database."""
_LOCK_KEY = 0x67726164_6C696E65
"""PostgreSQL's advisory lock of whoever migrates: "gradline" in ASCII."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to the revision; nothing happens where it is there already."""
    with _exclusive(database) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to an earlier revision, `base` for none of it."""
    with _exclusive(database) as connection:
        command.downgrade(_config(connection), revision)


def current(database: Database) -> str | None:
    """The revision the database is at; None before the first upgrade."""
    with database.read() as connection:
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def is_current(database: Database) -> bool:
    """Whether the database has the schema that this code expects."""
    return current(database) == head()


@cache
def head() -> str:
    """The newest revision."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("the migrations are not installed: gradline/db/migrations/versions is empty")
    return revision


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """A transaction in which nobody else migrates."""
    if database.is_sqlite:
        with database.engine.connect() as connection, _foreign_keys_off(connection), connection.begin():
            yield connection
            _refuse_orphans(connection)
    else:
        with database.write() as connection:
            for limit in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            yield connection


@contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Copying a table drops the old one, and with foreign keys on that would delete every row that points at it."""
    raw: Any = (
        connection.connection.driver_connection
    )  # past SQLAlchemy's BEGIN: in a transaction the PRAGMA does nothing
    raw.execute("PRAGMA foreign_keys = off")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = on")


def _refuse_orphans(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(
            f"the migration left {len(broken)} rows whose foreign key points nowhere, first: {broken[0]}"
        )
