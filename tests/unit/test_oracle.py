"""The oracle finds what it is for: each violation is planted into a history that was sound."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete

from gradline.db.jobs import JobStore
from gradline.db.models import JobRow
from gradline.db.records import Event, Job
from gradline.db.session import Database
from gradline.status import EventKind, JobStatus
from tests.factories import NOTES_SPEC, metric
from tests.integration.store.steps import claimed, fence, submitted
from tests.oracle import check_all_ended, check_history, check_job, check_results

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB_ID = uuid4()


def _event(seq: int, kind: EventKind, attempt: int, /, **data: Any) -> Event:
    return Event(JOB_ID, seq, kind, attempt, data, NOW)


def _sound() -> tuple[Job, list[Event]]:
    """Rescued once, then succeeded on the second attempt, with a plot drawn after the end."""
    events = [
        _event(1, EventKind.SUBMITTED, 0),
        _event(2, EventKind.STARTED, 1, attempt=1),
        _event(3, EventKind.METRIC, 1, step=0),
        _event(4, EventKind.RESCUED, 1, n_crashes=1),
        _event(5, EventKind.STARTED, 2, attempt=2),
        _event(6, EventKind.METRIC, 2, step=20),
        _event(7, EventKind.ENDED, 2, status="succeeded"),
        _event(8, EventKind.ARTIFACT, 2, name="loss"),
    ]
    values: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    values |= {"id": JOB_ID, "spec": NOTES_SPEC, "status": JobStatus.SUCCEEDED, "attempt": 2, "last_seq": 8}
    values |= {"n_errors": 0, "n_crashes": 1, "finished_at": NOW}
    return Job(**values), events


History = tuple[Job, list[Event]]
Mutation = Callable[[Job, list[Event]], History]


def _insert(index: int, kind: EventKind, attempt: int, /, **data: Any) -> Mutation:
    """Plants one more event and numbers the history anew."""

    def mutate(job: Job, events: list[Event]) -> History:
        planted = [*events[:index], _event(0, kind, attempt, **data), *events[index:]]
        return replace(job, last_seq=len(planted)), [replace(e, seq=i) for i, e in enumerate(planted, 1)]

    return mutate


def _drop(index: int) -> Mutation:
    def mutate(job: Job, events: list[Event]) -> History:
        left = events[:index] + events[index + 1 :]
        return replace(job, last_seq=len(left)), [replace(e, seq=i) for i, e in enumerate(left, 1)]

    return mutate


def _row(**values: Any) -> Mutation:
    return lambda job, events: (replace(job, **values), events)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "a second end": (_insert(7, EventKind.ENDED, 2, status="succeeded"), "ended 2 times"),
    "an end of another kind": (_insert(7, EventKind.ENDED, 2, status="failed"), "its events say it ended failed"),
    "no end": (_drop(6), "without an end"),
    "another status": (_row(status=JobStatus.CANCELLED), "is cancelled, its events say it ended succeeded"),
    "an end, then queued again": (_row(status=JobStatus.QUEUED), "is queued, its events say it ended"),
    "a metric after the end": (_insert(8, EventKind.METRIC, 2, step=40), "went on after its end"),
    "an attempt after the end": (_insert(8, EventKind.STARTED, 3, attempt=3), "went on after its end"),
    "a zombie's metric": (_insert(5, EventKind.METRIC, 1, step=99), "is attempt 1's, after one of attempt 2"),
    "a metric while queued": (_insert(4, EventKind.METRIC, 1, step=99), "while nobody held the job"),
    "an attempt number twice": (_insert(4, EventKind.STARTED, 1, attempt=1), "attempts began in the order [1, 1, 2]"),
    "an attempt left out": (_drop(1), "attempts began in the order [2]"),
    "two holders at once": (_drop(3), "began while attempt 1 held the job"),
    "given back twice": (_insert(4, EventKind.RELEASED, 1), "gave back a job that nobody held"),
    "a step twice": (_insert(6, EventKind.METRIC, 2, step=0), "step 0 has 2 metrics"),
    "a row's attempt behind": (_row(attempt=1), "is at attempt 1"),
    "a gap in the numbers": (lambda job, e: (job, [*e[:3], *e[4:]]), "events are numbered"),
    "events out of order": (lambda job, e: (job, [e[0], e[2], e[1], *e[3:]]), "events are numbered"),
    "last_seq ahead": (_row(last_seq=9), "last_seq is 9"),
    "a crash not counted": (_row(n_crashes=0), "n_crashes is 0"),
    "a release counted": (_row(n_errors=1), "n_errors is 1"),
    "no submission": (_drop(0), "the first event is not its submission"),
    "a lease left over": (_row(lease_expires_at=NOW), "with lease_expires_at"),
    "an end without a time": (_row(finished_at=None), "with finished_at None"),
}


def test_a_sound_history_has_no_violations() -> None:
    assert list(check_job(*_sound())) == []


@pytest.mark.parametrize(("mutate", "expected"), MUTATIONS.values(), ids=MUTATIONS.keys())
def test_each_planted_violation_is_found(mutate: Mutation, expected: str) -> None:
    violations = list(check_job(*mutate(*_sound())))
    assert any(expected in violation for violation in violations), violations


def test_a_lost_job_is_found_in_a_real_store(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    job_store = JobStore(database)
    kept, lost = submitted(job_store), submitted(job_store)
    taken = claimed(job_store)
    job_store.record(fence(taken), [metric(1)])
    assert check_history(job_store, [kept.id, lost.id]) == []
    assert check_all_ended(job_store, [kept.id, lost.id]) == [f"{kept.id}: still running", f"{lost.id}: still queued"]
    with database.write() as connection:
        connection.execute(delete(JobRow).where(JobRow.id == lost.id))
    assert check_history(job_store, [kept.id, lost.id]) == [f"{lost.id}: acknowledged and lost"]
    database.close()


def test_a_result_that_differs_from_the_undisturbed_one_is_found() -> None:
    same, other = uuid4(), uuid4()
    assert check_results({same: {"loss": 0.5}, other: {"loss": 0.5}}, {same: {"loss": 0.5}, other: {"loss": 0.25}}) == [
        f"{other}: result differs from the undisturbed run's"
    ]
