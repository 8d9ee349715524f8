"""Connections to the database: one class, two dialects."""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any

import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from gradline.errors import DependencyDown

WAL_RESET_FIXED = (3, 51, 3)
"""Older SQLite can corrupt a database in write-ahead-log mode when two connections reset the log at once."""
BUSY_TIMEOUT_S = 15
"""How long a connection to SQLite waits for another that holds the lock."""


class Database:
    """`read()` and `write()` transactions on SQLite or PostgreSQL.

    On SQLite a write transaction takes the write lock when it begins: one that reads first and locks later
    fails at once, whatever the busy timeout, if another writer came between. The threads of one process take turns
    before they ask for it: SQLite's own waiting sleeps, and lets the unlucky wait for seconds.
    """

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turn: AbstractContextManager[Any] = Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size)
            self._reader = _sqlite_engine(url, "BEGIN", pool_size)
        else:
            self._writer = self._reader = _postgresql_engine(url, pool_size)

    @property
    def engine(self) -> Engine:
        """The engine that writes; for migrations."""
        return self._writer

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _dependency_errors(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Commits at the end of the block. A DependencyDown from here may hide a commit: re-read before assuming."""
        with _dependency_errors(), self._turn, self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()


@contextmanager
def _dependency_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DependencyDown(f"the database does not answer: {error.orig}") from error
    except PoolTimeout as error:
        raise DependencyDown(f"every connection to the database is in use: {error}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DependencyDown(f"the connection to the database was lost: {error.orig}") from error
        raise


def _dumps(value: Any) -> str:
    # NaN is no JSON: PostgreSQL refuses it, SQLite would let it through to a client that cannot read it.
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _postgresql_engine(url: str, pool_size: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=5,
        json_serializer=_dumps,
        connect_args={
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "options": "-c lock_timeout=5s -c statement_timeout=20s -c idle_in_transaction_session_timeout=30s "
            "-c timezone=UTC",
        },
    )


def _sqlite_engine(url: str, begin: str, pool_size: int) -> Engine:
    engine = create_engine(
        url, module=pysqlite3, pool_size=pool_size, max_overflow=0, pool_timeout=15, json_serializer=_dumps
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
        _set_journal_mode(connection)
        for pragma in ("synchronous = full", "foreign_keys = on"):
            connection.execute(f"PRAGMA {pragma}")

    def begin_transaction(dbapi_connection: Any) -> None:
        dbapi_connection.execute(begin)

    # Not a listener for "begin": an engine with one asks before and after every statement whether more listen.
    engine.dialect.do_begin = begin_transaction  # type: ignore[method-assign]
    return engine


def _set_journal_mode(connection: Any) -> None:
    """Of several that open a new file at once SQLite tells all but one that it is locked, whatever the busy timeout."""
    mode = "wal" if pysqlite3.sqlite_version_info >= WAL_RESET_FIXED else "delete"
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            return
        except pysqlite3.OperationalError as error:
            if error.sqlite_errorcode != pysqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
