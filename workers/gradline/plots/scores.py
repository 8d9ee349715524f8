"""Plots that judge scores: ROC, precision-recall, calibration, thresholds, gains."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradline.plots.axes import add_subtitle, add_title, label_axes, plain_axes
from gradline.plots.curve_numbers import Scores, calibration, f1
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, GREY, INK, PALETTE, VERMILLION, Canvas, draw, new_figure

MAX_WITH_INTERVALS = 3
"""More lines than this hide one another's intervals."""
MAX_INSIDE = 4
"""More names than this stand beside the lines instead of over them."""
PANEL_PX = 780
LEGEND_SIZE = 11
PART_STYLES = {"train": ("training", BLUE, "-"), "validation": ("validation", VERMILLION, "--")}


class Line(NamedTuple):
    """One curve to draw: of a part of the rows, or of a class of the part that says most."""

    label: str
    colour: str
    style: str
    scores: Scores


def draw_roc(data: PlotData) -> bytes:
    def one(axes: Axes, line: Line) -> str:
        axes.plot(line.scores.false_rate(), line.scores.true_rate(), line.style, color=line.colour, linewidth=2)
        return f"{line.label}, area {line.scores.roc_auc():.4f}"

    return _draw(
        data, "ROC curve", "false positive rate (share of the negative rows called positive)",
        "true positive rate (share of the positive rows found)", one, diagonal="chance, area 0.5",
    )  # fmt: skip


def draw_precision_recall(data: PlotData) -> bytes:
    def one(axes: Axes, line: Line) -> str:
        precision = line.scores.precision()
        recall, precision = line.scores.true_rate(), np.append(precision[0], precision)
        axes.step(recall, precision, line.style, color=line.colour, linewidth=2, where="pre")
        return f"{line.label}, average precision {line.scores.average_precision():.4f}"

    return _draw(
        data, "Precision and recall", "recall (share of the positive rows found)",
        "precision (share of the called rows that are positive)", one, base_rate=True,
    )  # fmt: skip


def draw_gains(data: PlotData) -> bytes:
    def one(axes: Axes, line: Line) -> str:
        called, captured = line.scores.called(), line.scores.true_rate()
        axes.plot(called, captured, line.style, color=line.colour, linewidth=2)
        lift = float(np.interp(0.1, called, captured)) / 0.1
        return f"{line.label}, lift of the first tenth {lift:.2f}"

    return _draw(
        data, "Cumulative gains", "share of the rows called, highest scores first",
        "share of the positive rows among them", one, diagonal="chance, lift 1",
    )  # fmt: skip


def draw_calibration(data: PlotData) -> bytes:
    """What came of what was promised, over a histogram of the promises."""
    lines = list(_lines(data))
    width, figure, canvas = _sized([line.label for line in lines])
    axes = figure.add_axes((95 / width, 0.33, PANEL_PX / width, 0.57))
    below = figure.add_axes((95 / width, 0.085, PANEL_PX / width, 0.18))
    _frame(axes, data, "Calibration", "", "observed share of positive rows")
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.5, label="perfect")
    plain_axes(below)
    for line in lines:
        bins = calibration(line.scores)
        axes.plot(bins.promised_h, bins.came_h, "o" + line.style, color=line.colour, linewidth=1.6, label=line.label)
        if len(lines) <= MAX_WITH_INTERVALS:
            axes.vlines(bins.promised_h, bins.low_h, bins.high_h, color=line.colour, linewidth=1.6)
        counts, edges = np.histogram(
            line.scores.promised_s, 20, (0.0, 1.0), weights=line.scores.positive_s + line.scores.negative_s
        )
        below.stairs(counts / counts.sum(), edges, color=line.colour, linewidth=1.6, linestyle=line.style)
    if len(lines) <= MAX_WITH_INTERVALS:
        add_subtitle(axes, "bars: 95 % intervals")
    _legend(axes, len(lines), "upper left")
    below.set_xlim(-0.02, 1.02)
    label_axes(below, "predicted probability", "share of rows")
    return draw(canvas)


