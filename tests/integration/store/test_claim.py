"""Claim: queued -> running, in order, once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import update

from gradline.db.jobs import JobStore
from gradline.db.models import JobRow
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.status import EventKind, JobStatus
from tests.integration.store.steps import claimed, fence, kinds, reread, submitted
from tests.waiting import wait_until


def test_a_claim_starts_an_attempt_under_a_lease(job_store: JobStore) -> None:
    job = submitted(job_store)
    taken = claimed(job_store, "w1", 7)
    assert (taken.id, taken.status, taken.attempt) == (job.id, JobStatus.RUNNING, 1)
    assert (taken.worker_id, taken.worker_pid) == ("w1", 7)
    assert taken.started_at is not None
    assert taken.lease_expires_at is not None
    assert 29 < (taken.lease_expires_at - taken.started_at).total_seconds() < 31
    assert reread(job_store, job) == taken
    started = job_store.events(job.id)[-1]
    assert (started.kind, started.attempt, started.seq) == (EventKind.STARTED, 1, taken.last_seq)
    assert started.data == {"attempt": 1, "worker_id": "w1"}


def test_an_empty_lane_has_nothing_to_claim(job_store: JobStore) -> None:
    submitted(job_store, lane="gpu")
    assert job_store.claim("cpu", "w1", 1) is None
    assert claimed(job_store, lane="gpu").lane == "gpu"
    assert job_store.claim("gpu", "w1", 1) is None


def test_higher_priority_goes_first_then_age(job_store: JobStore) -> None:
    low, high, later, lowest = (submitted(job_store, priority=p) for p in (4, 6, 6, 0))
    assert [claimed(job_store).id for _ in range(4)] == [high.id, later.id, low.id, lowest.id]


def test_owners_with_fewer_running_jobs_go_first(job_store: JobStore) -> None:
    many = [submitted(job_store, owner="ada") for _ in range(3)]
    few = [submitted(job_store, owner="bob") for _ in range(2)]
    order = [claimed(job_store).id for _ in range(5)]
    assert order == [many[0].id, few[0].id, many[1].id, few[1].id, many[2].id]


def test_running_jobs_of_another_lane_count_for_the_fair_share(job_store: JobStore) -> None:
    submitted(job_store, owner="ada", lane="gpu")
    claimed(job_store, lane="gpu")
    submitted(job_store, owner="ada")
    bobs = submitted(job_store, owner="bob")
    assert claimed(job_store).id == bobs.id


def test_priority_stands_above_the_fair_share(job_store: JobStore) -> None:
    submitted(job_store, owner="ada")
    claimed(job_store)
    urgent = submitted(job_store, owner="ada", priority=9)
    submitted(job_store, owner="bob")
    assert claimed(job_store).id == urgent.id


def test_a_job_that_must_wait_is_passed_over_until_its_time(job_store: JobStore, database: Database) -> None:
    waiting = submitted(job_store, priority=9)
    _set_not_before(database, waiting.id, 3600.0)
    ready = submitted(job_store, priority=0)
    assert claimed(job_store).id == ready.id
    assert job_store.claim("cpu", "w1", 1) is None
    assert job_store.ready_counts() == {}
    _set_not_before(database, waiting.id, 0.05)
    taken = wait_until(lambda: job_store.claim("cpu", "w1", 1))
    assert taken.id == waiting.id
    assert taken.not_before is None


def test_an_owner_whose_jobs_all_wait_does_not_stand_in_the_way(job_store: JobStore, database: Database) -> None:
    for _ in range(2):
        _set_not_before(database, submitted(job_store, owner="ada").id, 3600.0)
    bobs = submitted(job_store, owner="bob")
    assert claimed(job_store).id == bobs.id


def test_eight_threads_claim_two_hundred_jobs_once_each(job_store: JobStore) -> None:
    jobs = [submitted(job_store, owner=f"owner{i % 3}", priority=i % 2) for i in range(200)]

    def drain(pid: int) -> list[UUID]:
        taken = []
        while (job := job_store.claim("cpu", "w1", pid)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [job_id for ids in pool.map(drain, range(8)) for job_id in ids]
    assert Counter(taken) == Counter(job.id for job in jobs)
    assert all(kinds(job_store, job) == [EventKind.SUBMITTED, EventKind.STARTED] for job in jobs)


def test_a_claim_passes_over_a_row_that_another_transaction_has_locked(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    job_store = JobStore(database)
    locked, free = submitted(job_store), submitted(job_store)
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == locked.id).values(progress={"step": 1}))
        assert claimed(job_store).id == free.id
        assert job_store.claim("cpu", "w1", 1) is None
    assert claimed(job_store).id == locked.id
    database.close()


def test_a_lower_priority_is_claimed_while_the_top_one_is_locked(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    job_store = JobStore(database)
    locked, free = submitted(job_store, priority=9), submitted(job_store, priority=1)
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == locked.id).values(progress={"step": 1}))
        assert claimed(job_store).id == free.id
    database.close()


def test_ready_counts_tell_what_each_lane_could_claim(job_store: JobStore) -> None:
    for lane in ("cpu", "cpu", "gpu"):
        submitted(job_store, lane=lane)
    assert job_store.ready_counts() == {"cpu": 2, "gpu": 1}
    claimed(job_store)
    assert job_store.ready_counts() == {"cpu": 1, "gpu": 1}


def test_a_released_job_is_claimed_again_under_the_next_attempt(job_store: JobStore) -> None:
    submitted(job_store)
    first = claimed(job_store)
    job_store.release(fence(first))
    assert claimed(job_store).attempt == first.attempt + 1


def _set_not_before(database: Database, job_id: UUID, wait_s: float) -> None:
    with database.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(not_before=db_now(wait_s)))
