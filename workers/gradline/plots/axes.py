"""What stands around every plot: spines and grid, labels, title and subtitle."""

from typing import Literal

from matplotlib.axes import Axes

from gradline.plots.style import GREY, INK
from gradline.plots.ticks import WholeNumbers


def plain_axes(axes: Axes) -> None:
    """Two spines, a faint grid behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=11)
    axes.xaxis.set_major_formatter(WholeNumbers())
    axes.yaxis.set_major_formatter(WholeNumbers())
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, fontsize=12)
    axes.set_ylabel(y_label, fontsize=12)


def add_title(axes: Axes, what: str, title: str) -> None:
    """`title`: of the job, empty where it has none."""
    axes.set_title(f"{what} of {title}" if title else what, loc="left", fontsize=15, pad=30, weight="bold")


def add_subtitle(axes: Axes, text: str, y: float = 1.025, ha: Literal["left", "right"] = "left") -> None:
    """Between title and axes, from their left or to their right end; `y` as a share of their height."""
    axes.text(float(ha == "right"), y, text, transform=axes.transAxes, fontsize=11.5, color=INK, ha=ha)
