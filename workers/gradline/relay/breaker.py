"""When to leave a server alone that does not answer."""

import random
import time
from collections.abc import Callable

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 10.0
"""A probe is one small request, so that a server that comes back is noticed soon."""


class Breaker:
    """Tripped by a failure, with waits that double and jitter; reset by an answer."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._n_trips = 0
        self._closed_until = 0.0

    @property
    def is_tripped(self) -> bool:
        return self._n_trips > 0

    @property
    def wait_s(self) -> float:
        """Time until the server may be tried."""
        return max(0.0, self._closed_until - self._monotonic())

    def trip(self) -> None:
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._n_trips, 10))
        self._n_trips += 1
        self._closed_until = self._monotonic() + wait_s * random.uniform(0.75, 1.25)  # noqa: S311

    def reset(self) -> None:
        self._n_trips = 0
        self._closed_until = 0.0
