"""Fifty jobs while processes are killed at random: all end, each once, with the results of an undisturbed run."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psutil
import pytest

from gradline.db.jobs import JobStore
from gradline.db.runs import RunStore
from gradline.db.session import Database
from gradline.embedded.stack import Stack, Wishes
from gradline.settings import Settings
from gradline.status import JobStatus
from tests.oracle import check_history
from tests.waiting import wait_until

N_JOBS = 50
N_KILLS = 14


def _spec(seed: int) -> dict[str, Any]:
    """A few tenths of a second of training, a checkpoint at every report."""
    return {
        "data": {"source": "blobs", "samples_per_class": 2000},
        "solver": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "batch_size": 256},
        "stop": {"max_steps": 1000},
        "report": {"every": 50, "plots": []},
        "checkpoint": {"every_s": 0.05},
        "seed": seed,
    }


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = Settings(home=tmp_path / "home", relay_tick_s=0.2)
    stack = Stack(settings, Wishes(port=0, n_children=1, mlflow_port=0), print)
    assert stack.lock()
    stack.start()
    try:
        assert stack.wait_for_api(120)
        yield stack
    finally:
        stack.stop()


@pytest.mark.timeout(1200)
def test_fifty_jobs_end_once_with_equal_results_while_every_process_is_killed_at_random(stack: Stack) -> None:
    jobs = JobStore(Database(Settings(home=stack.home).database))
    undisturbed = [_submit(stack, seed) for seed in range(3)]
    wait_until(lambda: _all_ended(jobs, undisturbed), 120)

    ids = [_submit(stack, seed) for seed in range(N_JOBS)]
    killed = _kill_while(lambda: not _all_ended(jobs, ids), stack, jobs, random.Random(0))

    assert len(killed) >= 5, f"the jobs were over before there was trouble: {killed}"
    ended = [_found(jobs, job_id) for job_id in ids]
    assert [job.error for job in ended if job.status is not JobStatus.SUCCEEDED] == []
    assert check_history(jobs, [job.id for job in ended]) == []
    assert any(job.attempt > 1 for job in ended), "no job was interrupted"
    by_seed = {job.spec["seed"]: _numbers(job.result) for job in ended}
    for job_id in undisturbed:
        job = _found(jobs, job_id)
        assert _numbers(job.result) == by_seed[job.spec["seed"]]
    _all_reach_mlflow_once(stack, ids)


def _submit(stack: Stack, seed: int) -> str:
    body = {"kind": "logistic-regression", "spec": _spec(seed), "name": f"seed {seed}"}
    with httpx2.Client(base_url=stack.url, trust_env=False, timeout=30) as client:
        return str(client.post("/v1/jobs", json=body).raise_for_status().json()["id"])


def _found(jobs: JobStore, job_id: str) -> Any:
    job = jobs.find(UUID(job_id))
    assert job is not None, f"job {job_id} is lost"
    return job


def _all_ended(jobs: JobStore, ids: list[str]) -> bool:
    return all(_found(jobs, job_id).status.is_terminal for job_id in ids)


def _kill_while(busy: Callable[[], bool], stack: Stack, jobs: JobStore, chance: random.Random) -> list[str]:
    """SIGKILL a random process every second or two, until there were enough; then wait for the jobs."""
    killed: list[str] = []
    while busy() and len(killed) < N_KILLS:
        _pause(chance.uniform(0.5, 2.0))
        # A third crash of one job would rightly end it as poison; this walk is about the others.
        if any(job.n_crashes >= 1 for job in jobs.running()):
            continue
        # Random moments may all fall between two jobs: every third kill is in the midst of one.
        victims = _training(jobs, busy) if len(killed) % 3 == 1 else _victims(stack)
        with suppress(ProcessLookupError):
            if victims:
                name = chance.choice(sorted(victims))
                os.kill(victims[name], signal.SIGKILL)
                killed.append(name)
    wait_until(lambda: not busy(), 600)
    return killed


def _training(jobs: JobStore, busy: Callable[[], bool]) -> dict[str, int]:
    """The child whose job has told of a step; nobody once the jobs are over."""

    def midst() -> dict[str, int]:
        told = [job for job in jobs.running() if job.progress and not job.n_crashes]
        return {f"child {job.worker_pid}": job.worker_pid for job in told if job.worker_pid}

    wait_until(lambda: midst() or not busy(), 60)
    return midst()


def _victims(stack: Stack) -> dict[str, int]:
    pids = stack.pids()
    if "worker-cpu" in pids:
        try:
            children = psutil.Process(pids["worker-cpu"]).children()
        except psutil.NoSuchProcess:
            children = []
        spawned = [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
        pids |= {f"training child {i}": pid for i, pid in enumerate(spawned)}
    return pids


def _pause(seconds: float) -> None:
    """Time for the stack to run undisturbed: the point of the walk is trouble at random moments."""
    time.sleep(seconds)


def _numbers(result: dict[str, Any] | None) -> dict[str, Any]:
    assert result is not None
    return {key: result[key] for key in ("outcome", "steps", "objective", "coefficients", "intercepts", "fingerprint")}


def _all_reach_mlflow_once(stack: Stack, ids: list[str]) -> None:
    runs = RunStore(Database(Settings(home=stack.home).database))
    job_ids = [UUID(job_id) for job_id in ids]
    wait_until(lambda: all(run.is_closed for run in runs.find_all(job_ids).values()), 300)
    with httpx2.Client(base_url=stack.mlflow_url, trust_env=False, timeout=60) as client:
        experiments = client.post("/api/2.0/mlflow/experiments/search", json={"max_results": 100}).json()["experiments"]
        body = {"experiment_ids": [e["experiment_id"] for e in experiments], "max_results": 1000}
        found = client.post("/api/2.0/mlflow/runs/search", json=body).json()["runs"]
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in found]
    carried = [tag["gradline.job_id"] for tag in tags if tag.get("gradline.job_id") in set(ids)]
    assert sorted(carried) == sorted(ids)
    assert {run["info"]["status"] for run in found} == {"FINISHED"}
