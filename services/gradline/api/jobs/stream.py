"""A job's events as Server-Sent Events: what is stored, then what comes, until no more can."""

import math
from collections.abc import AsyncIterator
from uuid import UUID

import anyio
from fastapi.sse import ServerSentEvent
from pydantic_core import to_json

from gradline.api.watch import Tick, Watch, Watcher
from gradline.db.jobs import JobStore
from gradline.db.records import Event, Mark

DRAWING_MAX_S = 120.0
"""How long the stream of an ended job stays open for plots that are still to be drawn."""
RECONNECT_MS = 2000
_PAGE = 500
_limiter = anyio.CapacityLimiter(8)
"""Threads for the streams' own reads, apart from those of ordinary requests."""


async def follow(jobs: JobStore, watcher: Watcher, job_id: UUID, after: int) -> AsyncIterator[ServerSentEvent]:
    """Every durable event above `after`, in order and once, with ticks in between."""
    give_up_at = math.inf
    retry: int | None = RECONNECT_MS  # with the first event, not alone: some clients take that for an empty event
    async with watcher.watch(job_id) as watch:
        while (mark := watch.mark) is not None:
            while after < mark.last_seq:
                events = await anyio.to_thread.run_sync(jobs.events, job_id, after, None, _PAGE, limiter=_limiter)
                for event in events:
                    yield _durable(event, retry)
                    retry = None
                # A number may be missing where an event was a repeat: what is below the mark is there by now.
                after = events[-1].seq if len(events) == _PAGE else max(mark.last_seq, *(e.seq for e in events[-1:]), 0)
            while watch.ticks:
                tick = watch.ticks.popleft()
                if not mark.status.is_terminal:
                    yield _ephemeral(tick)
            if mark.status.is_terminal:
                give_up_at = min(give_up_at, anyio.current_time() + DRAWING_MAX_S)
            if mark.is_over or watcher.is_stopping or anyio.current_time() >= give_up_at:
                return
            await watch.wait(give_up_at - anyio.current_time())


async def wait_until_ended(watcher: Watcher, job_id: UUID, timeout_s: float) -> bool:
    """Whether the job ended within the time."""
    stop_at = anyio.current_time() + timeout_s
    async with watcher.watch(job_id) as watch:
        while not _has_ended(watch) and anyio.current_time() < stop_at and not watcher.is_stopping:
            await watch.wait(stop_at - anyio.current_time())
        return _has_ended(watch)


def is_exhausted(mark: Mark | None, after: int) -> bool:
    """Whether a reader who has seen `after` has seen everything there will ever be."""
    return mark is not None and mark.is_over and after >= mark.last_seq


def _has_ended(watch: Watch) -> bool:
    return watch.mark is None or watch.mark.status.is_terminal


def _durable(event: Event, retry: int | None) -> ServerSentEvent:
    document = {
        "seq": event.seq,
        "kind": event.kind,
        "attempt": event.attempt,
        "at": event.created_at,
        "data": event.data,
    }
    return ServerSentEvent(raw_data=to_json(document).decode(), event=event.kind.value, id=str(event.seq), retry=retry)


def _ephemeral(tick: Tick) -> ServerSentEvent:
    document = {"seq": None, "kind": "tick", "attempt": tick.data.get("attempt"), "at": tick.at, "data": tick.data}
    return ServerSentEvent(raw_data=to_json(document).decode(), event="tick")
