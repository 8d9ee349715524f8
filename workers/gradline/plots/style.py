"""How every figure looks: colours that colour-blind readers tell apart (Okabe and Ito 2008), sizes, and PNG bytes."""

import io
from typing import Any, Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase
from numpy.typing import NDArray
from PIL import Image

BLUE = "#0072B2"
VERMILLION = "#D55E00"
PALETTE = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#A69F00")
"""For many classes: the colours of Okabe and Ito, their yellow darkened so that it shows on white."""
INK = "#222222"
GREY = "#767676"

DPI = 100
MARGIN_PX = 8
AXIS_LABEL = 60
"""Characters of a column's name beside an axis."""
N_COLOURS = 64
"""A figure of few colours on white loses nothing visible with this palette, and its file shrinks four times."""

Pixels = NDArray[np.uint8]


class Canvas(Protocol):
    """What is used of matplotlib's Agg canvas, which carries no types."""

    figure: Figure

    def draw(self) -> None: ...

    def get_renderer(self) -> Any: ...

    def buffer_rgba(self) -> memoryview: ...

    def copy_from_bbox(self, bbox: BboxBase) -> Any: ...

    def restore_region(self, region: Any) -> None: ...


def new_figure(width_px: int, height_px: int) -> tuple[Figure, Canvas]:
    """A figure with a canvas of its own: nothing global is kept, and a process that draws for weeks does not grow."""
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor="white")
    return figure, FigureCanvasAgg(figure)


def limits_of(x_nd: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of both axes of a plane, with room around the points; a column of one value has some of its own size."""
    low, high = x_nd.min(axis=0), x_nd.max(axis=0)
    size = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return low - 0.06 * size, high + 0.06 * size


def pixels_of(canvas: Canvas) -> Pixels:
    """A copy of what was drawn, (height, width, 3)."""
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png_of(pixels: Pixels) -> bytes:
    """A palette PNG: the same pixels give the same bytes."""
    image = Image.fromarray(pixels).quantize(N_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", compress_level=6)
    return buffer.getvalue()


def make_room(figure: Figure, canvas: Canvas) -> None:
    """Moves the left edge of axes whose numbers and label would stand outside; those above each other stay so."""
    renderer, edges = canvas.get_renderer(), [round(axes.get_position().x0, 6) for axes in figure.axes]
    for edge in set(edges):
        column = [axes for axes, own in zip(figure.axes, edges, strict=True) if own == edge]
        boxes = [box for axes in column if (box := axes.yaxis.get_tightbbox(renderer)) is not None]
        missing = (MARGIN_PX - min((float(box.x0) for box in boxes), default=MARGIN_PX)) / figure.bbox.width
        for axes in column if missing > 0 else []:
            place = axes.get_position()
            axes.set_position((place.x0 + missing, place.y0, place.width - missing, place.height))


def draw(canvas: Canvas) -> bytes:
    make_room(canvas.figure, canvas)
    canvas.draw()
    return png_of(pixels_of(canvas))
