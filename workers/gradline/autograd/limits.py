"""Bounds on a program's run: statements, elements, memory, text and time."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True, slots=True)
class Limits:
    statements: int = 200_000
    """Statements executed, loop turns and calls included."""
    tensor_elements: int = 1_000_000
    """Of one tensor."""
    memory_bytes: int = 1 << 30
    """By which the process may grow."""
    seconds: float = 60.0
    printed_characters: int = 100_000
    list_items: int = 100_000
    integer_bits: int = 4_096
    call_depth: int = 40


class LimitReached(Exception):
    """A program went over a limit; it names which."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.message = message
        self.line: int | None = None
        """The statement that was running."""


LARGE = 10_000
"""Items or elements from which on one operation is worth a look at the clock and the memory."""


@dataclass(slots=True)
class Budget:
    """What is left of the limits."""

    limits: Limits
    check_stop: Callable[[], None] = lambda: None
    """Raises what must end the run at once: a cancel, a deadline, a lost lease."""
    statements: int = 0
    printed: int = 0
    _ends_at: float = field(init=False)
    _grown_from: int = field(init=False)
    _process: psutil.Process = field(init=False)

    def __post_init__(self) -> None:
        self._ends_at = time.monotonic() + self.limits.seconds
        self._process = psutil.Process()
        self._grown_from = self._resident_bytes()

    def step(self) -> None:
        """One more statement, loop turn or call."""
        self.statements += 1
        if self.statements > self.limits.statements:
            raise LimitReached("statements", f"more than {self.limits.statements} statements were executed")
        self.check_time()
        if self.statements & 63 == 0:
            self.check_memory()

    def check_time(self) -> None:
        if time.monotonic() > self._ends_at:
            raise LimitReached("seconds", f"the program ran for more than {self.limits.seconds:g} s")
        self.check_stop()

    def check_memory(self, needed_bytes: int = 0) -> None:
        """Before whatever needs much at once, with how much that is where it is known: nothing can interrupt it."""
        if self._has_room(needed_bytes):
            return
        gc.collect()
        if not self._has_room(needed_bytes):
            raise LimitReached("memory_bytes", f"the program needs more than {self.limits.memory_bytes >> 20} MiB")

    def _has_room(self, needed_bytes: int) -> bool:
        return self._resident_bytes() - self._grown_from + needed_bytes <= self.limits.memory_bytes

    def _resident_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def check_items(self, n: float, what: str = "a list") -> None:
        if n > self.limits.list_items:
            raise LimitReached("list_items", f"{what} of {n:.0f} items; the limit is {self.limits.list_items}")
        if n > LARGE:
            self.check_memory()

    def check_integer(self, bits: float) -> None:
        if bits > self.limits.integer_bits:
            raise LimitReached("integer_bits", f"a whole number of more than {self.limits.integer_bits} bits")

    def check_printed(self, n: int) -> None:
        self.printed += n
        if self.printed > self.limits.printed_characters:
            limit = self.limits.printed_characters
            raise LimitReached("printed_characters", f"more than {limit} characters were printed")

    def check_elements(self, n: float) -> None:
        if n > self.limits.tensor_elements:
            limit = self.limits.tensor_elements
            raise LimitReached("tensor_elements", f"a tensor of {n:.0f} elements; the limit is {limit}")
