"""A child of the drawing lane: draws the plots of jobs that have trained, and exports their models."""

from collections.abc import Iterator

import structlog

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Fence, Job
from gradline.db.session import Database
from gradline.errors import DependencyDown, LeaseLost
from gradline.export.exporting import export_all, is_export
from gradline.plots.drawing import Plot, draw_all
from gradline.plots.plot_data import NAME, PlotData
from gradline.scoring_jobs import MODEL_FILE
from gradline.settings import Settings
from gradline.storage import ArtifactStore

BATCH = 10
"""Files that are committed at a time: a viewer sees them come, a crash repeats few."""

log = structlog.get_logger(__name__)


class Drawer:
    """What the child holds."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings.database, pool_size=1)
        self._drawings, self._jobs = DrawingStore(database, settings.lease_s), JobStore(database)
        self._store = ArtifactStore(settings.store_url)

    def run_one(self, lane: str) -> bool:  # noqa: ARG002  (as Runner.run_one)
        """Draw the plots of one ended job; False where none wait."""
        return draw_pending(self._drawings, self._jobs, self._store)

    def shut_down(self) -> None:
        """Nothing to do: an unfinished drawing is drawn again once its lease lapses."""

    def drain(self) -> None:
        """Nothing to do: `run_one` leaves nothing unwritten."""


def draw_pending(drawings: DrawingStore, jobs: JobStore, artifacts: ArtifactStore) -> bool:
    """Make what is still to be made for one ended job; False where no job waits.

    What is wrong with the numbers is recorded on the drawing; a database or store that is away raises DependencyDown,
    and the drawing is claimed again once its lease lapses.
    """
    claimed = drawings.claim()
    if claimed is None:
        return False
    job, fence = claimed
    try:
        _draw_job(drawings, jobs, artifacts, job, fence)
    except LeaseLost:
        log.warning("drawing_lost", job_id=str(job.id), drawing=fence.attempt)
    except DependencyDown:
        raise
    except Exception as error:
        log.exception("drawing_failed", job_id=str(job.id), drawing=fence.attempt)
        drawings.record(fence, [], is_last=False, error=f"{type(error).__name__}: {error}")
    return True


def _draw_job(drawings: DrawingStore, jobs: JobStore, artifacts: ArtifactStore, job: Job, fence: Fence) -> None:
    names = drawings.pending_names(job.id)
    batch: list[Artifact] = []
    for made in _make_all(jobs, artifacts, job, names):
        stored = artifacts.put(made.data)
        batch.append(Artifact(made.name, made.kind, made.media_type, stored.sha256, stored.size_bytes, made.step))
        if len(batch) == BATCH:
            drawings.record(fence, batch, is_last=False)
            batch = []
    drawings.record(fence, batch, is_last=True)
    log.info("drawing_finished", job_id=str(job.id), n_plots=len(names))


def _make_all(jobs: JobStore, artifacts: ArtifactStore, job: Job, names: list[str]) -> Iterator[Plot]:
    """Plots first, exports after them: they take longer, and nobody watches them come."""
    exports = [name for name in names if is_export(name)]
    if plots := [name for name in names if name not in exports]:
        yield from draw_all(PlotData.parse(_read(jobs, artifacts, job, NAME)), plots)
    if exports:
        for export in export_all(_read(jobs, artifacts, job, MODEL_FILE), exports):
            yield Plot(export.name, "model", export.media_type, export.data)


def _read(jobs: JobStore, artifacts: ArtifactStore, job: Job, name: str) -> bytes:
    found = jobs.find_artifact(job.id, name)
    if found is None:
        raise ValueError(f"the job has no artifact {name}")
    return artifacts.get(found.sha256)
