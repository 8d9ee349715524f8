"""The numbers of the curves against scikit-learn, and every plot of scores, coefficients and residuals drawn."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from gradline.plots.curve_numbers import Scores, calibration, f1, numbers_of
from gradline.plots.drawing import CURVES, PLOTS, draw_all
from gradline.plots.plot_data import PlotData


def rows(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and whether each row is positive."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.random(n), 2)
    return score, rng.random(n) < score


def raw_table(score: np.ndarray, is_positive: np.ndarray) -> dict[str, list[float]]:
    values = np.unique(score)[::-1]
    both = [((score == v) & is_positive, (score == v) & ~is_positive) for v in values]
    return {
        "score": values.tolist(),
        "promised": values.tolist(),
        "positive": [float(p.sum()) for p, _ in both],
        "negative": [float(n.sum()) for _, n in both],
    }


def test_the_curves_are_those_of_scikit_learn() -> None:
    score, y = rows()
    scores = Scores.parse(raw_table(score, y))
    false, true, _ = sk.roc_curve(y, score, drop_intermediate=False)
    np.testing.assert_allclose(scores.false_rate(), false)
    np.testing.assert_allclose(scores.true_rate(), true)
    precision, recall, thresholds = sk.precision_recall_curve(y, score)
    np.testing.assert_allclose(scores.precision()[::-1], precision[:-1])
    np.testing.assert_allclose(scores.true_rate()[:0:-1], recall[:-1])
    assert scores.roc_auc() == pytest.approx(sk.roc_auc_score(y, score))
    assert scores.average_precision() == pytest.approx(sk.average_precision_score(y, score))
    assert scores.ks() == pytest.approx((true - false).max())
    assert f1(scores)[::-1] == pytest.approx([sk.f1_score(y, score >= t) for t in thresholds])


def test_calibration_is_that_of_scikit_learn_within_its_interval() -> None:
    score, y = rows()
    score = np.minimum(score + 0.001, 1)  # scikit-learn closes its bins on the other side
    bins = calibration(Scores.parse(raw_table(score, y)))
    came, promised = calibration_curve(y, score, n_bins=10)
    np.testing.assert_allclose(bins.came_h, came)
    np.testing.assert_allclose(bins.promised_h, promised)
    assert ((bins.low_h <= came) & (came <= bins.high_h)).all()
    assert bins.weight_h.sum() == len(y)


def test_gains_end_with_everything_and_lift_with_one() -> None:
    gains = numbers_of(Scores.parse(raw_table(*rows())))["gains"]
    assert (gains["called"][0], gains["captured"][0]) == (0, 0)
    assert (gains["called"][-1], gains["captured"][-1], gains["lift"][-1]) == (1, 1, 1)
    assert gains["lift"][0] > 1


def plot_data(**more: Any) -> PlotData:
    names = {"feature_names": ["x", "y"], "class_names": ["no", "yes"], "history": {"step": [0], "loss": [0.1]}}
    return PlotData.parse(json.dumps(names | more).encode())


COEFFICIENTS = [
    {"feature": "x", "estimate": 1.0, "ci_low": 0.5, "ci_high": 1.5, "z": 4.0},
    {"feature": "a name that is far longer than there is room for it beside the axes", "estimate": None},
]
IMPORTANCE = [{"term": f"column {t}", "importance": 1 / t, "share": None if t == 40 else 0.1} for t in range(1, 41)]
TWO = {
    "scores": {part: {"1": raw_table(*rows(200, seed))} for seed, part in enumerate(("train", "validation"))},
    "coefficients": COEFFICIENTS,
    "importance": IMPORTANCE[:2],
    "threshold": 0.3,
}
MANY = {
    "class_names": [f"c{c}" for c in range(10)],
    "scores": {"validation": {str(c): raw_table(*rows(100, c)) for c in range(10)}},
    "coefficients": [{"feature": f, "class": f"c{c}", "estimate": c - 4.0} for f in "xy" for c in range(10)],
    "points": {"x": np.random.default_rng(0).normal(size=(60, 2)).tolist(), "y": [i % 10 for i in range(60)]},
    "plane": {"weights": np.random.default_rng(1).normal(size=(10, 2)).tolist(), "intercepts": [0.0] * 10},
}
NUMBERS = {
    "class_names": [],
    "coefficients": COEFFICIENTS,
    "importance": IMPORTANCE,
    "residuals": {"train": {"predicted": [1.0, 2.0, 3.0], "residual": [0.1, -0.3, 0.0]}},
}
PATH = {
    "path": {
        "points": [
            {
                "strength": 0.1 / 2**i,
                "loss": None if i == 0 else 0.5 + 0.01 * (i - 8) ** 2,
                "std_error": 0.02,
                "n_nonzero": i,
            }
            for i in range(12)
        ],
        "best": 8,
        "one_standard_error": 7,
        "choose": "best",
        "folds": 5,
        "n_features": 30,
        "n_coefficients": 300,
        "strengths": [0.1, 0.01, 0.1 / 2**11],
        "lines": [
            {
                "feature": f"x{j}",
                "class": "a very long name of a class",
                "coefficients": [0.0, j / 2, None if j == 3 else j],
            }
            for j in range(20)
        ],
    },
}
CURVE_PLOTS = ["roc.png", "precision_recall.png", "calibration.png", "gains.png", "coefficients.png"]


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        (TWO, [*CURVE_PLOTS, "thresholds.png", "importance.png", CURVES]),
        (MANY, [*CURVE_PLOTS, "regions.png", CURVES]),
        (NUMBERS, ["coefficients.png", "importance.png", "residuals.png"]),
        (PATH, ["path.png"]),
    ],
    ids=["two classes", "many classes", "numbers", "path"],
)
def test_every_plot_is_drawn_the_same_each_time(numbers: dict[str, Any], names: list[str]) -> None:
    data = plot_data(**numbers)
    drawn = {plot.name: plot.data for plot in draw_all(data, names)}
    assert set(drawn) == set(names)
    again = {plot.name: plot.data for plot in draw_all(data, names)}
    assert drawn == again
    for name in set(names) & set(PLOTS):
        image = Image.open(io.BytesIO(drawn[name])).convert("L")
        assert min(image.size) >= 180
        assert image.getextrema()[0] < 100 < 250 < image.getextrema()[1], name


@pytest.mark.parametrize(
    ("name", "score", "share"),
    [
        ("precision_recall.png", [0.4, 0.4, 0.4], 0.8),
        ("thresholds.png", [0.4, 0.4, 0.4], 0.3),
        ("thresholds.png", [0.9, 0.2, 0.2], 0.5),
    ],
)
def test_a_curve_stays_as_it_is_between_scores(name: str, score: list[float], share: float) -> None:
    table = raw_table(np.array(score), np.array([True, True, False]))
    (plot,) = draw_all(plot_data(scores={"train": {"1": table}}, threshold=0.5), [name])
    image = np.asarray(Image.open(io.BytesIO(plot.data)).convert("RGB"))
    is_blue = (image == [0x00, 0x72, 0xB2]).all(2)
    assert is_blue.sum(1).max() > share * image.shape[1]


def test_a_bar_is_as_long_as_its_column_is_important() -> None:
    rows_of = [{"term": "x", "importance": 2.0, "share": 0.8}, {"term": "y", "importance": 0.5, "share": 0.2}]
    (plot,) = draw_all(plot_data(importance=rows_of), ["importance.png"])
    image = np.asarray(Image.open(io.BytesIO(plot.data)).convert("RGB"))
    lengths = [n for n in (image == [0x00, 0x72, 0xB2]).all(2).sum(1) if n > 0]
    assert max(lengths) == pytest.approx(4 * min(lengths), abs=8)  # edges are blended
    assert lengths[0] == max(lengths), "the largest stands on top"


def test_the_numbers_of_the_curves_are_beside_them() -> None:
    (curves,) = draw_all(plot_data(**TWO), [CURVES])
    said = json.loads(curves.data)
    score, y = rows(200, 1)
    assert said["validation"]["yes"]["roc_auc"] == pytest.approx(sk.roc_auc_score(y, score))
    assert set(said) == {"train", "validation"}


def test_a_part_with_one_class_only_has_no_curve() -> None:
    score, y = rows(50)
    one_class = {"1": raw_table(score, np.ones_like(y))}
    data = plot_data(**TWO | {"scores": {"train": TWO["scores"]["train"], "validation": one_class}})
    (curves, *_) = sorted(draw_all(data, [CURVES, "roc.png", "thresholds.png"]), key=lambda plot: plot.name)
    assert json.loads(curves.data)["validation"] == {}
