"""The regions of a plane of two features in which each of several classes is predicted."""

import numpy as np
from matplotlib.colors import ListedColormap

from gradline.plots.axes import add_subtitle, add_title, label_axes, plain_axes
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from gradline.plots.style import AXIS_LABEL, INK, PALETTE, draw, limits_of, new_figure

MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
GRID = 400


def draw_regions(data: PlotData) -> bytes:
    if data.plane is None or data.x_nd is None or data.y_n is None:
        raise ValueError("plane is null: regions need two features and several classes")
    low, high = limits_of(data.x_nd)
    sides = [np.linspace(low[j], high[j], GRID) for j in (0, 1)]
    grid_g2 = np.stack(np.meshgrid(*sides), axis=-1)
    class_g = (grid_g2 @ data.plane.weights_k2.T + data.plane.intercepts_k).argmax(-1)
    n_classes = len(data.class_names)
    colours = [PALETTE[c % len(PALETTE)] for c in range(n_classes)]
    names = short_names(data.class_names, 28)
    width = 875 + int(width_px([*names, "misclassified"], 10))
    figure, canvas = new_figure(width, 700)
    axes = figure.add_axes((82 / width, 0.1, 700 / width, 0.79))
    plain_axes(axes)
    axes.pcolormesh(
        *sides, class_g, cmap=ListedColormap(colours), vmin=-0.5, vmax=n_classes - 0.5, alpha=0.18, shading="nearest"
    )
    for c, name in enumerate(names):
        x_md = data.x_nd[data.y_n == c]
        axes.scatter(
            x_md[:, 0], x_md[:, 1], s=26, c=colours[c], marker=_marker(c), label=name,
            edgecolors="white", linewidths=0.5,
        )  # fmt: skip
    predicted_n = (data.x_nd @ data.plane.weights_k2.T + data.plane.intercepts_k).argmax(1)
    wrong_n = predicted_n != data.y_n
    wrong_x, wrong_y = data.x_nd[wrong_n].T
    axes.scatter(wrong_x, wrong_y, s=80, facecolors="none", edgecolors=INK, linewidths=1.2, label="misclassified")
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    label_axes(axes, *short_names(data.feature_names, AXIS_LABEL))
    add_title(axes, "Decision regions", data.title)
    add_subtitle(axes, f"{int(wrong_n.sum())} of {len(wrong_n)} points misclassified")
    axes.legend(fontsize=10, framealpha=0.95, edgecolor="#cccccc", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return draw(canvas)


def _marker(c: int) -> str:
    """Another for each class, and for each class of the same colour."""
    return MARKERS[(c + c // len(PALETTE)) % len(MARKERS)]
