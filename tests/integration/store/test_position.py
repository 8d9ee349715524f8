"""queue_position tells the order in which the claims really come."""

import random
from typing import Any

import pytest
from sqlalchemy import event

from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.status import JobStatus
from tests.integration.store.steps import claimed, fence, reread, submitted


@pytest.mark.parametrize("seed", range(4))
def test_positions_are_the_order_of_the_claims(job_store: JobStore, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        submitted(job_store, owner=rng.choice("abc"), lane=rng.choice(["cpu", "gpu"]))
        job_store.claim(rng.choice(["cpu", "gpu"]), "w1", 1)
    jobs = [submitted(job_store, owner=rng.choice("aaabbc"), priority=rng.choice([1, 5, 5, 9])) for _ in range(15)]
    queued = job_store.list_jobs("a") + job_store.list_jobs("b") + job_store.list_jobs("c")
    queued = [job for job in queued if job.lane == "cpu" and job.status == "queued"]
    assert len(queued) >= len(jobs)
    positions = {job.id: job_store.queue_position(job) for job in queued}
    assert sorted(positions.values()) == list(range(1, len(queued) + 1))
    order = [claimed(job_store).id for _ in queued]
    assert order == sorted(positions, key=positions.__getitem__)


def test_a_job_that_is_not_queued_has_no_position(job_store: JobStore) -> None:
    submitted(job_store)
    taken = claimed(job_store)
    assert job_store.queue_position(taken) is None
    job_store.release(fence(taken))
    assert job_store.queue_position(reread(job_store, taken)) == 1


def test_a_job_that_must_wait_has_no_position_yet(job_store: JobStore) -> None:
    submitted(job_store)
    taken = claimed(job_store)
    job_store.retry(fence(taken), {"code": "transient"}, backoff_s=600.0)
    assert job_store.queue_position(reread(job_store, taken)) is None


def test_each_lane_counts_for_itself(job_store: JobStore) -> None:
    submitted(job_store, lane="gpu")
    assert job_store.queue_position(submitted(job_store, lane="cpu")) == 1


def test_a_job_that_is_claimed_while_it_is_asked_for_is_no_fault(job_store: JobStore, database: Database) -> None:
    if database.is_sqlite:
        return  # all is read from one snapshot
    job = submitted(job_store)
    other = Database(database.url.render_as_string(hide_password=False))
    asked: list[str] = []

    def claim_after_the_first(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)
        if sum("FROM jobs" in each for each in asked) == 1 and "FROM jobs" in statement:
            claimed(JobStore(other))

    event.listen(database.engine, "after_cursor_execute", claim_after_the_first)
    found = job_store.queue_position(job)
    other.close()
    assert found is None
    assert reread(job_store, job).status is JobStatus.RUNNING
