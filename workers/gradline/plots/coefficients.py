"""Coefficients with their intervals, largest first."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gradline.plots.axes import add_subtitle, add_title, plain_axes
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, GREY, PALETTE, draw, new_figure

MAX_FEATURES = 30
ROW_PX, MARK_PX, TOP_PX, BOTTOM_PX = 34, 13, 90, 75
LABEL_SIZE, LEGEND_SIZE = 11, 10
INFINITE = {"inf": ">", "-inf": "<", "undetermined": "x"}
"""Marks of estimates that are infinite, by what the result says of them."""

ByFeature = dict[str, list[dict[str, Any]]]


def draw_coefficients(data: PlotData) -> bytes:
    """One row a feature; of several classes one mark each. Intervals where the result has them."""
    by_feature = _largest(data.coefficients)
    all_classes = list(dict.fromkeys(row.get("class") for rows in by_feature.values() for row in rows))
    classes = all_classes[: len(PALETTE)]
    names, class_names = short_names(list(by_feature), 40), short_names([str(name) for name in classes], 24)
    left = 35 + width_px(names, LABEL_SIZE)
    right = 30 + (45 + width_px(class_names, LEGEND_SIZE) if len(classes) > 1 else 0)
    width, height = max(900, int(left + right + 450)), TOP_PX + BOTTOM_PX + _rows_px(len(by_feature), len(classes))
    figure, canvas = new_figure(width, height)
    axes = figure.add_axes(
        (left / width, BOTTOM_PX / height, (width - left - right) / width, 1 - (TOP_PX + BOTTOM_PX) / height)
    )
    plain_axes(axes)
    axes.axvline(0, color=GREY, linewidth=1.2)
    for i, name in enumerate(classes):
        colour = BLUE if len(classes) == 1 else PALETTE[i]
        shift = 0.0 if len(classes) == 1 else (i - (len(classes) - 1) / 2) * 0.7 / len(classes)
        rows = [next((r for r in rows if r.get("class") == name), {}) for rows in by_feature.values()]
        _draw_marks(axes, rows, shift, colour, class_names[i])
    axes.set_yticks(range(len(names)), names, fontsize=LABEL_SIZE)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("coefficient, on the column's own scale" + _unit(data), fontsize=12, x=1.0, ha="right")
    add_title(axes, "Coefficients", data.title)
    said = _subtitle(data, len(by_feature), len(classes), len(all_classes))
    add_subtitle(axes, said, 1 + 12 / (height - TOP_PX - BOTTOM_PX))
    if len(classes) > 1:
        axes.legend(
            fontsize=LEGEND_SIZE, frameon=False, title="class", loc="upper left", bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0.0, alignment="left",
        )  # fmt: skip
    return draw(canvas)


def _rows_px(n_features: int, n_classes: int) -> int:
    """Room for a row a feature with a mark a class, and for the legend beside them."""
    row_px = max(ROW_PX, MARK_PX * n_classes)
    return max(4 * ROW_PX, n_features * row_px, 24 * (n_classes + 1) if n_classes > 1 else 0)


def _draw_marks(axes: Axes, rows: list[dict[str, Any]], shift: float, colour: str, label: str) -> None:
    """A dot at each estimate of one class, over its interval; an arrow where it is infinite."""
    estimates = np.array([np.nan if r.get("estimate") is None else r["estimate"] for r in rows], float)
    marks = np.array([INFINITE.get(r.get("infinite", ""), "o") for r in rows])
    place = np.arange(len(rows)) + shift
    axes.plot([], [], "o", color=colour, label=label, markersize=6)
    for mark in dict.fromkeys(marks):
        axes.plot(estimates[marks == mark], place[marks == mark], mark, color=colour, markersize=6 + 3 * (mark != "o"))
    for y, row in zip(place, rows, strict=True):
        if row.get("ci_low") is not None and row.get("ci_high") is not None:
            axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2)


def _largest(coefficients: list[dict[str, Any]]) -> ByFeature:
    """Rows of the features with the largest |z|, or where there are no standard errors the largest estimates."""
    by_feature: ByFeature = {}
    for row in coefficients:
        by_feature.setdefault(row["feature"], []).append(row)

    def size(rows: list[dict[str, Any]]) -> float:
        return max(abs(float(r["z"] if r.get("z") is not None else r.get("estimate") or 0.0)) for r in rows)

    return {name: by_feature[name] for name in sorted(by_feature, key=lambda n: -size(by_feature[n]))[:MAX_FEATURES]}


def _subtitle(data: PlotData, n_shown: int, n_classes_shown: int, n_classes: int) -> str:
    n = len({row["feature"] for row in data.coefficients})
    has_intervals = any(row.get("ci_low") is not None for row in data.coefficients)
    said = ["with intervals" if has_intervals else "without intervals: the fit has none"]
    if n > n_shown:
        said.append(f"the {n_shown} largest of {n}")
    if n_classes > n_classes_shown:
        said.append(f"the first {n_classes_shown} of {n_classes} classes")
    infinite = {row["infinite"] for row in data.coefficients if row.get("infinite")}
    if infinite & {"inf", "-inf"}:
        said.append("arrows: infinite, shown where the fit stopped")
    if "undetermined" in infinite:
        said.append("crosses: not determined")
    return ";  ".join(said)


def _unit(data: PlotData) -> str:
    return " (change of the log odds per unit)" if data.class_names else " (change of the linear predictor per unit)"
