"""Rings after commits, from a thread of its own: no request ever waits for the broker."""

import threading
from collections import Counter

import structlog

from gradline.lanes import Doorbell

MAX_WAITING = 200
"""No more rings than this are left waiting in a lane: past it every worker is awake, and the conductor tops them up."""
PAUSE_S = 0.02
"""Time between two visits to the broker: the first ring goes at once, those of a burst go together."""
log = structlog.get_logger(__name__)


class Bell:
    """Coalesces the rings of many requests into few visits to the broker."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._pending: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ring(self, lane: str) -> None:
        """One ring for a lane, soon; call after the commit."""
        with self._changed:
            self._pending[lane] += 1
            self._changed.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is pending, then end; a ring that does not make it is the conductor's."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        doorbell = Doorbell(self._redis_url)
        while (pending := self._take()) is not None:
            for lane, count in pending.items():
                self._send(doorbell, lane, count)
            self._closed.wait(PAUSE_S)

    def _take(self) -> Counter[str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed.is_set())
            taken, self._pending = self._pending, Counter()
            return taken or None

    def _send(self, doorbell: Doorbell, lane: str, count: int) -> None:
        waiting = doorbell.waiting(lane)
        if waiting is None:
            log.warning("rings_left_to_the_conductor", lane=lane, n_rings=count)
            return
        count = min(count, MAX_WAITING - waiting)
        if count > 0:
            doorbell.ring(lane, count)
