"""A process of the stack, in a session of its own, writing to its own log file."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from gradline.embedded import guard

LAUNCH = Path(__file__).with_name("launch.py")
LOG_MAX_BYTES = 5_000_000
START_MARK = "--- "
"""Begins the line that every start adds to the log."""
ERROR_LINE = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Fault|NotFound)\b(: |$)")
RESTART_MIN_S, RESTART_MAX_S = 0.5, 30.0
HEALTHY_S = 60.0
"""A process that lived this long starts its next failure from the shortest wait."""


@dataclass(frozen=True)
class Program:
    """What to run, after what, and how to see that it is ready."""

    name: str
    command: list[str]
    after: tuple[str, ...] = ()
    """Programs that must be ready before this one starts."""
    layer: int = 1
    """Stopping goes from the highest layer to the lowest."""
    niceness: int = 0
    """Above 0: leaves the processors to the others when they are short."""
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    """Called before each start."""
    is_ready: Callable[[], bool] = lambda: True
    waited_for_s: float = math.inf
    """Those that are to start after it wait no longer than this from its first start."""


class Guard:
    """The pipe to the process that ends the others should this one be killed."""

    def __init__(self, grace_s: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-I", "-S", guard.__file__, str(grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def add(self, pgid: int) -> None:
        self._say(f"+{pgid}\n")

    def remove(self, pgid: int) -> None:
        self._say(f"-{pgid}\n")

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except BrokenPipeError:  # somebody killed the guard: the processes still die with their parent (launch.py)
                pass


class Child:
    """One program and its process, over all its restarts."""

    def __init__(self, program: Program, log_path: Path, guard: Guard) -> None:
        self.program = program
        self.log_path = log_path
        self.is_ready = False
        self.was_ready = False
        """Whether it has ever been."""
        self.n_failures = 0
        """Deaths since it was last well."""
        self.start_at = 0.0
        """Not before this moment of the monotonic clock."""
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._first_started_at = math.inf

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_waited_for(self) -> bool:
        """Whether what starts after it has to wait."""
        return not self.was_ready and time.monotonic() - self._first_started_at <= self.program.waited_for_s

    def start(self) -> None:
        self.program.prepare()
        arguments = [str(os.getpid()), str(self.program.niceness), *self.program.command]
        with _open_log(self.log_path) as log:
            log.write(f"{START_MARK}{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: starting {self.program.name}\n".encode())
            log.flush()
            self._process = subprocess.Popen(  # noqa: S603  commands are composed in stack.py, never by a user
                [sys.executable, "-I", "-S", str(LAUNCH), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self.program.env},
            )
        self._guard.add(self._process.pid)
        self._started_at = time.monotonic()
        self._first_started_at = min(self._first_started_at, self._started_at)

    def look(self) -> int | None:
        """Ask whether it has become ready; its exit code if it has ended, after which it may be started again."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            self._ended()
        elif not self.is_ready and self.program.is_ready():
            self.is_ready = self.was_ready = True
        return code

    def signal(self, number: int) -> None:
        if self._process is not None:
            guard.signal_groups({self._process.pid}, number)

    def is_gone(self) -> bool:
        """Whether nothing of its process group is left."""
        if self._process is None:
            return True
        if self._process.poll() is None or guard.group_exists(self._process.pid):
            return False
        self._forget()
        return True

    def tail(self, n_lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join(_lines(self.log_path)[-n_lines:])

    def fail(self) -> None:
        """Count a death, or a start that failed, and put off the next start."""
        self.n_failures = 1 if self.is_ready and self._age_s() > HEALTHY_S else self.n_failures + 1
        self.start_at = time.monotonic() + min(RESTART_MAX_S, RESTART_MIN_S * 2 ** (self.n_failures - 1))

    def _age_s(self) -> float:
        return time.monotonic() - self._started_at

    def _ended(self) -> None:
        # What it started itself must not live on beside its successor.
        self.signal(signal.SIGKILL)
        self.fail()
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._guard.remove(self._process.pid)
        self._process, self.is_ready = None, False


def last_error(log: Path) -> str:
    """The newest line that ends a traceback, such as `ImportError: no torch`, of this start or the one before."""
    lines = _lines(log)
    starts = [at for at, line in enumerate(lines) if line.startswith(START_MARK)]
    newest = reversed(lines[starts[-2] if len(starts) > 1 else 0 :])
    return next((line for line in newest if ERROR_LINE.match(line)), "")


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
