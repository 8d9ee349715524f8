"""Processes as the tests of the supervisor start and see them."""

import os
import sys
from collections.abc import Iterable

import psutil

from gradline.embedded.child import Program

SLEEPER = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); time.sleep(600)"
"""Starts a process of its own that does not listen, and dies without it."""


def python_program(name: str, code: str, **options: object) -> Program:
    return Program(name, [sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    """A zombie is dead: it only waits to be collected by whoever started it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive_in_sessions(sessions: Iterable[int]) -> set[int]:
    """Every live process of these sessions."""
    wanted = set(sessions)
    return {pid for pid in psutil.pids() if _session_of(pid) in wanted and is_alive(pid)}


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
