"""The confusion matrix: counts, and the share of each true class."""

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from gradline.plots.axes import add_subtitle, add_title, label_axes
from gradline.plots.curve_numbers import Array
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, INK, draw, new_figure

SHADES = LinearSegmentedColormap.from_list("white to blue", ["#ffffff", BLUE])
PANEL_PX = 650
PART_NAMES = {"train": "training rows", "validation": "validation rows"}


def draw_confusion_matrix(data: PlotData) -> bytes:
    """One panel for each part of the rows, side by side."""
    names = _names(data)
    names_px = width_px(names, _label_size(len(names)))
    left, bottom = 50 + names_px, 45 + (60 if _are_level(names) else 0.75 * names_px)
    panel, height = left + PANEL_PX + 30, bottom + 560 + 115
    width = panel * len(data.confusion)
    figure, canvas = new_figure(int(width), int(height))
    for i, (part, counts_kk) in enumerate(data.confusion.items()):
        axes = figure.add_axes(((i * panel + left) / width, bottom / height, PANEL_PX / width, 560 / height))
        _draw_panel(axes, counts_kk, names)
        n, n_right = counts_kk.sum(), np.trace(counts_kk)
        add_title(axes, f"Confusion matrix, {PART_NAMES.get(part, part)}", "")
        share = f" ({n_right / n:.1%})" if n else ""
        add_subtitle(axes, f"{n_right:.0f} of {n:.0f} rows classified correctly{share}")
    return draw(canvas)


def _draw_panel(axes: Axes, counts_kk: Array, names: list[str]) -> None:
    k = len(counts_kk)
    totals_k = counts_kk.sum(axis=1, keepdims=True)
    shares_kk = np.divide(counts_kk, totals_k, out=np.zeros_like(counts_kk), where=totals_k > 0)
    axes.imshow(shares_kk, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    size = max(6.5, min(22.0, 80.0 / k))
    for row in range(k):
        for column in range(k):
            share = shares_kk[row, column]
            text = f"{counts_kk[row, column]:,.0f}\n{share:.1%}" if k <= 12 else f"{counts_kk[row, column]:.0f}"
            shown = INK if share < 0.5 else "white"
            faint = counts_kk[row, column] == 0 and k > 3
            axes.text(
                column, row, "0" if faint else text, ha="center", va="center", fontsize=size, linespacing=1.4,
                color="#999999" if faint else shown,
            )  # fmt: skip
    label_size = _label_size(k)
    fits = _are_level(names)
    axes.set_xticks(range(k), names, fontsize=label_size, rotation=0 if fits else 45, ha="center" if fits else "right")
    axes.set_yticks(range(k), names, fontsize=label_size)
    label_axes(axes, "predicted class", "true class (percentages: of this row)")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(1, k) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, k) - 0.5, minor=True)
    axes.grid(which="minor", color="#d0d0d0", linewidth=1)
    axes.tick_params(which="minor", length=0)


def _are_level(names: list[str]) -> bool:
    """Whether the names under the columns have room beside one another."""
    return len(names) * max(len(line) for name in names for line in name.split("\n")) <= 70


def _label_size(k: int) -> int:
    return 12 if k <= 10 else max(6, 14 - k // 4)


def _names(data: PlotData) -> list[str]:
    if len(data.class_names) > 2:
        return short_names(data.class_names, 18)
    short = replace(data, class_names=short_names(data.class_names, 30))
    return ["\n(".join(short.class_label(index).rsplit(" (", 1)) for index in (0, 1)]
