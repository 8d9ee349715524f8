"""The ends of jobs: written whatever the database does, and beside the next job, so that it waits for no disk."""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

import structlog

from gradline.errors import DependencyDown, LeaseLost

LAST_WORD_S = 300.0
"""How long the end of a job is kept while the database is away."""
LOOK_S = 0.2
"""How often one who waits for an end looks whether to go on waiting."""

log = structlog.get_logger(__name__)


class Endings:
    """One thread that writes ends, one after the other; at most one is not written yet.

    Until it is written the job is running, held by its lease and its fence: whoever kills the process here makes it
    another attempt's, like any that dies before its end.
    """

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, "endings")
        self._unwritten: Future[None] | None = None

    def write_later(self, write: Callable[[], None]) -> None:
        """The log lines of `write` carry what the caller's carry."""
        self.wait()
        self._unwritten = self._writer.submit(copy_context().run, _see_through, write)

    def wait(self, between: Callable[[], None] = lambda: None) -> None:
        """Until nothing is unwritten; `between` is called every so often and may raise."""
        while self._unwritten is not None:
            if wait([self._unwritten], LOOK_S).done:
                self._unwritten = None
            else:
                between()


def _see_through(write: Callable[[], None]) -> None:
    """The one loop of this thread is the pool's: whatever one end raises must not take it from the next."""
    try:
        write()
    except LeaseLost as lost:
        log.warning("lease_lost", error=str(lost))
    except Exception:
        log.exception("end_lost")  # the lease lapses, and another attempt begins


def insist(ending: Callable[[], None]) -> None:
    """Write the end of a job even where the database is away for a while; another attempt beginning ends it."""
    give_up_at = time.monotonic() + LAST_WORD_S
    while True:
        try:
            ending()
        except DependencyDown as down:
            log.warning("end_not_written", error=str(down))
            if time.monotonic() > give_up_at:
                raise
            time.sleep(random.uniform(0.2, 1.0))  # noqa: S311
        else:
            return
