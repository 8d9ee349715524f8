"""Submit: nothing -> queued, once per idempotency key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import StatementError

from gradline.db.jobs import JobStore
from gradline.errors import Conflict, NotFound
from gradline.status import EventKind, JobStatus
from tests.factories import NOTES_SPEC, new_job
from tests.integration.store.steps import kinds, submitted


def test_a_submitted_job_is_queued_with_what_was_asked_and_one_event(job_store: JobStore) -> None:
    asked = new_job(name="notes", labels={"team": "a"}, priority=7, deadline_s=2.5, experiment="e", max_attempts=4)
    job, is_new = job_store.submit(asked)
    assert is_new
    assert (job.status, job.attempt, job.last_seq) == (JobStatus.QUEUED, 0, 1)
    stored = job_store.get(job.id, "ada")
    assert stored == job
    for name in asked.__dataclass_fields__:
        assert getattr(stored, name) == getattr(asked, name), name
    assert kinds(job_store, job) == [EventKind.SUBMITTED]


def test_created_at_is_the_databases_clock_in_utc(job_store: JobStore) -> None:
    first, second = submitted(job_store), submitted(job_store)
    assert first.created_at.utcoffset() is not None
    assert first.created_at.utcoffset().total_seconds() == 0
    assert first.created_at <= second.created_at


def test_the_same_key_and_body_finds_the_same_job(job_store: JobStore) -> None:
    first, _ = job_store.submit(new_job(idempotency_key="k"))
    again, is_new = job_store.submit(new_job(idempotency_key="k"))
    assert (again.id, is_new) == (first.id, False)
    assert kinds(job_store, first) == [EventKind.SUBMITTED]


def test_the_same_key_with_another_body_is_a_conflict(job_store: JobStore) -> None:
    job_store.submit(new_job(idempotency_key="k"))
    with pytest.raises(Conflict) as refused:
        job_store.submit(new_job(idempotency_key="k", request_hash="1" * 64))
    assert refused.value.code == "idempotency_key_reused"


def test_a_key_belongs_to_its_owner(job_store: JobStore) -> None:
    mine, _ = job_store.submit(new_job(idempotency_key="k"))
    theirs, is_new = job_store.submit(new_job(idempotency_key="k", owner="bob", request_hash="1" * 64))
    assert is_new
    assert theirs.id != mine.id


def test_jobs_without_a_key_are_never_the_same(job_store: JobStore) -> None:
    assert submitted(job_store).id != submitted(job_store).id


def test_eight_threads_with_one_key_make_one_job(job_store: JobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: job_store.submit(new_job(idempotency_key="k")), range(32)))
    assert len({job.id for job, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    assert len(job_store.list_jobs("ada")) == 1


def test_submits_at_once_have_each_their_own_job_repeat_or_refusal(job_store: JobStore) -> None:
    """Ten keys, each asked for twice, and once with another body; the threads make them share transactions."""
    with ThreadPoolExecutor(15) as pool:
        sent = [
            pool.submit(job_store.submit, new_job(name=f"{i % 10}", idempotency_key=f"k{i % 10}")) for i in range(20)
        ]
        jobs = [future.result() for future in sent]
        others = [
            pool.submit(job_store.submit, new_job(idempotency_key=f"k{i}", request_hash="1" * 64)) for i in range(10)
        ]
        fresh = [pool.submit(job_store.submit, new_job(name="fresh")) for _ in range(10)]
    assert [job.name for job, _ in jobs] == [f"{i % 10}" for i in range(20)]
    assert sum(is_new for _, is_new in jobs) == 10
    assert all(isinstance(other.exception(), Conflict) for other in others)
    assert len({future.result()[0].id for future in fresh}) == 10
    stored = job_store.list_jobs("ada")
    assert len(stored) == 20
    assert all(kinds(job_store, job) == [EventKind.SUBMITTED] for job in stored)


@pytest.mark.parametrize("field", ["spec", "labels"])
def test_a_number_that_is_no_number_is_refused_and_nothing_is_stored(job_store: JobStore, field: str) -> None:
    with pytest.raises((StatementError, ValueError), match="not JSON compliant"):
        job_store.submit(new_job(**{field: NOTES_SPEC | {"x": float("nan")}}))
    assert job_store.list_jobs("ada") == []


def test_another_owners_job_is_not_found(job_store: JobStore) -> None:
    job = submitted(job_store)
    with pytest.raises(NotFound):
        job_store.get(job.id, "bob")
