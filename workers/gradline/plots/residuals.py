"""Residuals of a numeric target against what was predicted, and their distribution."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from gradline.plots.axes import add_subtitle, add_title, label_axes, plain_axes
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, GREY, VERMILLION, draw, new_figure

STYLES = {"train": ("training", BLUE, "o"), "validation": ("validation", VERMILLION, "^")}


def draw_residuals(data: PlotData) -> bytes:
    figure, canvas = new_figure(1000, 700)
    axes, beside = figure.add_axes((0.09, 0.1, 0.66, 0.79)), figure.add_axes((0.775, 0.1, 0.2, 0.79))
    plain_axes(axes)
    plain_axes(beside)
    said = []
    residual_n = np.concatenate([r.residual_n for r in data.residuals.values()])
    low, high = float(residual_n.min()), float(residual_n.max())
    for part, residuals in data.residuals.items():
        label, colour, marker = STYLES[part]
        size = 18 if len(residuals.residual_n) <= 500 else 7
        axes.scatter(
            residuals.predicted_n, residuals.residual_n, s=size, c=colour, marker=marker, alpha=0.6, linewidths=0,
            label=label,
        )  # fmt: skip
        counts, edges = np.histogram(residuals.residual_n, 30, (low, high) if high > low else None)
        beside.stairs(counts / counts.sum(), edges, orientation="horizontal", color=colour, linewidth=1.6)
        said.append(f"{label}: root mean square {np.sqrt(np.mean(residuals.residual_n**2)):.4g}")
    axes.axhline(0, color=GREY, linewidth=1.2)
    beside.axhline(0, color=GREY, linewidth=1.2)
    beside.set_ylim(axes.get_ylim())
    beside.tick_params(labelleft=False)
    beside.xaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    beside.set_xlabel("share of rows", fontsize=12)
    label_axes(axes, "predicted value", "residual (target less predicted value)")
    add_title(axes, "Residuals", data.title)
    add_subtitle(axes, ";  ".join(said))
    axes.legend(fontsize=11, framealpha=0.9, edgecolor="#cccccc")
    return draw(canvas)
