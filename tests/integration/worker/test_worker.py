"""What a worker process does with jobs, and what it leaves behind when it dies."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradline.conductor.sweep import Sweep
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.lanes import connect_redis
from gradline.status import EventKind, JobStatus
from tests.integration.worker.conftest import Site
from tests.oracle import check_history
from tests.waiting import wait_until


def spec(max_steps: int, **more: Any) -> dict[str, Any]:
    """A mini-batch fit of about a tenth of a millisecond a step that looks up at every report."""
    return {
        "data": {"source": "blobs", "samples_per_class": 500},
        "solver": {"name": "adam", "learning_rate": 0.001, "batch_size": 64},
        "stop": {"max_steps": max_steps},
        "report": {"every": 100, "plots": []},
        "checkpoint": {"every_s": 0.1},
    } | more


LONG = spec(10_000)
ENDLESS = spec(10_000_000)


def numbers(result: dict[str, Any] | None) -> dict[str, Any]:
    assert result is not None
    return {key: result[key] for key in ("outcome", "steps", "objective", "coefficients", "intercepts", "fingerprint")}


def has_checkpoint(site: Site, job: Any) -> bool:
    return bool(site.jobs.latest_checkpoints(job.id))


def test_a_job_is_trained_and_leaves_metrics_and_a_model(site: Site) -> None:
    site.start_worker()
    job = site.wait_for_end(site.submit(spec(300)))
    assert job.status is JobStatus.SUCCEEDED
    assert job.result is not None
    assert job.result["outcome"] == "step_limit"
    metrics = site.jobs.events(job.id, kinds=[EventKind.METRIC])
    assert [event.data["step"] for event in metrics][:3] == [0, 100, 200]
    names = {artifact.name for artifact in site.jobs.artifacts(job.id)}
    assert {"metrics.parquet", "model.json"} <= names
    assert check_history(site.jobs, [job.id]) == []


def test_a_job_whose_child_is_killed_ends_with_the_same_bits(site: Site) -> None:
    worker = site.start_worker()
    undisturbed = site.wait_for_end(site.submit(LONG))
    job = site.submit(LONG)
    site.wait_for(job, lambda found: has_checkpoint(site, found))
    worker.children()[0].kill()
    ended = site.wait_for_end(job)
    assert (ended.status, ended.attempt, ended.n_crashes) == (JobStatus.SUCCEEDED, 2, 1)
    assert numbers(ended.result) == numbers(undisturbed.result)
    assert check_history(site.jobs, [job.id]) == []
    assert [event.kind for event in site.jobs.events(job.id)].count(EventKind.RESUMED) == 1


def test_a_job_whose_whole_worker_is_killed_is_rescued_and_ends_with_the_same_bits(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(lease_s=3, heartbeat_s=1)
    worker = site.start_worker()
    undisturbed = site.wait_for_end(site.submit(LONG))
    job = site.submit(LONG)
    site.wait_for(job, lambda found: has_checkpoint(site, found))
    worker.kill()
    site.start_worker()
    sweep = Sweep(site.settings)

    def rescued_and_ended() -> bool:
        sweep.rescue()
        sweep.ring()
        return site.now(job).status.is_terminal

    wait_until(rescued_and_ended, 60)
    ended = site.now(job)
    assert (ended.status, ended.n_crashes) == (JobStatus.SUCCEEDED, 1)
    assert numbers(ended.result) == numbers(undisturbed.result)


def test_a_worker_told_to_stop_gives_its_job_back_at_once_and_nothing_is_counted(site: Site) -> None:
    worker = site.start_worker()
    undisturbed = site.wait_for_end(site.submit(LONG))
    job = site.submit(LONG)
    site.wait_for(job, lambda found: has_checkpoint(site, found))
    worker.process.send_signal(signal.SIGTERM)
    released = site.wait_for(job, lambda found: found.status is JobStatus.QUEUED, 10)
    assert (released.n_crashes, released.n_errors) == (0, 0)
    assert worker.process.wait(timeout=20) == 0
    site.start_worker()
    ended = site.wait_for_end(job)
    assert (ended.status, ended.attempt) == (JobStatus.SUCCEEDED, 2)
    assert numbers(ended.result) == numbers(undisturbed.result)


def test_a_running_job_is_cancelled_within_two_seconds(site: Site) -> None:
    site.start_worker()
    job = site.submit(ENDLESS)
    site.wait_for(job, lambda found: found.status is JobStatus.RUNNING)
    begun = time.monotonic()
    site.jobs.cancel(job.id, job.owner)
    ended = site.wait_for_end(job, 10)
    assert ended.status is JobStatus.CANCELLED
    assert time.monotonic() - begun < 3.0  # two seconds, and one for a busy machine


def test_a_job_past_its_deadline_fails_and_says_so(site: Site) -> None:
    site.start_worker()
    ended = site.wait_for_end(site.submit(ENDLESS, deadline_s=1.0))
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "deadline_exceeded"
    assert "deadline_s = 1.0" in ended.error["message"]


def test_a_job_that_kills_its_worker_three_times_is_poison(site: Site) -> None:
    worker = site.start_worker()
    job = site.submit(ENDLESS)
    for attempt in (1, 2, 3):
        site.wait_for(job, lambda found, n=attempt: found.status is JobStatus.RUNNING and found.attempt == n)
        wait_until(worker.children, 30)
        for child in worker.children():
            child.kill()
    ended = site.wait_for_end(job)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "worker_lost"


def test_a_worker_that_slept_past_its_lease_wakes_up_and_changes_nothing(make_site: Callable[..., Site]) -> None:
    site = make_site(lease_s=2, heartbeat_s=0.5)
    zombie = site.start_worker()
    job = site.submit(ENDLESS)
    site.wait_for(job, lambda found: has_checkpoint(site, found))
    with site.database.write():  # so that it does not fall asleep with the only pen of SQLite in its hand
        os.killpg(zombie.process.pid, signal.SIGSTOP)
    wait_until(site.jobs.rescue_lapsed, 20)
    other = site.jobs.claim("cpu", "somebody-else", 1)
    assert other is not None
    assert other.attempt == 2
    n_events = len(site.jobs.events(job.id))
    os.killpg(zombie.process.pid, signal.SIGCONT)
    child = zombie.children()[0]
    next_job = site.submit(spec(300))  # the zombie is done with the first once it takes this one
    site.wait_for_end(next_job)
    assert child.is_running()
    assert len(site.jobs.events(job.id)) == n_events
    assert site.now(job).worker_id == "somebody-else"
    assert check_history(site.jobs, [job.id, next_job.id]) == []


def test_jobs_whose_rings_were_lost_are_rung_for_again(site: Site) -> None:
    jobs = [site.submit(spec(10)) for _ in range(5)]
    connect_redis(site.settings.redis_url).flushall()
    assert site.doorbell.waiting("cpu") == 0
    site.start_worker()
    Sweep(site.settings).ring()
    for job in jobs:
        assert site.wait_for_end(job).status is JobStatus.SUCCEEDED


def test_a_worker_is_listed_while_it_lives(site: Site) -> None:
    workers = WorkerStore(Database(site.settings.database))
    worker = site.start_worker()
    (listed,) = wait_until(workers.list_alive, 90)
    assert (listed.lane, listed.pid, listed.n_slots) == ("cpu", worker.process.pid, 1)
    assert listed.device.startswith("cpu: ")
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(timeout=30)
    assert workers.list_alive() == []


def test_a_worker_whose_children_cannot_start_is_never_listed_and_ends_with_the_reason(
    make_site: Callable[..., Site], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so is not here')")
    site = make_site()
    site.environment["PYTHONPATH"] = str(tmp_path)
    worker = site.start_worker()
    workers = WorkerStore(Database(site.settings.database))
    listed: list[str] = []

    def has_ended() -> bool:
        listed.extend(found.id for found in workers.list_alive())
        return worker.process.poll() is not None

    wait_until(has_ended, 90, "the worker has ended")
    assert listed == []
    assert worker.process.returncode == 1
    assert "ImportError: libtorch_cpu.so is not here" in capfd.readouterr().err
