"""The run store, on both databases."""

from collections.abc import Callable

import pytest

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.records import Fence, Job
from gradline.db.runs import Run, RunStore
from gradline.db.session import Database
from gradline.status import JobStatus
from tests import factories


@pytest.fixture
def runs(database: Database) -> RunStore:
    return RunStore(database)


@pytest.fixture
def start(job_store: JobStore) -> Callable[[], tuple[Job, Fence]]:
    def start_one() -> tuple[Job, Fence]:
        job, _ = job_store.submit(factories.new_job())
        claimed = job_store.claim("cpu", "worker", 1)
        assert claimed is not None
        return job, Fence(claimed.id, claimed.attempt)

    return start_one


Start = Callable[[], tuple[Job, Fence]]


def claim_one(runs: RunStore, relay_id: str = "one") -> Run:
    (run,) = runs.claim_due(relay_id)
    return run


def test_a_run_is_held_by_one_relay_at_a_time(runs: RunStore, start: Start) -> None:
    start()
    claim_one(runs)
    assert runs.claim_due("two") == []
    runs.give_back("one")
    assert claim_one(runs, "two").relay_id == "one"  # who held it before


def test_a_lapsed_lease_is_taken_over(database: Database, start: Start) -> None:
    start()
    hasty = RunStore(database, lease_s=-1.0)
    claim_one(hasty)
    run = claim_one(RunStore(database), "two")
    assert not hasty.renew("one", run.job_id)
    assert not hasty.set_run_id("one", run.job_id, "1", "a")
    assert not hasty.put_off("one", run, "too late")


def test_a_run_id_is_named_once(runs: RunStore, start: Start) -> None:
    job, _ = start()
    claim_one(runs)
    assert runs.set_run_id("one", job.id, "1", "first")
    assert not runs.set_run_id("one", job.id, "1", "second")
    found = runs.find(job.id)
    assert found is not None
    assert (found.experiment_id, found.run_id) == ("1", "first")


def test_a_job_has_a_run_from_its_first_start_on(runs: RunStore, job_store: JobStore, start: Start) -> None:
    waiting, _ = job_store.submit(factories.new_job(priority=-1))
    begun, fence = start()
    assert runs.find(waiting.id) is None
    job_store.release(fence)
    job_store.claim("cpu", "worker", 1)
    assert claim_one(runs).job_id == begun.id
    job_store.cancel(waiting.id, waiting.owner)
    assert runs.claim_due("one") == []


def test_the_pause_between_two_visits_ends_with_the_job(runs: RunStore, job_store: JobStore, start: Start) -> None:
    _, fence = start()
    assert runs.advance("one", claim_one(runs), synced_seq=1, pause_s=1000.0)
    assert runs.claim_due("one") == []
    job_store.finish(fence, JobStatus.SUCCEEDED, result={})
    assert runs.put_off("one", claim_one(runs), "refused")
    assert runs.claim_due("one") == [], "the wait after a failure lasts"


def test_progress_is_due_again_only_with_news(runs: RunStore, job_store: JobStore, start: Start) -> None:
    _, fence = start()
    assert runs.advance("one", claim_one(runs), synced_seq=2, pause_s=0.0)
    assert runs.claim_due("one") == []
    job_store.record(fence, [factories.metric(0)])
    assert claim_one(runs).synced_seq == 2


def test_progress_is_a_compare_and_set(runs: RunStore, start: Start) -> None:
    start()
    run = claim_one(runs)
    assert runs.advance("one", run, synced_seq=1, pause_s=0.0)
    again = claim_one(runs)
    assert not runs.advance("one", run, synced_seq=2, pause_s=0.0)
    assert runs.advance("one", again, synced_seq=2, pause_s=0.0)


def test_an_ended_job_closes_its_run_once_all_of_it_is_carried(
    runs: RunStore, job_store: JobStore, drawing_store: DrawingStore, start: Start
) -> None:
    job, fence = start()
    job_store.finish(fence, JobStatus.SUCCEEDED, result={}, drawings=["loss.png"])
    assert runs.advance("one", claim_one(runs), synced_seq=2, pause_s=0.0)
    assert runs.advance("one", claim_one(runs), synced_seq=3, pause_s=0.0)
    assert runs.claim_due("one") == []  # the plots are still to come
    drawing = drawing_store.claim()
    assert drawing is not None
    drawing_store.record(drawing[1], [], is_last=True)
    assert runs.advance("one", claim_one(runs), synced_seq=3, pause_s=0.0)
    found = runs.find(job.id)
    assert found is not None
    assert found.is_closed
    assert runs.claim_due("one") == []


def test_what_is_put_off_waits_longer_each_time(runs: RunStore, start: Start, database: Database) -> None:
    job, _ = start()
    run = claim_one(runs)
    assert runs.put_off("one", run, "refused")
    assert runs.claim_due("one") == []
    found = runs.find(job.id)
    assert found is not None
    assert (found.n_failures, found.error) == (1, "refused")
    assert found.next_try_at is not None


def test_what_waits_longest_comes_first(runs: RunStore, job_store: JobStore, start: Start) -> None:
    first, fence = start()
    runs.advance("one", claim_one(runs), synced_seq=2, pause_s=0.0)
    second, _ = start()
    third, _ = start()
    job_store.record(fence, [factories.metric(0)])
    order = [run.job_id for run in runs.claim_due("one", limit=10)]
    assert set(order) == {first.id, second.id, third.id}
    assert order.index(second.id) < order.index(third.id)
    assert runs.claim_due("two", limit=10) == []
