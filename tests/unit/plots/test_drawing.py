"""Plots drawn from the numbers of an ended job."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Fence, Job
from gradline.db.session import Database
from gradline.plots.animation import LAST_MS, MAX_FRAMES, spaced
from gradline.plots.boundary import BoundaryPainter
from gradline.plots.curves import draw_accuracy, draw_loss
from gradline.plots.plot_data import MAX_POINTS, Frame, PlotData
from gradline.plots.style import BLUE, VERMILLION, Pixels
from gradline.status import EventKind, JobStatus
from gradline.storage import ArtifactStore
from gradline.worker.drawing import draw_pending
from tests import factories
from tests.unit.export.test_exports import MODEL, ROWS, with_examples

STEPS = (0, 20, 40)
FRAMES = [f"boundary/step-{step:06d}.png" for step in STEPS]
PLOTS = ["loss.png", "accuracy.png", "confusion_matrix.png"]


def numbers(**overrides: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x_nd = np.concatenate([rng.normal(2.7, 1, (50, 2)), rng.normal(-0.7, 1, (50, 2))])
    frames = [{"step": s, "weights": [-1.0, -1.0], "bias": 0.1 * s, "loss": 0.4, "accuracy": 0.9} for s in STEPS]
    values: dict[str, Any] = {
        "feature_names": ["x1", "x2"],
        "class_names": ["0", "1"],
        "points": {"x": x_nd.tolist(), "y": [0] * 50 + [1] * 50},
        "frames": frames,
        "history": {"step": list(STEPS), "loss": [0.4, 0.3, None], "accuracy": [0.8, 0.9, 1.0]},
        "confusion_matrix": {"train": [[50, 0], [2, 48]], "validation": None},
        "outcome": "target_reached",
        "title": "blobs",
    }
    return values | overrides


def parsed(**overrides: Any) -> PlotData:
    return PlotData.parse(json.dumps(numbers(**overrides)).encode())


@pytest.fixture
def database(sqlite_url: str) -> Database:
    return Database(sqlite_url)


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


def ended_job(store: JobStore, artifacts: ArtifactStore, names: list[str], data: bytes | None = None) -> Job:
    job, _ = store.submit(factories.new_job())
    claimed = store.claim("cpu", "worker", 1)
    assert claimed is not None
    stored = artifacts.put(json.dumps(numbers()).encode() if data is None else data)
    file = Artifact("plot_data.json", "table", "application/json", stored.sha256, stored.size_bytes)
    store.finish(Fence(job.id, 1), JobStatus.SUCCEEDED, result={}, artifacts=[file], drawings=names)
    return job


def opened(store: JobStore, artifacts: ArtifactStore, job: Job, name: str) -> Image.Image:
    artifact = store.find_artifact(job.id, name)
    assert artifact is not None
    return Image.open(io.BytesIO(artifacts.get(artifact.sha256)))


def test_every_plot_that_was_promised_is_drawn(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    job = ended_job(store, artifact_store, [*FRAMES, "animation.gif", *PLOTS])
    assert draw_pending(drawing_store, store, artifact_store)
    assert drawing_store.pending_names(job.id) == []
    drawn = {a.name: a for a in store.artifacts(job.id)}
    assert [(drawn[name].kind, drawn[name].step) for name in FRAMES] == [("image", step) for step in STEPS]
    assert drawn["animation.gif"].kind == "animation"
    assert {drawn[name].kind for name in PLOTS} == {"plot"}
    assert opened(store, artifact_store, job, FRAMES[0]).size == (720, 600)
    assert opened(store, artifact_store, job, "loss.png").size == (900, 700)
    assert not draw_pending(drawing_store, store, artifact_store)


def test_the_model_is_exported_after_the_plots_and_without_any(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    job, _ = store.submit(factories.new_job())
    assert store.claim("cpu", "worker", 1) is not None
    stored = artifact_store.put(json.dumps(with_examples(MODEL, ROWS)).encode())
    model = Artifact("model.json", "model", "application/json", stored.sha256, stored.size_bytes)
    names = ["model.sql", "model.onnx", "exports.json"]
    store.finish(Fence(job.id, 1), JobStatus.SUCCEEDED, result={}, artifacts=[model], drawings=names)
    assert draw_pending(drawing_store, store, artifact_store)
    files = {a.name: a for a in store.artifacts(job.id)}
    assert set(files) == {"model.json", *names}
    assert {files[name].kind for name in names} == {"model"}
    assert b"SELECT" in artifact_store.get(files["model.sql"].sha256)


def test_the_animation_shows_each_frame_and_holds_the_last(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    job = ended_job(store, artifact_store, ["animation.gif"])
    draw_pending(drawing_store, store, artifact_store)
    animation = opened(store, artifact_store, job, "animation.gif")
    assert getattr(animation, "n_frames") == len(STEPS)  # noqa: B009  the type knows no frames
    animation.seek(len(STEPS) - 1)
    assert animation.info["duration"] == LAST_MS


BEST = {"step": 20, "weights": [1.0, -1.0], "bias": 3.0, "loss": 0.3, "accuracy": 0.9}


def test_the_animation_holds_the_best_report_where_the_fit_gives_its_parameters(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    data = parsed(best=BEST)
    job = ended_job(store, artifact_store, ["animation.gif"], json.dumps(numbers(best=BEST)).encode())
    draw_pending(drawing_store, store, artifact_store)
    animation = opened(store, artifact_store, job, "animation.gif")
    animation.seek(len(STEPS))
    assert animation.info["duration"] == LAST_MS
    held = np.asarray(animation.convert("RGB"), float)
    assert data.best is not None
    off_best, off_last = (
        np.abs(held - BoundaryPainter(data).paint(frame)).mean() for frame in (data.best, data.frames[-1])
    )
    assert off_best < 0.5 * off_last


def _pixels(png: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("draw", [draw_loss, draw_accuracy])
def test_curves_mark_the_step_whose_parameters_are_kept(draw: Callable[[PlotData], bytes]) -> None:
    history = {"step": list(STEPS), "loss": [0.4, 0.3, 0.35], "accuracy": [0.8, 0.9, 1.0]}
    plain, marked = (_pixels(draw(parsed(history=history, best=best))) for best in (None, BEST))
    differs_wh = (plain != marked).any(axis=2)
    column = int(differs_wh.sum(axis=0).argmax())
    assert differs_wh[:, column].sum() > 100, "a line from the bottom to the top"
    assert abs(column - 484) < 5, "half way between the first step and the last"


def test_the_same_numbers_give_the_same_bytes(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    jobs = [ended_job(store, artifact_store, [*FRAMES, *PLOTS, "animation.gif"]) for _ in range(2)]
    while draw_pending(drawing_store, store, artifact_store):
        pass
    first, second = ({a.name: a.sha256 for a in store.artifacts(job.id)} for job in jobs)
    assert len(first) == len(FRAMES) + len(PLOTS) + 2
    assert first == second


def test_numbers_that_cannot_be_drawn_end_as_a_warning(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    job = ended_job(store, artifact_store, ["boundary/step-000777.png"])
    for _ in range(3):
        assert draw_pending(drawing_store, store, artifact_store)
    assert not draw_pending(drawing_store, store, artifact_store)
    (warning,) = store.events(job.id, kinds=[EventKind.WARNING])
    assert "boundary/step-000777.png" in warning.data["message"]
    found = store.find(job.id)
    assert found is not None
    assert found.status is JobStatus.SUCCEEDED


def test_a_drawing_goes_on_where_one_broke_off(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore
) -> None:
    job = ended_job(store, artifact_store, [*FRAMES, "loss.png"])
    claimed = drawing_store.claim()
    assert claimed is not None
    sentinel = Artifact(FRAMES[0], "image", "image/png", "e" * 64, 1, 0)
    drawing_store.record(claimed[1], [sentinel], is_last=False, error="the child was killed")
    assert draw_pending(drawing_store, store, artifact_store)
    kept = store.find_artifact(job.id, FRAMES[0])
    assert kept is not None
    assert kept.sha256 == "e" * 64  # what had been drawn was not drawn again
    assert drawing_store.pending_names(job.id) == []


def test_the_positive_class_is_drawn_on_its_side_of_the_line() -> None:
    painter = BoundaryPainter(parsed())
    pixels = painter.paint(Frame(0, np.array([-1.0, -1.0]), 2.0, 0.4, 0.9)).astype(int)
    lower_left, upper_right = pixels[520, 90], pixels[110, 690]
    assert lower_left[0] > lower_left[2]  # tinted vermillion: class 1
    assert upper_right[2] > upper_right[0]  # tinted blue: class 0
    assert (BLUE, VERMILLION) == ("#0072B2", "#D55E00")


def test_only_what_changed_moves_between_two_frames() -> None:
    data = parsed()
    painter = BoundaryPainter(data)
    steep, flat = (painter.paint(Frame(0, np.array(w), 0.0, 0.4, 0.9)) for w in ([-1.0, -0.1], [-0.1, -1.0]))
    assert (steep != flat).any()
    legend = (slice(95, 190), slice(78, 270))  # the upper left corner, which these points leave empty
    assert (steep[legend] == 34).all(axis=2).any()  # its text, in ink
    ink = [(pixels[legend] < 60).all(axis=2) for pixels in (steep, flat)]
    assert (ink[0] == ink[1]).all()


def test_a_fit_that_is_no_longer_finite_has_a_frame_without_a_line() -> None:
    frames = [{"step": 0, "weights": [None, 1.0], "bias": None, "loss": None, "accuracy": None}]
    data = parsed(frames=frames)
    pixels = BoundaryPainter(data).paint(data.frames[0])
    assert (pixels[300, 700] == 255).all()  # no half-plane is tinted


def test_many_points_are_thinned() -> None:
    n = 3 * MAX_POINTS
    data = parsed(points={"x": [[0.0, float(i)] for i in range(n)], "y": [i % 2 for i in range(n)]})
    assert data.x_nd is not None
    assert data.y_n is not None
    assert len(data.x_nd) == MAX_POINTS
    assert set(data.y_n.tolist()) == {0, 1}


def test_a_long_animation_keeps_its_ends() -> None:
    chosen = spaced(1000)
    assert (len(chosen), chosen[0], chosen[-1]) == (MAX_FRAMES, 0, 999)


@pytest.mark.parametrize("k", [2, 3, 10, 20])
def test_a_confusion_matrix_of_any_size_can_be_drawn(
    drawing_store: DrawingStore, store: JobStore, artifact_store: ArtifactStore, k: int
) -> None:
    counts = (np.eye(k, dtype=int) * 20).tolist()
    matrix = {"train": counts, "validation": counts}
    data = numbers(class_names=[f"kind {i}" for i in range(k)], confusion_matrix=matrix, points=None, frames=[])
    job = ended_job(store, artifact_store, PLOTS, json.dumps(data).encode())
    draw_pending(drawing_store, store, artifact_store)
    width, height = opened(store, artifact_store, job, "confusion_matrix.png").size
    assert width > height  # the parts stand side by side


@pytest.mark.parametrize(
    ("names", "index", "label"),
    [
        (["0", "1"], 1, "class 1 (positive)"),
        (["benign", "malignant"], 1, "malignant (class 1, positive)"),
        (["benign", "malignant"], 0, "benign (class 0, negative)"),
        (["a", "b", "c"], 2, "c"),
    ],
)
def test_legends_say_which_class_is_positive(names: list[str], index: int, label: str) -> None:
    assert parsed(class_names=names).class_label(index) == label
