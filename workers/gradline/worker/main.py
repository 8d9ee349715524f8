"""The worker process: a Celery prefork parent without torch, and a thread that watches its children.

`python -m gradline.worker.main --lane cpu`
"""

import argparse
import logging
import os
import secrets
import signal
import sys
import threading
import time
import warnings
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down
from celery.worker import state

from gradline import liveness
from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.errors import DependencyDown
from gradline.lanes import Doorbell, Lane, make_celery
from gradline.logs import configure_logging
from gradline.settings import Settings
from gradline.worker.device import device_of

WATCH_CHILDREN_S = 0.25
BEAT_S = 10.0
log = structlog.get_logger(__name__)


class Parent:
    """Runs the Celery worker and, beside it, reports itself and gives back what a dead child was running.

    It is alive for others while a child of it takes jobs. Where its first child dies before it could, the parent ends
    with exit code 1: the others would fail alike, and whoever started the parent starts it again.
    """

    def __init__(self, settings: Settings, lane: str) -> None:
        self._settings = settings
        self._lane = lane
        self.worker_id = f"{lane}@{settings.hostname}-{os.getpid()}-{secrets.token_hex(3)}"
        database = Database(settings.database, pool_size=2)
        self._jobs = JobStore(database, settings.lease_s)
        self._workers = WorkerStore(database)
        self._doorbell = Doorbell(settings.redis_url)
        self._celery = self._make_worker()
        self._ended = threading.Event()
        self._has_come_up = False

    def run(self) -> int:
        watcher = threading.Thread(target=self._watch, name="children", daemon=True)
        watcher.start()
        # Celery keeps weak references to receivers; the bound method lives as long as this frame.
        worker_shutting_down.connect(self._stop_children, weak=False)
        try:
            self._celery.start()
        finally:
            self._ended.set()
            watcher.join(timeout=5)
            self._forget()
        return int(self._celery.exitcode or 0)

    def _make_worker(self) -> Any:
        app: Celery = make_celery(self._settings.redis_url)
        app.conf.update(
            imports=["gradline.worker.tasks"],
            worker_max_tasks_per_child=self._settings.child_jobs_max,
            worker_proc_alive_timeout=300.0,  # a child imports torch before it reports for work
        )
        return app.Worker(
            hostname=self.worker_id,
            pool="prefork",
            concurrency=self._settings.n_children,
            queues=[self._lane],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
            quiet=True,
        )

    def _child_pids(self) -> set[int]:
        pool = getattr(self._celery.pool, "_pool", None)
        return {process.pid for process in pool._pool if process.is_alive()} if pool is not None else set()

    def _has_child_up(self) -> bool:
        """Whether a child has said, after all its imports, that it takes jobs; Celery forgets those that died."""
        pool = getattr(self._celery.pool, "_pool", None)
        return pool is not None and bool(pool._all_inqueues)

    def _stop_children(self, **_: Any) -> None:
        for pid in self._child_pids():
            os.kill(pid, signal.SIGUSR2)

    def _watch(self) -> None:
        """The one loop of this thread; a database that is away must not end it."""
        known: set[int] = set()
        beat_at = 0.0
        while not self._ended.wait(WATCH_CHILDREN_S):
            alive = self._child_pids()
            try:
                is_up = self._has_child_up()
                self._has_come_up = self._has_come_up or is_up
                if is_up and time.monotonic() >= beat_at:
                    self._beat()
                    beat_at = time.monotonic() + BEAT_S
                for pid in known - alive:
                    self._give_back(pid)
                known = alive
            except DependencyDown as down:
                log.warning("watch_failed", error=str(down))

    def _beat(self) -> None:
        self._workers.beat(
            worker_id=self.worker_id,
            hostname=self._settings.hostname,
            pid=os.getpid(),
            lane=self._lane,
            device=device_of(self._lane),
            n_slots=self._settings.n_children,
        )
        liveness.beat(f"worker-{self._lane}")

    def _give_back(self, pid: int) -> None:
        rescued = self._jobs.rescue_of(self.worker_id, pid)
        self._has_come_up = self._has_come_up or bool(rescued)  # it may have come, claimed and died between two looks
        if not self._has_come_up:
            log.error("no_child_comes_up", pid=pid)
            state.should_stop = 1  # type: ignore[assignment]  # Celery's loop ends the worker with this exit code
        for job in rescued:
            log.warning("child_died", pid=pid, job_id=str(job.id), status=job.status.value)
            self._doorbell.ring(job.lane)

    def _forget(self) -> None:
        try:
            self._workers.forget(self.worker_id)
        except DependencyDown as down:
            log.warning("forget_failed", error=str(down))


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Having a receiver is what keeps Celery from setting up its own."""


def run(settings: Settings, lane: str) -> int:
    configure_logging(settings)
    # Celery warns of root because of pickle; we take JSON alone.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return Parent(settings, lane).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="gradline worker")
    parser.add_argument("--lane", choices=[lane.value for lane in Lane], default=Lane.CPU.value)
    sys.exit(run(Settings(), parser.parse_args().lane))


if __name__ == "__main__":
    main()
