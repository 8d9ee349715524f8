"""A stack of its own for a test, as a user would start it: `gradline up` in another process."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import wait_until

BIN = Path(sys.executable).parent
START_S = 120.0
STOP_S = 60.0
SHELL_FILES = 1024
"""How many files a login shell lets a process open, on most systems."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a user's shell has, with this data folder and nothing else of ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GRADLINE_", "MLFLOW_"))}
    return {**inherited, "PATH": f"{BIN}:{os.environ['PATH']}", "GRADLINE_HOME": str(home), **more}


@dataclass
class Beside:
    """A command that runs beside the stack."""

    process: subprocess.Popen[bytes]
    talk: Path


@dataclass
class OneMachine:
    """A running `gradline up`."""

    home: Path
    process: subprocess.Popen[bytes]
    talk: Path
    """What it has said on stderr."""

    @classmethod
    def start(cls, folder: Path) -> "OneMachine":
        folder.mkdir(parents=True, exist_ok=True)
        home, talk = folder / "home", folder / "talk"
        up = f"{BIN / 'gradline'} up --port 0 --mlflow-port 0 --workers 1"
        command = ["bash", "-c", f"ulimit -S -n {SHELL_FILES}; exec {up}"]
        with talk.open("wb") as err:
            process = subprocess.Popen(command, env=environment(home), cwd=folder, stdout=err, stderr=err)
        stack = cls(home, process, talk)
        wait_until(lambda: "Ready for jobs" in talk.read_text() or process.poll() is not None, START_S)
        assert process.poll() is None, talk.read_text()
        return stack

    @property
    def note(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads((self.home / "stack.json").read_text())
        return note

    @property
    def url(self) -> str:
        return str(self.note["url"])

    def run(self, *command: str, timeout_s: float = 120.0, **env: str) -> subprocess.CompletedProcess[str]:
        """A command in another terminal beside it."""
        return subprocess.run(
            command,
            env=environment(self.home, **env),
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start_command(self, *command: str) -> "Beside":
        """A command that is not waited for. It hears Ctrl-C even where a shell started the tests in the background."""
        talk = self.home.parent / f"talk-{command[1]}"
        hearing = ("env", "--default-signal=INT", *command)
        with talk.open("wb") as err:
            started = subprocess.Popen(hearing, env=environment(self.home), stdout=subprocess.DEVNULL, stderr=err)
        return Beside(started, talk)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)

    def clear_away(self) -> None:
        """Whatever became of the test."""
        for process in processes_of(self.home):
            process.kill()
        self.process.wait()


def processes_of(home: Path) -> list[psutil.Process]:
    """Every live process that was started with this data folder, whoever its parent is by now."""
    return [process for process in psutil.process_iter() if _has_home(process, home)]


def _has_home(process: psutil.Process, home: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("GRADLINE_HOME") == str(home)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
