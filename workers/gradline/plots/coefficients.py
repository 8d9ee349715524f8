"""Coefficients with their intervals, largest first."""

from typing import Any

import numpy as np

from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, GREY, INK, PALETTE, draw, new_figure, plain_axes

MAX_FEATURES = 30


def draw_coefficients(data: PlotData) -> bytes:
    """One row a feature; of several classes one mark each. Intervals where the result has them."""
    by_feature = _largest(data.coefficients)
    all_classes = list(dict.fromkeys(row.get("class") for rows in by_feature.values() for row in rows))
    classes = all_classes[: len(PALETTE)]
    figure, canvas = new_figure(900, 190 + 34 * max(4, len(by_feature)))
    height = figure.get_figheight() * 100
    left = min(0.42, 0.06 + 0.0085 * max(len(_short(name)) for name in by_feature))
    axes = figure.add_axes((left, 75 / height, 0.97 - left, 1 - 165 / height))
    plain_axes(axes)
    axes.axvline(0, color=GREY, linewidth=1.2)
    for i, name in enumerate(classes):
        colour = BLUE if len(classes) == 1 else PALETTE[i]
        shift = 0.0 if len(classes) == 1 else (i - (len(classes) - 1) / 2) * 0.7 / len(classes)
        rows = [next((r for r in rows if r.get("class") == name), {}) for rows in by_feature.values()]
        place = np.arange(len(rows)) + shift
        estimates = np.array([np.nan if r.get("estimate") is None else r["estimate"] for r in rows], float)
        axes.plot(estimates, place, "o", color=colour, label=str(name), markersize=6)
        for y, row in zip(place, rows, strict=True):
            if row.get("ci_low") is not None and row.get("ci_high") is not None:
                axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2)
    axes.set_yticks(range(len(by_feature)), [_short(name) for name in by_feature], fontsize=11)
    axes.set_ylim(len(by_feature) - 0.4, -0.6)
    axes.set_xlabel("coefficient, on the column's own scale" + _unit(data), fontsize=12, x=1.0, ha="right")
    of = f" of {data.title}" if data.title else ""
    axes.set_title(f"Coefficients{of}", loc="left", fontsize=15, pad=30, weight="bold")
    said = _subtitle(data, len(by_feature), len(classes), len(all_classes))
    axes.text(0, 1 + 12 / (height - 165), said, transform=axes.transAxes, fontsize=11.5, color=INK)
    if len(classes) > 1:
        axes.legend(fontsize=10, framealpha=0.9, edgecolor="#cccccc", title="class")
    return draw(canvas)


def _largest(coefficients: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the features with the largest |z|, or where there are no standard errors the largest estimates."""
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in coefficients:
        by_feature.setdefault(row["feature"], []).append(row)

    def size(rows: list[dict[str, Any]]) -> float:
        return max(abs(float(r["z"] if r.get("z") is not None else r.get("estimate") or 0.0)) for r in rows)

    return {name: by_feature[name] for name in sorted(by_feature, key=lambda n: -size(by_feature[n]))[:MAX_FEATURES]}


def _subtitle(data: PlotData, n_shown: int, n_classes_shown: int, n_classes: int) -> str:
    n = len({row["feature"] for row in data.coefficients})
    has_intervals = any(row.get("ci_low") is not None for row in data.coefficients)
    said = "with intervals" if has_intervals else "without intervals: the fit has none"
    said += f";  the {n_shown} largest of {n}" if n > n_shown else ""
    return said + (f";  the first {n_classes_shown} of {n_classes} classes" if n_classes > n_classes_shown else "")


def _unit(data: PlotData) -> str:
    return " (change of the log odds per unit)" if data.class_names else " (change of the linear predictor per unit)"


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
