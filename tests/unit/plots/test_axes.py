"""Axes of numbers that are far from 1."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradline.plots.boundary import BoundaryPainter
from gradline.plots.coefficients import draw_coefficients
from gradline.plots.curves import draw_loss
from gradline.plots.plot_data import PlotData
from gradline.plots.regions import draw_regions
from gradline.plots.residuals import draw_residuals
from gradline.plots.style import limits_of
from gradline.plots.ticks import WholeNumbers
from tests.unit.plots.test_drawing import numbers, parsed


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([0.0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([-2.0, 0.0, 2.0], ["−2", "0", "2"]),
        ([0.0, 20000.0, 40000.0], ["0", "20000", "40000"]),
        ([-4e5, -2e5, 0.0], ["−4e5", "−2e5", "0"]),
        ([0.0, 2.5e-5, 5e-5], ["0", "2.5e−5", "5.0e−5"]),
        ([2e9, 2.0005e9], ["2.0000e9", "2.0005e9"]),
        ([2005.1, 2005.2, 2005.3], ["2005.1", "2005.2", "2005.3"]),
        ([7.0], ["7"]),
        ([], []),
    ],
)
def test_each_label_tells_the_whole_number(ticks: list[float], labels: list[str]) -> None:
    assert WholeNumbers().format_ticks(ticks) == labels


def ink_at_the_left(png: bytes) -> bool:
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return bool((pixels[:, :4] < 128).any())


@pytest.mark.parametrize("size", [1e-5, 1.0, 1e5, 3e4])
@pytest.mark.parametrize("centre", [0.0, 2005.0])
def test_nothing_stands_outside_of_the_picture_whatever_the_scale(size: float, centre: float) -> None:
    draw = np.random.default_rng(1)
    plain = numbers()
    x_nd = np.array(plain["points"]["x"]) * size + centre
    frames = [frame | {"weights": [-1 / size, -1 / size], "bias": 2 * centre / size} for frame in plain["frames"]]
    table = {"predicted": (draw.normal(size=50) * size + centre).tolist(), "residual": (draw.normal(size=50) * size)}
    table["residual"] = table["residual"].tolist()
    history = {"step": [0, 1], "loss": [centre + 2 * size, centre + size]}
    data: PlotData = parsed(
        points={"x": x_nd.tolist(), "y": plain["points"]["y"]},
        frames=frames,
        feature_names=["a column whose name goes on and on " * 4, "another column whose name goes on and on " * 4],
        residuals={"train": table},
        history=history,
        coefficients=[{"feature": "x1", "estimate": size}, {"feature": "x2", "estimate": -centre}],
        plane={"weights": [[-1 / size, -1 / size], [1 / size, 1 / size]], "intercepts": [0.0, 0.0]},
    )
    png = io.BytesIO()
    Image.fromarray(BoundaryPainter(data).paint(data.frames[0])).save(png, format="png")
    for name, picture in {
        "boundary": png.getvalue(),
        "regions": draw_regions(data),
        "residuals": draw_residuals(data),
        "coefficients": draw_coefficients(data),
        "loss": draw_loss(data),
    }.items():
        assert not ink_at_the_left(picture), name


@pytest.mark.parametrize("size", [1e-9, 1e-4, 1.0, 1e7])
def test_points_fill_their_plane_whatever_their_unit(size: float) -> None:
    low, high = limits_of(np.array([[0.0, 3.0], [1.0, 3.0]]) * size)
    assert high[0] - low[0] == pytest.approx(1.12 * size)
    assert low[1] < 3 * size < high[1]


def test_numbers_of_any_size_are_told_beside_the_line() -> None:
    data = numbers()
    frames: list[dict[str, Any]] = [{**data["frames"][-1], "weights": [-1.5e-6, 15841.35], "bias": 0.25}]
    painter = BoundaryPainter(parsed(frames=frames))
    painter.paint(parsed(frames=frames).frames[0])
    said = painter._moving[-1].get_text()
    assert "weights (−1.50e−6, 1.58e4)   bias 0.2500" in said
