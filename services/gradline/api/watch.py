"""One watcher for all streams of this process: a query and a Redis read serve any number of idle streams."""

import json
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import anyio
import redis
import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gradline.db.jobs import JobStore
from gradline.db.records import Mark
from gradline.errors import DependencyDown
from gradline.lanes import redis_address
from gradline.progress import END, stream_key

LOOK_EVERY_S = 0.03
"""Time between two looks at SQL while anybody watches; shorter once a worker tells of an end, longer where a look takes
long (at most a tenth of the time)."""
SILENCE_S = 1.0
"""How long a database or Redis that has just failed is left alone."""
TICKS_KEPT = 100
_BLOCK_MS = 100
_SOCKET_TIMEOUT_S = 2.0
_QUERY_IDS = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tick:
    """Live progress as the worker published it."""

    at: datetime
    data: dict[str, Any]


@dataclass(eq=False)
class Watch:
    """What one stream sees of one job. A reader that is slow loses old ticks, nothing else."""

    job_id: UUID
    mark: Mark | None
    """None once the job has been deleted."""
    ticks: deque[Tick] = field(default_factory=lambda: deque(maxlen=TICKS_KEPT))
    _changed: anyio.Event = field(default_factory=anyio.Event)

    async def wait(self, timeout_s: float = math.inf) -> bool:
        """Until something changed; False where the time ran out."""
        with anyio.move_on_after(timeout_s):
            await self._changed.wait()
        has_changed = self._changed.is_set()
        self._changed = anyio.Event()
        return has_changed

    def wake(self) -> None:
        self._changed.set()


class Watcher:
    """Follows the jobs that somebody watches, in SQL and in Redis."""

    def __init__(self, jobs: JobStore, redis_url: str) -> None:
        self._jobs = jobs
        self._redis_url = redis_url
        self._watches: dict[UUID, set[Watch]] = {}
        self._anybody = anyio.Event()
        self._told = anyio.Event()
        """A job has ended, and SQL is to be looked at now."""
        self._limiter = anyio.CapacityLimiter(4)
        self.is_stopping = False

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_sql)
            tasks.start_soon(self._follow_ticks)

    def stop(self) -> None:
        """End every stream: the process shuts down."""
        self.is_stopping = True
        for watch in self._all():
            watch.wake()

    @asynccontextmanager
    async def watch(self, job_id: UUID) -> AsyncIterator[Watch]:
        """A watch on one job, with its present mark."""
        watch = Watch(job_id, (await self._look([job_id])).get(job_id))
        self._watches.setdefault(job_id, set()).add(watch)
        self._anybody.set()
        try:
            yield watch
        finally:
            watches = self._watches[job_id]
            watches.discard(watch)
            if not watches:
                del self._watches[job_id]

    async def _look(self, job_ids: list[UUID]) -> dict[UUID, Mark]:
        return await anyio.to_thread.run_sync(self._jobs.marks, job_ids, limiter=self._limiter)

    def _all(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    async def _until_watched(self) -> None:
        if not self._watches:
            if self._anybody.is_set():  # both followers wait for the same event
                self._anybody = anyio.Event()
            await self._anybody.wait()

    # --- SQL

    async def _follow_sql(self) -> None:
        while True:
            await self._until_watched()
            began = anyio.current_time()
            try:
                await self._look_at_all(list(self._watches))
            except DependencyDown as down:
                log.warning("watch_failed", error=str(down))
                await anyio.sleep(SILENCE_S)
            rest_s = 9 * (anyio.current_time() - began)
            await anyio.sleep(rest_s)
            with anyio.move_on_after(LOOK_EVERY_S - rest_s):
                await self._told.wait()
            self._told = anyio.Event()

    async def _look_at_all(self, job_ids: list[UUID]) -> None:
        for first in range(0, len(job_ids), _QUERY_IDS):
            some = job_ids[first : first + _QUERY_IDS]
            marks = await self._look(some)
            for job_id in some:
                self._show(job_id, marks.get(job_id))

    def _show(self, job_id: UUID, mark: Mark | None) -> None:
        for watch in self._watches.get(job_id, ()):
            if watch.mark != mark:
                watch.mark = mark
                watch.wake()

    # --- Redis

    async def _follow_ticks(self) -> None:
        client = connect_redis_async(self._redis_url)
        places: dict[UUID, str] = {}
        answers = True
        try:
            while True:
                await self._until_watched()
                try:
                    await self._read_ticks(client, places)
                    answers = True
                except (redis.RedisError, OSError) as error:
                    if answers:
                        log.warning("ticks_unavailable", error=str(error))
                    answers = False
                    await anyio.sleep(SILENCE_S)
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()

    async def _read_ticks(self, client: redis.asyncio.Redis, places: dict[UUID, str]) -> None:
        """One read of all watched streams, blocking for less than the socket's timeout."""
        for job_id in [known for known in places if known not in self._watches]:
            del places[job_id]
        for job_id in [new for new in self._watches if new not in places]:
            newest = await client.xrevrange(stream_key(job_id), count=1)
            places[job_id] = self._take(job_id, newest) or "0"
        streams: dict[Any, Any] = {stream_key(job_id): place for job_id, place in places.items()}
        found: Any = await client.xread(streams, count=TICKS_KEPT, block=_BLOCK_MS) if streams else None
        for key, entries in found or ():
            job_id = UUID(_text(key).partition(":")[2])
            places[job_id] = self._take(job_id, entries) or places[job_id]

    def _take(self, job_id: UUID, entries: Any) -> str | None:
        """Hand entries to whoever watches the job; the place of the last one."""
        place = None
        for entry_id, fields in entries:
            place = _text(entry_id)
            if END.encode() in fields:
                self._told.set()
                continue
            tick = Tick(_time_of(place), json.loads(fields[b"data"]))
            for watch in self._watches.get(job_id, ()):
                watch.ticks.append(tick)
                watch.wake()
        return place


def connect_redis_async(url: str) -> redis.asyncio.Redis:
    """A client that gives up soon and never tries again by itself."""
    connect = partial(redis.asyncio.Redis.from_url, redis_address(url), retry=Retry(NoBackoff(), 0))
    return connect(socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _time_of(entry_id: str) -> datetime:
    return datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
