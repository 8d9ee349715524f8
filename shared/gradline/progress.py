"""Ticks: live progress in a capped, expiring Redis stream per job. Best effort; nothing rests on it."""

import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import redis
import structlog

from gradline.lanes import connect_redis

MAX_TICKS = 500
EXPIRY_S = 3600
MIN_INTERVAL_S = 0.05
"""At most twenty ticks a second."""
END = "is_end"
"""The field of an entry that is no tick: the job's end stands in the database."""
SILENCE_S = 5.0
"""How long a publisher leaves a Redis alone that has just failed it."""

log = structlog.get_logger(__name__)


def stream_key(job_id: UUID) -> str:
    return f"progress:{job_id}"


class TickPublisher:
    """Sends ticks, of one job after the other; drops what comes too fast, and everything while Redis is away."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect_redis(redis_url, timeout_s=0.5)
        self._next_at = 0.0
        self._silent_until = 0.0

    def is_due(self) -> bool:
        """Ask before computing what a tick says."""
        return time.monotonic() >= max(self._next_at, self._silent_until)

    def publish(self, job_id: UUID, tick: Mapping[str, Any]) -> None:
        self._next_at = time.monotonic() + MIN_INTERVAL_S
        self._add(job_id, {"data": json.dumps(tick)})

    def tell_of_end(self, job_id: UUID) -> None:
        """Once its end is written: who watches the job looks at once, and not when it would anyway."""
        if time.monotonic() >= self._silent_until:
            self._add(job_id, {"data": "{}", END: "1"})

    def _add(self, job_id: UUID, fields: dict[Any, Any]) -> None:
        key = stream_key(job_id)
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(key, fields, maxlen=MAX_TICKS, approximate=True)
                pipe.expire(key, EXPIRY_S)
                pipe.execute()
        except redis.RedisError as error:
            self._silent_until = time.monotonic() + SILENCE_S
            log.warning("tick_failed", error=str(error))

    def close(self) -> None:
        self._redis.close()
