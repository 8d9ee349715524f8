"""Starts programs in order, starts again what dies, and stops everything in reverse. Nothing outlives it.

One thread owns all the processes: the kernel ends a child when the *thread* that started it ends (launch.py).
"""

import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from gradline.embedded.child import Child, Guard, Program, last_error
from gradline.errors import DependencyDown

TURN_S = 0.05
GIVE_UP_AFTER = 3
"""Whoever waits for a program that died this often before it was ever ready is told so."""


class Supervisor:
    """`start`, `wait_until_ready`, `stop`; `announce` is called with a line for people when something happens."""

    def __init__(
        self, programs: Sequence[Program], logs: Path, grace_s: float, announce: Callable[[str], None]
    ) -> None:
        self._grace_s = grace_s
        self._announce = announce
        self._guard = Guard(grace_s)
        self._children = {
            program.name: Child(program, logs / f"{program.name}.log", self._guard) for program in programs
        }
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._killing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def start(self) -> None:
        self._thread.start()

    def wait_until_ready(
        self, names: Collection[str], timeout_s: float, interrupted: threading.Event | None = None
    ) -> bool:
        """Whether they became ready in time. Raises DependencyDown where one will not start; False on `interrupted`."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while not all(self._children[name].was_ready for name in names):
                self._raise_if_hopeless(names)
                if time.monotonic() >= end or (interrupted is not None and interrupted.is_set()):
                    return False
                self._changed.wait(0.2)
        return True

    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def stop(self, hurry: threading.Event | None = None) -> None:
        """Returns when nothing is left; at once and without manners when `hurry` is or becomes set."""
        self._stopping.set()
        while self._thread.is_alive():
            if hurry is not None and hurry.is_set():
                self._killing.set()
            self._thread.join(TURN_S)
        self._guard.close()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TURN_S):
                self._turn()
            self._stop_layers()
        finally:
            self._kill_all()

    def _turn(self) -> None:
        for child in self._children.values():
            was_ready = child.is_ready
            if not child.is_running:
                self._start_if_due(child)
            elif (code := child.look()) is not None:
                self._report_death(child, code)
            if child.is_ready != was_ready:
                with self._changed:
                    self._changed.notify_all()

    def _start_if_due(self, child: Child) -> None:
        waits = any(self._children[name].is_waited_for for name in child.program.after)
        if waits or time.monotonic() < child.start_at:
            return
        try:
            child.start()
        except OSError as error:  # no memory or no process left on this machine
            child.fail()
            self._announce(f"{child.program.name} cannot be started: {error}")

    def _report_death(self, child: Child, code: int) -> None:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        why = "" if child.was_ready else last_error(child.log_path)
        wait_s = max(0.0, child.start_at - time.monotonic())
        self._announce(
            f"{child.program.name} ended ({how}{why and f': {why}'}); starting it again in {wait_s:.1f} s. "
            f"Log: {child.log_path}"
        )
        with self._changed:
            self._changed.notify_all()

    def _raise_if_hopeless(self, names: Collection[str]) -> None:
        for name in names:
            child = self._children[name]
            if not child.was_ready and child.n_failures >= GIVE_UP_AFTER:
                raise DependencyDown(f"{name} does not start; the end of {child.log_path}:\n{child.tail()}")

    def _stop_layers(self) -> None:
        for layer in sorted({child.program.layer for child in self._children.values()}, reverse=True):
            members = [child for child in self._children.values() if child.program.layer == layer]
            for child in members:
                child.signal(signal.SIGTERM)
            self._wait_until_gone(members, self._grace_s, unless=self._killing)
            for child in members:
                child.signal(signal.SIGKILL)

    def _kill_all(self) -> None:
        for child in self._children.values():
            child.signal(signal.SIGKILL)
        # A container without an init process never reaps what our processes left behind, so this wait is bounded.
        self._wait_until_gone(list(self._children.values()), 5.0)

    def _wait_until_gone(
        self, children: Sequence[Child], timeout_s: float, unless: threading.Event | None = None
    ) -> None:
        end = time.monotonic() + timeout_s
        while not all(child.is_gone() for child in children) and time.monotonic() < end:
            if unless is not None and unless.is_set():
                return
            time.sleep(TURN_S)