def draw_thresholds(data: PlotData) -> bytes:
    """Precision, recall and F1 against the threshold, of the validation rows where there are any. They change at the
    scores only: below one they stay as they are at it, down to the next."""
    figure, canvas = new_figure(900, 700)
    axes = figure.add_axes((0.105, 0.1, 0.865, 0.79))
    line = list(_lines(data))[-1]
    _frame(axes, data, "Thresholds", "threshold (class 1 is predicted from this probability on)", "share")
    curves = {"precision": line.scores.precision(), "recall": line.scores.true_rate()[1:], "F1": f1(line.scores)}
    for (name, value_s), colour, style in zip(curves.items(), (BLUE, VERMILLION, INK), ("-", "--", "-."), strict=True):
        at, values = np.append(line.scores.score_s, 0.0), np.append(value_s, value_s[-1])
        axes.step(at, values, style, color=colour, linewidth=2, label=name, where="post")
    axes.axvline(data.threshold, color=GREY, linewidth=1.5, linestyle=":", label=f"in use: {data.threshold:.4g}")
    add_subtitle(axes, f"{line.label} rows")
    axes.legend(fontsize=11, framealpha=0.9, edgecolor="#cccccc", loc="best")
    return draw(canvas)


def _draw(
    data: PlotData, title: str, x_label: str, y_label: str, one: Callable[[Axes, Line], str],
    *, diagonal: str | None = None, base_rate: bool = False,
) -> bytes:  # fmt: skip
    lines = list(_lines(data))
    width, figure, canvas = _sized([f"{line.label}, average precision 0.0000" for line in lines])
    axes = figure.add_axes((95 / width, 0.085, PANEL_PX / width, 0.82))
    _frame(axes, data, title, x_label, y_label)
    for line in lines:
        first = len(axes.lines)
        label = one(axes, line)
        axes.lines[first].set_label(label)
        if base_rate:
            axes.axhline(line.scores.base_rate, color=line.colour, linewidth=1, linestyle=":")
    if base_rate:
        axes.plot([], [], ":", color=GREY, linewidth=1, label="chance: the share of positive rows")
    if diagonal:
        axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1.5, label=diagonal)
    _legend(axes, len(lines), "best" if base_rate else "lower right")
    return draw(canvas)


def _sized(labels: list[str]) -> tuple[int, Figure, Canvas]:
    """A figure for one panel, with room beside it for the names of many lines."""
    beside = 60 + int(width_px(labels, LEGEND_SIZE)) if len(labels) > MAX_INSIDE else 0
    return 900 + beside, *new_figure(900 + beside, 820)


def _legend(axes: Axes, n_lines: int, corner: Literal["upper left", "best", "lower right"]) -> None:
    if n_lines <= MAX_INSIDE:
        axes.legend(fontsize=LEGEND_SIZE, framealpha=0.9, edgecolor="#cccccc", loc=corner)
    else:  # many lines run everywhere inside
        axes.legend(
            fontsize=LEGEND_SIZE, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0
        )


def _frame(axes: Axes, data: PlotData, title: str, x_label: str, y_label: str) -> None:
    plain_axes(axes)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    label_axes(axes, x_label, y_label)
    add_title(axes, title, data.title)
    if len(data.class_names) == 2:
        said = f"positive class: {short_names(data.class_names, 50)[1]}"
    else:
        part, tables = list(data.scores.items())[-1]
        said = f"each class against the others; {PART_STYLES[part][0]} rows"
        said += f"; {len(tables)} of {len(data.class_names)} classes" if len(tables) < len(data.class_names) else ""
    add_subtitle(axes, said, ha="right")


def _lines(data: PlotData) -> Iterator[Line]:
    """Two classes: a line for each part. More: a line for each class, of the validation rows where there are any."""
    if len(data.class_names) == 2:
        for part, tables in data.scores.items():
            label, colour, style = PART_STYLES[part]
            for scores in tables.values():
                if scores.has_both:
                    yield Line(label, colour, style, scores)
        return
    names = short_names(data.class_names, 28)
    for c, scores in data.scores[list(data.scores)[-1]].items():
        if scores.has_both:
            style = ("-", "--")[c // len(PALETTE) % 2]
            yield Line(names[c], PALETTE[c % len(PALETTE)], style, scores)
