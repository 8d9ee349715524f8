"""Group commit: writes that wait for their turn share one transaction, and one wait for the disk."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from gradline.errors import DependencyDown

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Whichever thread has the turn writes for all that wait for it.

    `write_all` writes what it is given in one transaction and answers in the same order. Where that fails, each is
    written on its own, so that none gets another's error; except on DependencyDown, which may hide a commit.
    """

    def __init__(self, write_all: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._write_all = write_all
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._turn = Lock()

    def write(self, asked: T) -> R:
        """Committed when it returns; raises what `write_all` raises for this one."""
        written = Future[R]()
        self._waiting.append((asked, written))
        with self._turn:
            if not written.done():
                self._settle([self._waiting.popleft() for _ in range(len(self._waiting))])
        return written.result()

    def _settle(self, writes: Sequence[tuple[T, Future[R]]]) -> None:
        try:
            answers = self._write_all([asked for asked, _ in writes])
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits for it
            if len(writes) > 1 and not isinstance(error, DependencyDown):
                for write in writes:
                    self._settle([write])
            else:
                for _, written in writes:
                    written.set_exception(error)
        else:
            for (_, written), answer in zip(writes, answers, strict=True):
                written.set_result(answer)
