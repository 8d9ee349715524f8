"""The decision boundary of a fit with two features, step by step.

The points, axes and legend are drawn once; each frame restores them and adds what changed. That makes a frame cost
milliseconds instead of a tenth of a second.
"""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text

from gradline.plots.axes import label_axes, plain_axes
from gradline.plots.curve_numbers import Array
from gradline.plots.labels import short_names
from gradline.plots.plot_data import Frame, PlotData
from gradline.plots.style import AXIS_LABEL, BLUE, INK, VERMILLION, Pixels, limits_of, make_room, new_figure, pixels_of

Corner = Literal["upper left", "upper right", "lower left", "lower right"]
COLOURS = (BLUE, VERMILLION)
MARKERS = ("o", "^")
SHOWN = (1e-3, 1e4)
"""Numbers that four places after the point show."""
LEGEND_SHARE = (0.36, 0.25)
"""Part of the axes that the legend covers, in both directions."""


class BoundaryPainter:
    """One figure that is painted again for every frame, on the same axes."""

    def __init__(self, data: PlotData) -> None:
        if data.x_nd is None or data.y_n is None:
            raise ValueError("points is null: a boundary needs the points of a problem with two features")
        self._x_nd, self._y_n = data.x_nd, data.y_n
        self._last_step = data.frames[-1].step
        self._figure, self._canvas = new_figure(720, 600)
        axes = self._figure.add_axes((0.1, 0.105, 0.87, 0.74))
        self._low, self._high = limits_of(self._x_nd)
        self._prepare(axes, data)
        self._moving = self._add_moving(axes)
        for artist in (*self._moving, self._legend):
            artist.set_animated(True)
        make_room(self._figure, self._canvas)
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(self._figure.bbox)

    def paint(self, frame: Frame) -> Pixels:
        """The picture of one report, (height, width, 3)."""
        self._move(frame)
        self._canvas.restore_region(self._still)
        for artist in (*self._moving, self._legend):  # the legend last, so that the line does not run through it
            self._figure.draw_artist(artist)
        return pixels_of(self._canvas)

    def _move(self, frame: Frame) -> None:
        """Put what changes where this frame has it."""
        negative, positive, line, wrong, title, numbers = self._moving
        weights, bias = frame.weights, frame.bias
        title.set_text(self._title(frame))
        if weights is None:
            weights, bias = np.zeros(2), 0.0  # no line, no half-planes
            is_wrong_n = np.zeros(len(self._y_n), bool)
            numbers.set_text("the weights are no longer finite")
        else:
            is_wrong_n = (self._x_nd @ weights + bias > 0) != (self._y_n == 1)
            numbers.set_text(_numbers(weights, bias, int(is_wrong_n.sum()), len(self._y_n)))
        positive.set_xy(self._clipped(weights, bias))
        negative.set_xy(self._clipped(-weights, -bias))
        line.set_data(*_line(weights, bias, self._low, self._high))
        wrong.set_offsets(self._x_nd[is_wrong_n])

    def _prepare(self, axes: Axes, data: PlotData) -> None:
        plain_axes(axes)
        axes.set(xlim=(self._low[0], self._high[0]), ylim=(self._low[1], self._high[1]))
        label_axes(axes, *short_names(data.feature_names, AXIS_LABEL))
        size = 30 if len(self._y_n) <= 500 else 10
        for index in (0, 1):
            x_md = self._x_nd[self._y_n == index]
            axes.scatter(
                x_md[:, 0],
                x_md[:, 1], s=size, c=COLOURS[index], marker=MARKERS[index], label=data.class_label(index),
                edgecolors="white", linewidths=0.5, zorder=3,
            )  # fmt: skip
        axes.plot([], [], color=INK, linewidth=2, label="decision line, p = 0.5")
        axes.scatter([], [], s=90, facecolors="none", edgecolors=INK, label="misclassified")
        self._legend = axes.legend(loc=self._emptiest_corner(), fontsize=10, framealpha=0.95, edgecolor="#cccccc")

    def _emptiest_corner(self) -> Corner:
        """Where the legend hides the fewest points; chosen once, so that it stays where it is in every frame."""
        share_nd = (self._x_nd - self._low) / (self._high - self._low)
        corners: dict[Corner, tuple[int, int]] = {
            "upper left": (0, 1),
            "upper right": (1, 1),
            "lower left": (0, 0),
            "lower right": (1, 0),
        }
        hidden = {
            corner: int((np.abs(share_nd - at) < LEGEND_SHARE).all(axis=1).sum()) for corner, at in corners.items()
        }
        return min(hidden, key=lambda corner: hidden[corner])

    def _add_moving(self, axes: Axes) -> tuple[Polygon, Polygon, Line2D, PathCollection, Text, Text]:
        """What changes from frame to frame. The half-planes are translucent, so that they may lie over the points."""
        outside = np.zeros((3, 2))
        negative, positive = (Polygon(outside, color=colour, alpha=0.10, linewidth=0) for colour in COLOURS)
        for patch in (negative, positive):
            axes.add_patch(patch)
        (line,) = axes.plot([], [], color=INK, linewidth=2)
        wrong = axes.scatter([], [], s=90, facecolors="none", edgecolors=INK, linewidths=1.3)
        title = self._figure.text(0.1, 0.935, "", fontsize=15, fontweight="bold", color=INK)
        numbers = self._figure.text(0.1, 0.88, "", fontsize=11, color=INK)
        return negative, positive, line, wrong, title, numbers

    def _title(self, frame: Frame) -> str:
        parts = [f"Step {frame.step} of {self._last_step}"]
        if frame.loss is not None:
            parts.append(f"log loss {frame.loss:.4f}")
        if frame.accuracy is not None:
            parts.append(f"accuracy {frame.accuracy:.3f}")
        return "  ·  ".join(parts)

    def _clipped(self, weights: Array, bias: float) -> Array:
        """Corners of the part of the axes where the margin is positive (Sutherland and Hodgman 1974)."""
        low, high = self._low, self._high
        box = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
        margins = box @ weights + bias
        corners: list[Array] = []
        for i in range(4):
            j = (i + 1) % 4
            if margins[i] > 0:
                corners.append(box[i])
            if (margins[i] > 0) != (margins[j] > 0):
                corners.append(box[i] + (box[j] - box[i]) * margins[i] / (margins[i] - margins[j]))
        return np.array(corners) if corners else np.zeros((3, 2))


def _line(weights: Array, bias: float, low: Array, high: Array) -> tuple[Array, Array]:
    """Two points of the decision line beyond the axes on both sides; none where both weights are 0."""
    length = np.hypot(*weights)
    if length == 0.0:
        return np.empty(0), np.empty(0)
    normal, centre = weights / length, (low + high) / 2
    foot = centre - normal * (centre @ normal + bias / length)
    along = np.array([-normal[1], normal[0]]) * np.hypot(*(high - low))
    ends = np.array([foot - along, foot + along])
    return ends[:, 0], ends[:, 1]


def _numbers(weights: Array, bias: float, n_wrong: int, n: int) -> str:
    first, second = weights
    text = f"weights ({_short(first)}, {_short(second)})   bias {_short(bias)}   misclassified {n_wrong} of {n} points"
    return text.replace("-", "−")


def _short(number: float) -> str:
    """As many digits in every frame, wherever that shows the number."""
    if number == 0 or SHOWN[0] <= abs(number) < SHOWN[1]:
        return f"{number:.4f}"
    share, power = f"{number:.2e}".split("e")
    return f"{share}e{int(power)}"
