"""A real worker process on a database, a Redis and a store of the test's own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from gradline.db.jobs import JobStore
from gradline.db.records import Job
from gradline.db.session import Database
from gradline.lanes import Doorbell
from gradline.settings import Settings
from gradline.worker.runner import Runner
from tests.factories import new_job
from tests.waiting import wait_until

WORKER = "w1"
"""Whom a runner in the test's own process claims for."""


@dataclass
class Worker:
    """One `gradline worker --lane cpu` as a process."""

    process: subprocess.Popen[bytes]

    def children(self) -> list[psutil.Process]:
        """The processes that train."""
        family = psutil.Process(self.process.pid).children()
        return [child for child in family if "spawn_main" in " ".join(child.cmdline())]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Site:
    """Where jobs are submitted and workers started."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.jobs = JobStore(self.database, settings.lease_s)
        self.doorbell = Doorbell(settings.redis_url)
        self.environment = environment
        self._workers: list[Worker] = []

    def submit(self, spec: dict[str, Any], **more: Any) -> Job:
        job, _ = self.jobs.submit(new_job(spec=spec, **more))
        self.doorbell.ring("cpu")
        return job

    def start_worker(self) -> Worker:
        command = [sys.executable, "-m", "gradline.worker.main", "--lane", "cpu"]
        worker = Worker(subprocess.Popen(command, env=self.environment, start_new_session=True))
        self._workers.append(worker)
        return worker

    def now(self, job: Job) -> Job:
        found = self.jobs.find(job.id)
        assert found is not None
        return found

    def wait_for(self, job: Job, condition: Callable[[Job], bool], timeout_s: float = 60.0) -> Job:
        return wait_until(lambda: (found := self.now(job)) and condition(found) and found, timeout_s, f"job {job.id}")

    def wait_for_end(self, job: Job, timeout_s: float = 90.0) -> Job:
        return self.wait_for(job, lambda found: found.status.is_terminal, timeout_s)

    def stop(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                os.killpg(worker.process.pid, signal.SIGCONT)
                os.killpg(worker.process.pid, signal.SIGKILL)
                worker.process.wait()
        self.database.close()


@pytest.fixture
def make_site(sqlite_url: str, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(**settings: Any) -> Site:
        values = {"home": str(tmp_path), "database_url": sqlite_url, "redis_url": redis_url} | settings
        environment = os.environ | {f"GRADLINE_{name.upper()}": str(value) for name, value in values.items()}
        site = Site(Settings(**values), environment)
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def make_runner(sqlite_url: str, redis_url: str, tmp_path: Path) -> Callable[..., Runner]:
    """What a worker's child is, in the test's own process."""
    values = {"home": tmp_path, "database_url": sqlite_url, "redis_url": redis_url}
    return lambda **more: Runner(Settings(**values | more), WORKER)


@pytest.fixture
def job_store(sqlite_url: str) -> JobStore:
    return JobStore(Database(sqlite_url))
