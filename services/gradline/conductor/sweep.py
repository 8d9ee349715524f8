"""The three things a conductor does in a round."""

from datetime import timedelta

import structlog

from gradline.clock import utc_now
from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.lanes import Doorbell, Lane
from gradline.settings import Settings
from gradline.storage import ArtifactStore

MAX_RINGS = 200
"""Rings kept waiting for a lane at most; each worker that hears one takes a job, one with nothing to take is cheap."""
ORPHAN_AGE = timedelta(days=1)
"""A file that no row names may still be about to get its row; after this long it never will."""
UNFINISHED_AGE = timedelta(hours=1)
"""A file that is being written is written to all the time; after this long its writer is dead."""
SILENT_WORKER_S = 3600.0

log = structlog.get_logger(__name__)


class Sweep:
    """One conductor's hold on the store, the bell and the files."""

    def __init__(self, settings: Settings) -> None:
        self._retention_days = settings.retention_days
        self._database = Database(settings.database, pool_size=2)
        self._jobs = JobStore(self._database, settings.lease_s)
        self._drawings = DrawingStore(self._database, settings.lease_s)
        self._workers = WorkerStore(self._database)
        self._store = ArtifactStore(settings.store_url)
        self._doorbell = Doorbell(settings.redis_url)

    def rescue(self) -> None:
        for job in self._jobs.rescue_lapsed():
            log.warning("job_rescued", job_id=str(job.id), attempt=job.attempt, status=job.status.value)

    def ring(self) -> None:
        """Top up the bell list of each lane that has more work than rings: some were lost, or work became ready."""
        ready = self._jobs.ready_counts()
        ready[Lane.DRAWING] = self._drawings.n_pending()
        for lane, n_ready in ready.items():
            n_rings = self._doorbell.waiting(lane) if n_ready else None
            if n_rings is not None and n_rings < min(n_ready, MAX_RINGS):
                self._doorbell.ring(lane, min(n_ready, MAX_RINGS) - n_rings)

    def clear(self) -> None:
        """Jobs deleted or past their retention, files that no row names or will, workers that have long been silent."""
        self._jobs.purge(None if self._retention_days is None else self._retention_days * 86_400)
        self._workers.forget_silent(SILENT_WORKER_S)
        n_deleted = self._store.delete_unfinished(utc_now() - UNFINISHED_AGE)
        for sha256 in self._store.list_older_than(utc_now() - ORPHAN_AGE):
            if not self._jobs.is_file_named(sha256):
                self._store.delete(sha256)
                n_deleted += 1
        if n_deleted:
            log.info("orphans_deleted", n_files=n_deleted)

    def close(self) -> None:
        self._database.close()
