"""The three things a conductor does in a round."""

from datetime import timedelta

import structlog

from gradline.clock import utc_now
from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.lanes import Doorbell, Lane
from gradline.settings import Settings
from gradline.storage import ArtifactStore

MAX_RINGS = 200
"""Rings sent at once for a lane whose bell list is empty though jobs wait; each worker that hears one takes a job."""
ORPHAN_AGE = timedelta(days=1)
"""A file that no row names may still be about to get its row; after this long it never will."""
SILENT_WORKER_S = 3600.0

log = structlog.get_logger(__name__)


class Sweep:
    """One conductor's hold on the store, the bell and the files."""

    def __init__(self, settings: Settings) -> None:
        self._retention_days = settings.retention_days
        database = Database(settings.database, pool_size=2)
        self._jobs = JobStore(database, settings.lease_s)
        self._workers = WorkerStore(database)
        self._store = ArtifactStore(settings.store_url)
        self._doorbell = Doorbell(settings.redis_url)

    def rescue(self) -> None:
        for job in self._jobs.rescue_lapsed():
            log.warning("job_rescued", job_id=str(job.id), attempt=job.attempt, status=job.status.value)

    def ring(self) -> None:
        """For each lane with work and an empty bell list: rings were lost, or the work became ready by waiting."""
        waiting = self._jobs.ready_counts()
        waiting[Lane.DRAWING] = self._jobs.n_pending_drawings()
        for lane, count in waiting.items():
            if count and self._doorbell.waiting(lane) == 0:
                self._doorbell.ring(lane, min(count, MAX_RINGS))

    def clear(self) -> None:
        """Jobs past their retention, files that no row names any more, workers that have long been silent."""
        if self._retention_days is not None:
            self._jobs.purge_ended(self._retention_days * 86_400)
        self._workers.forget_silent(SILENT_WORKER_S)
        n_deleted = 0
        for sha256 in self._store.list_older_than(utc_now() - ORPHAN_AGE):
            if not self._jobs.is_file_named(sha256):
                self._store.delete(sha256)
                n_deleted += 1
        if n_deleted:
            log.info("orphans_deleted", n_files=n_deleted)
