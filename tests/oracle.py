"""The oracle of every chaos test: reads the history of jobs from the store and lists what must never happen.

It takes nothing on trust: rows and events are read again and held against each other.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from gradline.db.jobs import JobStore
from gradline.db.records import Event, Job
from gradline.status import EventKind, JobStatus

PAGE = 1000
AFTER_THE_END = {EventKind.ARTIFACT, EventKind.WARNING}
"""What drawing may still tell about a job that has ended."""
BACK_TO_QUEUE = {EventKind.RELEASED, EventKind.RETRIED, EventKind.RESCUED}


def check_history(job_store: JobStore, job_ids: Iterable[UUID]) -> list[str]:
    """Violations of the promises for these acknowledged jobs; empty if all is well.

    Each job is there; has at most one end, which is its status; its attempts rise by one and none writes after the next
    has begun; its events are numbered without gaps; a step has one metric.
    """
    violations = []
    for job_id in job_ids:
        job = job_store.find(job_id)
        if job is None:
            violations.append(f"{job_id}: acknowledged and lost")
        else:
            violations += [f"{job_id}: {v}" for v in check_job(job, read_events(job_store, job_id))]
    return violations


def check_all_ended(job_store: JobStore, job_ids: Iterable[UUID]) -> list[str]:
    """For after a drain: nothing may be left queued or running."""
    found = {job_id: job_store.find(job_id) for job_id in job_ids}
    return [
        f"{job_id}: still {job.status}"
        for job_id, job in found.items()
        if job is not None and not job.status.is_terminal
    ]


def check_results(results: Mapping[UUID, Any], undisturbed: Mapping[UUID, Any]) -> list[str]:
    """For the promise that a job resumed anywhere ends with the same bits."""
    return [
        f"{job_id}: result differs from the undisturbed run's"
        for job_id, result in undisturbed.items()
        if results.get(job_id) != result
    ]


def check_job(job: Job, events: Sequence[Event]) -> Iterator[str]:
    """Violations in one job's row and events."""
    yield from _numbered_without_gaps(job, events)
    yield from _one_end_that_is_the_status(job, events)
    yield from _attempts_rise_and_are_fenced(job, events)
    yield from _counts_are_right(job, events)
    yield from _one_metric_a_step(events)
    yield from _row_agrees_with_its_status(job)


def read_events(job_store: JobStore, job_id: UUID) -> list[Event]:
    """All events of a job, page by page as a stream reads them."""
    events: list[Event] = []
    while page := job_store.events(job_id, after=events[-1].seq if events else 0, limit=PAGE):
        events += page
    return events


def _numbered_without_gaps(job: Job, events: Sequence[Event]) -> Iterator[str]:
    numbers = [event.seq for event in events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"events are numbered {numbers}"
    if job.last_seq != (numbers[-1] if numbers else 0):
        yield f"last_seq is {job.last_seq}, the newest event is {numbers[-1:]}"
    if not events or events[0].kind is not EventKind.SUBMITTED:
        yield "the first event is not its submission"


def _one_end_that_is_the_status(job: Job, events: Sequence[Event]) -> Iterator[str]:
    ends = [i for i, event in enumerate(events) if event.kind is EventKind.ENDED]
    if len(ends) > 1:
        yield f"ended {len(ends)} times"
    if job.status.is_terminal and not ends:
        yield f"is {job.status} without an end in its events"
    for i in ends:
        told = events[i].data.get("status")
        if told != job.status:
            yield f"is {job.status}, its events say it ended {told}"
        late = {event.kind for event in events[i + 1 :]} - AFTER_THE_END - {EventKind.ENDED}
        if late:
            yield f"went on after its end: {sorted(late)}"


def _attempts_rise_and_are_fenced(job: Job, events: Sequence[Event]) -> Iterator[str]:
    started = [event.data.get("attempt") for event in events if event.kind is EventKind.STARTED]
    if started != list(range(1, len(started) + 1)):
        yield f"attempts began in the order {started}"
    if job.attempt != len(started):
        yield f"is at attempt {job.attempt}, its events say {len(started)}"
    for before, event in pairwise(events):
        if event.attempt < before.attempt:
            yield f"event {event.seq} is attempt {event.attempt}'s, after one of attempt {before.attempt}"
    yield from _one_holder_at_a_time(events)


def _one_holder_at_a_time(events: Sequence[Event]) -> Iterator[str]:
    holder: int | None = None
    for event in events:
        if event.kind is EventKind.STARTED:
            if holder is not None:
                yield f"attempt {event.attempt} began while attempt {holder} held the job"
            holder = event.attempt
        elif event.kind in BACK_TO_QUEUE:
            if holder is None:
                yield f"event {event.seq} ({event.kind}) gave back a job that nobody held"
            holder = None
        elif event.kind in {EventKind.METRIC, EventKind.CHECKPOINT, EventKind.RESUMED} and holder is None:
            yield f"event {event.seq} ({event.kind}) was written while nobody held the job"


def _counts_are_right(job: Job, events: Sequence[Event]) -> Iterator[str]:
    told = Counter(event.kind for event in events)
    # The error or crash that ended the job is counted without an event of its own.
    last = 1 if job.status in {JobStatus.FAILED, JobStatus.CANCELLED} else 0
    for name, count, kind in (
        ("n_crashes", job.n_crashes, EventKind.RESCUED),
        ("n_errors", job.n_errors, EventKind.RETRIED),
    ):
        if not told[kind] <= count <= told[kind] + last:
            yield f"{name} is {count} after {told[kind]} {kind} events"


def _one_metric_a_step(events: Sequence[Event]) -> Iterator[str]:
    steps = Counter(event.data.get("step") for event in events if event.kind is EventKind.METRIC)
    for step, count in steps.items():
        if count > 1:
            yield f"step {step} has {count} metrics"


def _row_agrees_with_its_status(job: Job) -> Iterator[str]:
    if (job.status is JobStatus.RUNNING) != (job.lease_expires_at is not None):
        yield f"is {job.status} with lease_expires_at {job.lease_expires_at}"
    if job.status.is_terminal != (job.finished_at is not None):
        yield f"is {job.status} with finished_at {job.finished_at}"
