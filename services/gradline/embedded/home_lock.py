"""One stack per data folder: a lock that the kernel releases however its holder dies, and a note of who holds it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from gradline.errors import CallerError


@dataclass(frozen=True)
class Running:
    """What a stack says about itself, in `stack.json` of its data folder."""

    pid: int
    url: str
    mlflow_url: str


class HomeLock:
    """Held from `acquire` to `release`, or to the death of this process."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file: IO[Any] | None = None

    def acquire(self) -> bool:
        """False: another stack holds the folder. Raises CallerError where it cannot be written."""
        with refusing_unwritable(self._home):
            self._home.mkdir(parents=True, exist_ok=True)
            file = (self._home / "stack.lock").open("a")
        if not _lock(file):
            file.close()
            return False
        self._file = file
        _note_path(self._home).unlink(missing_ok=True)
        return True

    def announce(self, running: Running) -> None:
        temporary = _note_path(self._home).with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(running)))
        temporary.replace(_note_path(self._home))

    def release(self) -> None:
        if self._file is not None:
            _note_path(self._home).unlink(missing_ok=True)
            self._file.close()
            self._file = None


@contextmanager
def refusing_unwritable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"the data folder {home.absolute()} cannot be written: {error.strerror}"
        raise CallerError(f"{why}; make it writable, or set GRADLINE_HOME to another") from error


def find_running(home: Path) -> Running | None:
    """The stack that runs on this data folder now, if one does and says where."""
    try:
        running = Running(**json.loads(_note_path(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if _pid_exists(running.pid) else None


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _note_path(home: Path) -> Path:
    return home / "stack.json"


def _lock(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
