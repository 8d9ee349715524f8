"""Long names, many classes and infinite estimates in figures."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradline.plots.drawing import draw_all
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from tests.unit.plots.test_curves_of_scores import raw_table, rows

LONG = "average monthly spending on category {} (household, seasonally adjusted)"
ROCKS = [f"{name} of the upper formation, weathered" for name in "ABCDEFGHIJKL"]


def data_of(class_names: list[str], **more: Any) -> PlotData:
    k, rng = len(class_names), np.random.default_rng(0)
    score, is_positive = rows(50)
    values = {
        "feature_names": [LONG.format(0), LONG.format(1)],
        "class_names": class_names,
        "points": {"x": rng.normal(size=(60, 2)).tolist(), "y": (np.arange(60) % k).tolist()},
        "history": {"step": [0, 1], "loss": [1.0, 0.5], "accuracy": [0.5, 0.6]},
        "confusion_matrix": {"train": np.eye(k).tolist(), "validation": np.eye(k).tolist()},
        "scores": {"train": {str(c): raw_table(score, is_positive) for c in ([1] if k == 2 else range(k))}},
        "coefficients": [
            {"feature": LONG.format(i), "class": name, "estimate": 0.1 * i, "ci_low": -1.0, "ci_high": 1.0}
            for i in (0, 1)
            for name in class_names
        ],
        "plane": {"weights": rng.normal(size=(k, 2)).tolist(), "intercepts": [0.0] * k},
    }
    return PlotData.parse(json.dumps(values | more).encode())


@pytest.mark.parametrize("class_names", [["no", "yes, and bought the whole of it at once"], ROCKS], ids=["2", "12"])
@pytest.mark.parametrize("name", ["coefficients", "confusion_matrix", "roc", "calibration", "regions"])
def test_no_name_is_cut_off_by_the_edge_of_the_picture(name: str, class_names: list[str]) -> None:
    (plot,) = draw_all(data_of(class_names), [f"{name}.png"])
    pixels = np.asarray(Image.open(io.BytesIO(plot.data)).convert("L"))
    edges = (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:])
    assert all(edge.min() > 250 for edge in edges)


def test_names_that_begin_alike_stay_told_apart() -> None:
    names = ["x", *(LONG.format(i) for i in (1, 12, 3))]
    short = short_names(names, 30)
    assert short == [
        "x",
        "…1 (household, seasonally adj…",
        "…12 (household, seasonally ad…",
        "…3 (household, seasonally adj…",
    ]
    assert all(len(name) <= 30 for name in short)


def test_a_long_name_alone_keeps_its_beginning() -> None:
    assert short_names([LONG.format(1), "y"], 20) == ["average monthly spe…", "y"]


def test_one_very_long_word_is_cut_where_the_names_differ() -> None:
    assert short_names(["a" * 60 + "1" * 9, "a" * 60 + "2" * 9], 12) == ["…111111111", "…222222222"]


def test_the_width_is_that_of_the_longest_line() -> None:
    assert width_px(["ab\nabcdefgh", "abc"], 10) == width_px(["abcdefgh"], 10) > width_px(["abc"], 10)
    assert width_px([" "], 10) == 0.0


def test_an_infinite_estimate_is_drawn_as_an_arrow_not_as_a_value() -> None:
    row = {"feature": "x", "estimate": 2.0}
    finite, infinite = (
        next(iter(draw_all(data_of(["0", "1"], coefficients=[coefficient]), ["coefficients.png"]))).data
        for coefficient in (row, row | {"infinite": "inf"})
    )
    assert finite != infinite
