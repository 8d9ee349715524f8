"""What a watched job is known to be, event by event."""

from typing import Any

import pytest

from gradline.cli.client import Event
from gradline.cli.view import JobView


def event(kind: str, at: str = "2026-11-22T10:00:00Z", attempt: int = 1, **data: Any) -> Event:
    return Event(kind, "", attempt, at, data)


@pytest.fixture
def view() -> JobView:
    return JobView.of({"id": "1", "kind": "logistic-regression", "name": None, "status": "queued", "progress": None})


def test_a_job_without_a_name_is_called_by_its_kind(view: JobView) -> None:
    assert view.title == "logistic-regression"


def test_a_tick_and_a_metric_advance_it(view: JobView) -> None:
    view.apply(event("tick", step=20, total_steps=100, loss=0.5, accuracy=0.9, rate=50.0, eta_s=1.6))
    assert (view.step, view.total_steps, view.loss, view.eta_s) == (20, 100, 0.5, 1.6)
    view.apply(event("metric", step=40, values={"loss": 0.4, "accuracy": 0.95}))
    assert (view.step, view.loss, view.accuracy, view.total_steps) == (40, 0.4, 0.95, 100)


def test_it_never_goes_back_after_a_resume(view: JobView) -> None:
    view.apply(event("metric", step=40, values={"loss": 0.4}))
    assert view.apply(event("resumed", attempt=2, step=20)) == "goes on from step 20"
    view.apply(event("tick", attempt=2, step=21, loss=0.6))
    assert (view.step, view.loss) == (40, 0.4)
    view.apply(event("tick", attempt=2, step=41, loss=0.39))
    assert (view.step, view.loss) == (41, 0.39)


def test_a_value_that_is_no_number_leaves_the_last_one(view: JobView) -> None:
    view.apply(event("metric", step=0, values={"loss": 0.7}))
    view.apply(event("metric", step=20, values={"loss": None}))
    assert (view.step, view.loss) == (20, 0.7)


def test_a_dead_worker_puts_it_back_into_the_queue(view: JobView) -> None:
    view.apply(event("started", worker_id="cpu@here-1"))
    assert view.status == "running"
    told = view.apply(event("rescued"))
    assert told is not None
    assert "worker died" in told
    assert view.status == "queued"


def test_its_end_says_why_and_how_long_the_last_attempt_took(view: JobView) -> None:
    view.apply(event("started", at="2026-11-22T10:00:00Z"))
    view.apply(event("started", at="2026-11-22T10:01:00Z", attempt=2))
    told = view.apply(event("ended", at="2026-11-22T10:01:02.5Z", status="succeeded", outcome="target_reached"))
    assert told == "succeeded: target reached"
    assert view.trained_s == 2.5
    assert view.has_ended


def test_a_failure_shows_its_code(view: JobView) -> None:
    told = view.apply(event("ended", status="failed", error={"code": "worker_lost", "message": "three died"}))
    assert told == "failed: worker lost"


def test_one_that_has_ended_begins_anew_since_its_past_comes_again() -> None:
    job = {"id": "1", "kind": "autograd", "name": "n", "progress": {"step": 7, "total_steps": 7}}
    ended, running = (JobView.of(job | {"status": status}) for status in ("succeeded", "running"))
    assert (ended.has_ended, ended.step) == (False, None)
    assert (running.status, running.step, running.total_steps) == ("running", 7, 7)
