"""Loss and accuracy against the step."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gradline.plots.axes import add_subtitle, add_title, label_axes, plain_axes
from gradline.plots.curve_numbers import Array
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, INK, VERMILLION, draw, new_figure

PARTS = (("", "training", BLUE, "-", "o"), ("validation_", "validation", VERMILLION, "--", "s"))
"""Prefix in the history, name in the legend, colour, line, marker."""
LOG_RATIO = 30.0
"""A loss that falls by more than this is drawn on a logarithmic axis."""


def draw_loss(data: PlotData) -> bytes:
    figure, canvas = new_figure(900, 700)
    axes = figure.add_axes((0.105, 0.1, 0.865, 0.79))
    label = "log loss (mean per row, nats)" if data.class_names else "loss (half the mean deviance of a row)"
    _draw_curves(axes, data, "loss", label, "Loss")
    values = [v for prefix, *_ in PARTS for v in data.history.get(f"{prefix}loss") or [] if v is not None]
    if values and min(values) > 0 and max(values) / min(values) > LOG_RATIO:
        axes.set_yscale("log")
    elif values and min(values) >= 0:
        axes.set_ylim(bottom=0)
    return draw(canvas)


def draw_gradient_norm(data: PlotData) -> bytes:
    figure, canvas = new_figure(900, 700)
    axes = figure.add_axes((0.125, 0.1, 0.845, 0.79))
    label = "largest entry of the (sub)gradient, absolute (logarithmic)"
    _draw_curves(axes, data, "gradient_norm", label, "Gradient")
    if any(value is not None and value > 0 for value in data.history.get("gradient_norm") or []):
        axes.set_yscale("log")
    return draw(canvas)


def draw_accuracy(data: PlotData) -> bytes:
    figure, canvas = new_figure(900, 700)
    axes = figure.add_axes((0.105, 0.1, 0.865, 0.79))
    _draw_curves(axes, data, "accuracy", "accuracy (share of rows classified correctly)", "Accuracy")
    axes.set_ylim(top=1.0 + 0.04 * (1.0 - axes.get_ylim()[0]))
    return draw(canvas)


def _draw_curves(axes: Axes, data: PlotData, metric: str, y_label: str, title: str) -> None:
    plain_axes(axes)
    lasts = []
    for prefix, part, colour, line, marker in PARTS:
        steps, values = _points(data, f"{prefix}{metric}")
        if not len(steps):
            continue
        shown_marker = marker if len(steps) <= 60 else None
        axes.plot(steps, values, line, color=colour, marker=shown_marker, markersize=5, linewidth=2, label=part)
        axes.plot(steps[-1:], values[-1:], marker, color=colour, markersize=9, clip_on=False)
        lasts.append(f"{part} {values[-1]:.4g} at step {steps[-1]:.0f}")
    if data.best is not None:
        axes.axvline(data.best.step, color=INK, linestyle=":", linewidth=1.5, label=f"kept: step {data.best.step}")
    label_axes(axes, "step (solver updates)", y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    add_title(axes, title, data.title)
    add_subtitle(axes, ";  ".join(lasts) if lasts else "no values were reported")
    if lasts:
        axes.legend(fontsize=11, framealpha=0.9, edgecolor="#cccccc")


def _points(data: PlotData, name: str) -> tuple[Array, Array]:
    """The steps at which the metric has a value, and the values."""
    pairs = [
        (step, value)
        for step, value in zip(data.history["step"], data.history.get(name) or [], strict=False)
        if value is not None
    ]
    both = np.asarray(pairs, float).reshape(-1, 2)
    return both[:, 0], both[:, 1]
