"""The plots of one ended job, by their names."""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gradline.plots.animation import gif_of, spaced
from gradline.plots.boundary import BoundaryPainter
from gradline.plots.coefficients import draw_coefficients
from gradline.plots.confusion import draw_confusion_matrix
from gradline.plots.curve_numbers import numbers_of
from gradline.plots.curves import draw_accuracy, draw_gradient_norm, draw_loss
from gradline.plots.importance import draw_importance
from gradline.plots.path import draw_path
from gradline.plots.plot_data import NAME, PlotData
from gradline.plots.regions import draw_regions
from gradline.plots.residuals import draw_residuals
from gradline.plots.scores import (
    draw_calibration,
    draw_gains,
    draw_precision_recall,
    draw_roc,
    draw_thresholds,
)
from gradline.plots.style import png_of

BOUNDARY = re.compile(r"boundary/step-(\d+)\.png")
ANIMATION = "animation.gif"
PLOTS: dict[str, Callable[[PlotData], bytes]] = {
    "loss.png": draw_loss,
    "accuracy.png": draw_accuracy,
    "gradient_norm.png": draw_gradient_norm,
    "confusion_matrix.png": draw_confusion_matrix,
    "roc.png": draw_roc,
    "precision_recall.png": draw_precision_recall,
    "calibration.png": draw_calibration,
    "thresholds.png": draw_thresholds,
    "gains.png": draw_gains,
    "coefficients.png": draw_coefficients,
    "importance.png": draw_importance,
    "residuals.png": draw_residuals,
    "regions.png": draw_regions,
    "path.png": draw_path,
}
CURVES = "curves.json"
"""The numbers behind the plots of scores."""


class Plot(NamedTuple):
    """A file to be."""

    name: str
    kind: str
    """Of the artifact."""
    media_type: str
    data: bytes
    step: int | None = None


def draw_all(data: PlotData, names: list[str]) -> Iterator[Plot]:
    """The plots of these names; the cheap ones first."""
    frames = {frame.step: frame for frame in data.frames}
    painter: BoundaryPainter | None = None
    for name in sorted(names, key=_cost):
        if name == CURVES:
            yield Plot(name, "table", "application/json", _curves(data))
            continue
        if name in PLOTS:
            yield Plot(name, "plot", "image/png", PLOTS[name](data))
            continue
        painter = painter or BoundaryPainter(data)
        if name == ANIMATION:
            shown = [data.frames[i] for i in spaced(len(data.frames))] + ([data.best] if data.best else [])
            moving = gif_of(map(painter.paint, shown), painter.paint(shown[-1]), len(shown))
            yield Plot(name, "animation", "image/gif", moving)
        elif (step := _step_of(name)) in frames:
            yield Plot(name, "image", "image/png", png_of(painter.paint(frames[step])), step)
        else:
            raise ValueError(f"{NAME} has nothing to draw {name!r} from; its frames are at {sorted(frames)}")


def _curves(data: PlotData) -> bytes:
    """Part of the rows, then class, then what is drawn of it."""
    curves = {
        part: {data.class_names[c]: numbers_of(scores) for c, scores in tables.items() if scores.has_both}
        for part, tables in data.scores.items()
    }
    return json.dumps(curves).encode()


def _cost(name: str) -> tuple[int, str]:
    return (0 if name in PLOTS or name == CURVES else 2 if name == ANIMATION else 1), name


def _step_of(name: str) -> int | None:
    match = BOUNDARY.fullmatch(name)
    return int(match[1]) if match else None
