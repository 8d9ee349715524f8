"""Draw the plots of one ended job and store them under its drawing's fence."""

import re
from collections.abc import Callable, Iterator

import structlog

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Fence, Job
from gradline.errors import DependencyDown, LeaseLost
from gradline.plots.animation import gif_of, spaced
from gradline.plots.boundary import BoundaryPainter
from gradline.plots.confusion import draw_confusion_matrix
from gradline.plots.curves import draw_accuracy, draw_loss
from gradline.plots.plot_data import NAME, PlotData
from gradline.plots.style import png_of
from gradline.storage import ArtifactStore

log = structlog.get_logger(__name__)

BATCH = 10
"""Plots that are committed at a time: a viewer sees them come, a crash repeats few."""
BOUNDARY = re.compile(r"boundary/step-(\d+)\.png")
ANIMATION = "animation.gif"
PLOTS: dict[str, Callable[[PlotData], bytes]] = {
    "loss.png": draw_loss,
    "accuracy.png": draw_accuracy,
    "confusion_matrix.png": draw_confusion_matrix,
}


def draw_pending(drawings: DrawingStore, jobs: JobStore, artifacts: ArtifactStore) -> bool:
    """Draw what is still to be drawn for one ended job; False where no job waits.

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
    numbers = jobs.find_artifact(job.id, NAME)
    if numbers is None:
        raise ValueError(f"the job has no artifact {NAME}")
    data = PlotData.parse(artifacts.get(numbers.sha256))
    batch: list[Artifact] = []
    for drawn, content in _draw_all(data, names):
        stored = artifacts.put(content)
        batch.append(Artifact(*drawn, sha256=stored.sha256, size_bytes=stored.size_bytes, step=_step_of(drawn[0])))
        if len(batch) == BATCH:
            drawings.record(fence, batch, is_last=False)
            batch = []
    drawings.record(fence, batch, is_last=True)
    log.info("drawing_finished", job_id=str(job.id), n_plots=len(names))


def _draw_all(data: PlotData, names: list[str]) -> Iterator[tuple[tuple[str, str, str], bytes]]:
    """Each plot as (name, kind, media type) and its bytes; the cheap ones first."""
    frames = {frame.step: frame for frame in data.frames}
    painter: BoundaryPainter | None = None
    for name in sorted(names, key=_cost):
        if name in PLOTS:
            yield (name, "plot", "image/png"), PLOTS[name](data)
            continue
        painter = painter or BoundaryPainter(data)
        if name == ANIMATION:
            shown = [data.frames[i] for i in spaced(len(data.frames))]
            yield (
                (name, "animation", "image/gif"),
                gif_of(map(painter.paint, shown), painter.paint(shown[-1]), len(shown)),
            )
        elif (step := _step_of(name)) in frames:
            yield (name, "image", "image/png"), png_of(painter.paint(frames[step]))
        else:
            raise ValueError(f"{NAME} has nothing to draw {name!r} from; its frames are at {sorted(frames)}")


def _cost(name: str) -> tuple[int, str]:
    return (0 if name in PLOTS else 2 if name == ANIMATION else 1), name


def _step_of(name: str) -> int | None:
    match = BOUNDARY.fullmatch(name)
    return int(match[1]) if match else None
