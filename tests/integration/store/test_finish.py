"""Finish: running -> an end, with everything that belongs to it in one transaction; drawings come after it."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import MAX_CRASHES, JobStore
from gradline.db.models import DrawingRow
from gradline.db.records import Job
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import LeaseLost
from gradline.status import EventKind, JobStatus
from tests.factories import artifact, checkpoint, metric
from tests.integration.store.steps import close_runs, fence, kinds, reread, running


@pytest.fixture
def lapse_drawings(database: Database) -> Callable[[], None]:
    """Makes every drawing's lease lie in the past."""

    def lapse() -> None:
        with database.write() as connection:
            held = DrawingRow.lease_expires_at.is_not(None)
            connection.execute(update(DrawingRow).where(held).values(lease_expires_at=db_now(-1.0)))

    return lapse


def test_the_end_of_a_job_brings_result_events_artifacts_and_drawings(
    job_store: JobStore, drawing_store: DrawingStore
) -> None:
    job = running(job_store)
    job_store.record(fence(job), checkpoint=checkpoint(5))
    job_store.finish(
        fence(job),
        JobStatus.SUCCEEDED,
        result={"outcome": "converged", "loss": 0.1},
        events=[metric(20)],
        artifacts=[artifact("model")],
        progress={"step": 20},
        drawings=["loss", "confusion"],
    )
    ended = reread(job_store, job)
    assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"outcome": "converged", "loss": 0.1})
    assert (ended.error, ended.progress, ended.attempt) == (None, {"step": 20}, 1)
    assert ended.finished_at is not None
    assert (ended.worker_id, ended.worker_pid, ended.lease_expires_at) == (None, None, None)
    assert kinds(job_store, job)[-3:] == [EventKind.METRIC, EventKind.ARTIFACT, EventKind.ENDED]
    assert job_store.events(job.id)[-1].data == {"status": "succeeded", "outcome": "converged"}
    assert drawing_store.pending_names(job.id) == ["loss", "confusion"]
    assert job_store.latest_checkpoints(job.id) == []


def test_a_failed_job_keeps_its_error(job_store: JobStore) -> None:
    job = running(job_store)
    job_store.finish(fence(job), JobStatus.FAILED, error={"code": "bad_data", "message": "no rows"})
    failed = reread(job_store, job)
    assert (failed.status, failed.result, failed.error) == (
        JobStatus.FAILED,
        None,
        {"code": "bad_data", "message": "no rows"},
    )
    assert job_store.events(job.id)[-1].data == {"status": "failed", "code": "bad_data", "message": "no rows"}


def test_drawings_are_claimed_oldest_first_and_by_one_at_a_time(
    job_store: JobStore, drawing_store: DrawingStore
) -> None:
    first, second = (_drawable(job_store) for _ in range(2))
    taken = [drawing_store.claim(), drawing_store.claim()]
    assert [found[0].id for found in taken if found] == [first.id, second.id]
    assert [found[1].attempt for found in taken if found] == [1, 1]
    assert drawing_store.claim() is None
    assert drawing_store.n_pending() == 2


def test_drawn_plots_are_added_to_the_ended_job(job_store: JobStore, drawing_store: DrawingStore) -> None:
    job = _drawable(job_store)
    before = reread(job_store, job)
    found = drawing_store.claim()
    assert found is not None
    _, drawing = found
    drawing_store.record(drawing, [artifact("loss", kind="plot")], is_last=False)
    assert drawing_store.pending_names(job.id) == ["confusion"]
    drawing_store.record(drawing, [artifact("confusion", kind="plot")], is_last=True)
    assert drawing_store.pending_names(job.id) == []
    assert drawing_store.n_pending() == 0
    assert [a.name for a in job_store.artifacts(job.id)] == ["loss", "confusion"]
    after = reread(job_store, job)
    assert after.last_seq == before.last_seq + 2 == job_store.events(job.id)[-1].seq
    assert (after.status, after.result, after.finished_at) == (before.status, before.result, before.finished_at)
    assert drawing_store.claim() is None


def test_a_drawing_whose_lease_lapsed_is_anothers(
    job_store: JobStore, drawing_store: DrawingStore, lapse_drawings: Callable[[], None]
) -> None:
    job = _drawable(job_store)
    first = drawing_store.claim()
    lapse_drawings()
    second = drawing_store.claim()
    assert first is not None
    assert second is not None
    assert (second[0].id, second[1].attempt) == (job.id, 2)
    with pytest.raises(LeaseLost):
        drawing_store.record(first[1], [artifact("loss")], is_last=True)
    assert job_store.artifacts(job.id) == []
    drawing_store.record(second[1], [artifact("loss")], is_last=True)
    with pytest.raises(LeaseLost):
        drawing_store.record(second[1], [artifact("late")], is_last=True)
    assert [a.name for a in job_store.artifacts(job.id)] == ["loss"]


def test_plots_that_cannot_be_drawn_are_tried_three_times_and_told_once(
    job_store: JobStore, drawing_store: DrawingStore
) -> None:
    job = _drawable(job_store)
    for attempt in range(1, MAX_CRASHES + 1):
        found = drawing_store.claim()
        assert found is not None
        assert found[1].attempt == attempt
        drawing_store.record(found[1], [], is_last=False, error="no font")
    assert drawing_store.claim() is None
    assert drawing_store.pending_names(job.id) == []
    (warning,) = job_store.events(job.id, kinds=[EventKind.WARNING])
    assert warning.data["code"] == "plots_failed"
    assert "no font" in warning.data["message"]
    assert reread(job_store, job).last_seq == job_store.events(job.id)[-1].seq


def test_plots_that_kill_whoever_draws_them_are_given_up(
    job_store: JobStore, drawing_store: DrawingStore, lapse_drawings: Callable[[], None]
) -> None:
    poison, next_in_line = _drawable(job_store), _drawable(job_store)
    for attempt in range(1, MAX_CRASHES + 1):
        found = drawing_store.claim()
        assert found is not None
        assert (found[0].id, found[1].attempt) == (poison.id, attempt)
        lapse_drawings()
    found = drawing_store.claim()
    assert found is not None
    assert found[0].id == next_in_line.id
    assert drawing_store.pending_names(poison.id) == []
    (warning,) = job_store.events(poison.id, kinds=[EventKind.WARNING])
    assert warning.data["code"] == "plots_failed"
    assert reread(job_store, poison).status is JobStatus.SUCCEEDED


def test_drawing_a_job_that_was_deleted_is_refused(
    job_store: JobStore, drawing_store: DrawingStore, database: Database
) -> None:
    job = _drawable(job_store)
    close_runs(database, job)
    found = drawing_store.claim()
    assert found is not None
    job_store.delete(job.id, "ada")
    with pytest.raises(LeaseLost):
        drawing_store.record(found[1], [artifact("loss")], is_last=True)


def _drawable(job_store: JobStore) -> Job:
    job = running(job_store)
    job_store.finish(fence(job), JobStatus.SUCCEEDED, result={"x": 1}, drawings=["loss", "confusion"])
    return job
