"""The regularisation path: coefficients above, the held-out loss below, against the logarithm of the penalty."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gradline.plots.axes import add_subtitle, add_title, plain_axes
from gradline.plots.labels import short_names
from gradline.plots.plot_data import Path, PlotData
from gradline.plots.style import BLUE, GREY, INK, PALETTE, VERMILLION, draw, new_figure

CHOICES = (("best", "best", VERMILLION, "--"), ("one_standard_error", "one standard error", INK, ":"))
"""Name in the numbers, name in the legend, colour, line."""


def draw_path(data: PlotData) -> bytes:
    path = data.path
    assert path is not None  # noqa: S101  promised only for fits that have one
    figure, canvas = new_figure(1000, 900)
    above, below = figure.add_axes((0.095, 0.4, 0.66, 0.5)), figure.add_axes((0.095, 0.075, 0.66, 0.27))
    below.sharex(above)
    for axes in (above, below):
        plain_axes(axes)
        for name, label, colour, style in CHOICES:
            at = np.log10(path.points[path.choices[name]]["strength"])
            axes.axvline(at, color=colour, linestyle=style, linewidth=1.6, label=label if axes is below else None)
    _draw_lines(above, path)
    _draw_losses(below, path)
    add_title(above, "Regularisation path", data.title)
    add_subtitle(above, _subtitle(path), 1.035)
    return draw(canvas)


def _draw_lines(axes: Axes, path: Path) -> None:
    """The largest coefficients in colours, those that end largest first; the others grey."""
    log_t = np.log10(path.strength_t)
    labels = short_names([line.label for line in path.lines[: len(PALETTE)]], 20)
    for line in reversed(path.lines[len(PALETTE) :]):
        axes.plot(log_t, line.coefficient_t, color="#b5b5b5", linewidth=0.9)
    for i, line in reversed(list(enumerate(path.lines[: len(PALETTE)]))):
        axes.plot(log_t, line.coefficient_t, color=PALETTE[i], linewidth=2, label=labels[i])
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_ylabel("coefficient, on the scale of training", fontsize=12)
    axes.tick_params(labelbottom=False)
    handles, labels = axes.get_legend_handles_labels()
    n_grey = max(0, path.n_lines - len(PALETTE))
    title = f"largest; {n_grey} more in grey" if n_grey else None
    _legend(axes, handles[::-1], labels[::-1], title)


def _draw_losses(axes: Axes, path: Path) -> None:
    known = [p for p in path.points if p["loss"] is not None and p["std_error"] is not None]
    log_s, loss_s, error_s = (np.array(column, float) for column in zip(*map(_row, known), strict=True))
    axes.vlines(log_s, loss_s - error_s, loss_s + error_s, color=BLUE, linewidth=1.2, alpha=0.6)
    axes.plot(log_s, loss_s, "o-", color=BLUE, markersize=4, linewidth=1.4, label="mean ± standard error")
    axes.set_ylabel("loss of held-out rows", fontsize=12)
    axes.set_xlabel("strength of the penalty, log10", fontsize=12)
    _legend(axes, *axes.get_legend_handles_labels(), title=f"over {path.n_folds} folds")


def _row(point: dict[str, Any]) -> tuple[float, float, float]:
    return float(np.log10(point["strength"])), point["loss"], point["std_error"]


def _legend(axes: Axes, handles: Any, labels: list[str], title: str | None) -> None:
    """Beside the panel: lines run everywhere inside."""
    axes.legend(
        handles, labels, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=10.5, title_fontsize=10.5,
        alignment="left", frameon=False, borderaxespad=0.0,
    )  # fmt: skip


def _subtitle(path: Path) -> str:
    said = []
    for name, label, _, _ in CHOICES:
        point = path.points[path.choices[name]]
        loss = "unknown" if point["loss"] is None else f"{point['loss']:.4g}"
        chosen = " (chosen)" if path.choose == name else ""
        said.append(f"{label}{chosen}: loss {loss}, {point['n_nonzero']} of {path.n_features} features")
    return ";  ".join(said)
