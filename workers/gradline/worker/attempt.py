"""One attempt of one job as its runner sees it: the AttemptContext over the job store, the artifact store and Redis."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any, BinaryIO
from uuid import UUID

import structlog

from gradline.db.datasets import DatasetStore, StoredDataset
from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Fence, Job, NewEvent, SavedCheckpoint
from gradline.errors import Conflict, DependencyDown, NotFound, PermanentError
from gradline.progress import TickPublisher
from gradline.scoring_jobs import find_model
from gradline.status import EventKind
from gradline.storage import BLOCK_BYTES, ArtifactStore, Stored
from gradline.worker.context import Loaded
from gradline.worker.stopping import StopSignal

FLUSH_S = 0.25
"""How long a durable point may wait for company before it is committed: a short job commits once, at its end."""

log = structlog.get_logger(__name__)


class Attempt:
    """Implements `AttemptContext`."""

    def __init__(
        self,
        job: Job,
        jobs: JobStore,
        datasets: DatasetStore,
        store: ArtifactStore,
        ticks: TickPublisher,
        stop: StopSignal,
        features_max_bytes: int | None = None,
    ) -> None:
        self.job = job
        self.store = store
        self.features_max_bytes = features_max_bytes
        self.fence = Fence(job.id, job.attempt)
        self.events: list[NewEvent] = []
        self.warnings: dict[str, str] = {}
        self.artifacts: list[Artifact] = []
        self._being_stored: list[tuple[Artifact, Future[Stored]]] = []
        self.current_progress: dict[str, Any] | None = None
        self._jobs = jobs
        self._datasets = datasets
        self._ticks = ticks
        self._stop = stop
        self._flushed_at = self._checkpointed_at = time.monotonic()

    def get_dataset(self, dataset_id: str) -> StoredDataset:
        try:
            return self._datasets.get(UUID(dataset_id), self.job.owner)
        except NotFound as gone:
            raise PermanentError(gone.message, code="dataset_gone") from gone

    def get_model(self, job_id: str) -> bytes:
        try:
            artifact = find_model(self._jobs, self._jobs.get(UUID(job_id), self.job.owner))
        except (NotFound, Conflict) as gone:
            raise PermanentError(gone.message, code="no_model") from gone
        return self.store.get(artifact.sha256)

    def raise_if_stopped(self) -> None:
        if self._stop.reason is not None:
            raise self._stop.reason

    def tick_is_due(self) -> bool:
        return self._ticks.is_due()

    def tick(self, values: Mapping[str, Any]) -> None:
        self._ticks.publish(self.job.id, {"attempt": self.job.attempt, **values})

    def metric(self, step: int, values: Mapping[str, float | None], **more: Any) -> None:
        self._add(NewEvent(EventKind.METRIC, {"step": step, "values": dict(values), **more}, f"metric:{step}"))

    def progress(self, step: int, total_steps: int, eta_s: float | None = None) -> None:
        fraction = step / total_steps if total_steps else 1.0
        self.current_progress = {"step": step, "total_steps": total_steps, "fraction": fraction, "eta_s": eta_s}

    def warn(self, code: str, message: str) -> None:
        self.warnings.setdefault(code, message)
        self._add(NewEvent(EventKind.WARNING, {"code": code, "message": message}, f"warning:{code}"))

    def save_artifact(
        self, name: str, data: bytes, media_type: str, kind: str = "table", step: int | None = None
    ) -> None:
        """The file is written beside what comes next; a row names it once it is there."""
        artifact = Artifact(name, kind, media_type, "", len(data), step)
        self._being_stored.append((artifact, self.store.put_later(data)))

    def save_file(self, name: str, file: BinaryIO, media_type: str, kind: str = "table") -> None:
        file.seek(0)
        stored = self.store.put_stream(iter(lambda: file.read(BLOCK_BYTES), b""))
        self.artifacts.append(Artifact(name, kind, media_type, stored.sha256, stored.size_bytes, None))

    def is_settled(self, within_s: float) -> bool:
        """Whether the store has taken or refused every file, now or within so long."""
        return not wait([future for _, future in self._being_stored], within_s).not_done

    def settle(self) -> None:
        """Wait until the store has every file. Raises DependencyDown where it could not take one; the others count."""
        wait(future for _, future in self._being_stored)
        self._take_stored()
        for _, future in self._being_stored:
            future.result()

    def _take_stored(self) -> None:
        """The files that the store has by now become artifacts, in the order in which they were saved."""
        for artifact, future in [pair for pair in self._being_stored if _is_stored(pair[1])]:
            self.artifacts.append(replace(artifact, sha256=future.result().sha256))
        self._being_stored = [pair for pair in self._being_stored if not _is_stored(pair[1])]

    def checkpoint_is_due(self, every_s: float) -> bool:
        return time.monotonic() - self._checkpointed_at >= every_s

    def checkpoint(self, step: int, data: bytes, fingerprint: dict[str, Any] | None = None) -> None:
        """A store or database that is away costs this checkpoint, not the training."""
        self._checkpointed_at = time.monotonic()
        try:
            stored = self.store.put(data)
            self._commit(SavedCheckpoint(step, stored.sha256, stored.size_bytes, fingerprint or {}))
        except DependencyDown as down:
            log.warning("checkpoint_failed", job_id=str(self.job.id), step=step, error=str(down))

    def latest_checkpoint(self) -> Loaded | None:
        if self.job.attempt == 1:
            return None
        for saved in self._jobs.latest_checkpoints(self.job.id):
            try:
                data = self.store.get(saved.sha256)
            except DependencyDown as damage:
                self.warn("checkpoint_unreadable", f"the checkpoint of step {saved.step} was passed over: {damage}")
                continue
            self._add(NewEvent(EventKind.RESUMED, {"step": saved.step, "from_attempt": saved.attempt}))
            return Loaded(saved.step, data, saved.fingerprint)
        return None

    def _add(self, event: NewEvent) -> None:
        self.events.append(event)
        if time.monotonic() - self._flushed_at >= FLUSH_S:
            try:
                self._commit(None)
            except DependencyDown as down:
                log.warning("flush_failed", job_id=str(self.job.id), error=str(down))

    def _commit(self, checkpoint: SavedCheckpoint | None) -> None:
        """What could not be committed stays buffered: its keys make a second try harmless."""
        self._flushed_at = time.monotonic()
        self._take_stored()
        self._jobs.record(self.fence, self.events, self.artifacts, checkpoint, self.current_progress)
        self.events, self.artifacts = [], []


def _is_stored(future: Future[Stored]) -> bool:
    return future.done() and future.exception() is None
