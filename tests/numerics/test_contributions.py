"""What columns contribute to predictions, against a design matrix made by hand."""

import itertools
from typing import Any

import numpy as np
import pytest

from gradline.csv_tables import read_csv_text
from gradline.data import prepare
from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_contributions import NOT_FOUND, STORED_EARLIER, contributions
from gradline.scoring_tables import encode_table
from tests.numerics.test_prediction_intervals import FAR, LEVELS, Data, fitted

TERMS = ["far", "near", "city"]
PAIRS = [["city", "near"], ["near", "far"]]


def expected(card: Scorecard, data: Data, weight_n: Any) -> dict[str, np.ndarray]:
    """By term: coefficient times the value less its weighted mean, feature by feature; features in their order."""
    fill = next(i["fill"] for i in card.document["inputs"] if i["column"] == "near")
    near_n = np.where(data.has_gap_n, fill, data.near_n)
    is_level = [(data.level_n == level).astype(float) for level in (1, 2, 3)]
    columns = {
        "far": [data.far_n],
        "near": [near_n, data.has_gap_n.astype(float)],
        "city": is_level,
        "city:near": [near_n * one for one in is_level],
        "near:far": [near_n * data.far_n],
    }
    w = iter([feature["coefficients"][0] for feature in card.document["features"]])
    return {
        term: sum(next(w) * (x_n - np.average(x_n, weights=weight_n)) for x_n in features)
        for term, features in columns.items()
    }


@pytest.mark.parametrize("preprocess", [{}, {"standardize": False}, {"sparse": True}])
@pytest.mark.parametrize("family", ["binomial", "gaussian", "log-linear", "poisson"])
def test_a_column_contributes_its_coefficient_times_what_its_value_is_above_the_mean(tmp_path, family, preprocess):
    data = Data(family)
    roles = {"features": TERMS, "weights": "weight", "offset": "offset"}
    policy = {"missing": "indicator", "interactions": PAIRS} | preprocess
    _, card = fitted(tmp_path, data.csv(), roles, model={"family": family}, preprocess=policy)
    rows = encode_table(card, read_csv_text(data.csv().encode()))
    found, hand = contributions(card, rows), expected(card, data, data.weight_n)
    assert found.terms == [*hand, "offset"]
    for t, by_hand_n in enumerate(hand.values()):
        np.testing.assert_allclose(found.value_nkt[:, 0, t], by_hand_n, rtol=1e-7, atol=1e-7, err_msg=found.terms[t])
    np.testing.assert_array_equal(found.value_nkt[:, 0, -1], data.offset_n)
    z_nk = card.linear_predictor(rows)
    np.testing.assert_allclose(found.base_k + found.value_nkt.sum(2), z_nk, rtol=1e-9, atol=1e-9)
    mean = np.average(z_nk[:, 0] - data.offset_n, weights=data.weight_n)
    np.testing.assert_allclose(found.base_k, mean, rtol=1e-7, atol=1e-7)


def test_they_are_the_shapley_values_of_the_mean_game(tmp_path):
    """The value of a coalition: the mean prediction with its columns as the row has them, others as any row has."""
    data = Data("poisson", n=60)
    _, card = fitted(
        tmp_path, data.csv(), {"features": TERMS}, model={"family": "poisson"}, preprocess={"missing": "mean"}
    )
    table = read_csv_text(data.csv().encode()).to_pylist()
    rows = [{"far": float(r["far"]), "near": r["near"] and float(r["near"]), "city": r["city"]} for r in table]
    row = {"far": FAR + 5.0, "near": 1.25, "city": "Kiel"}

    def value(coalition: tuple[str, ...]) -> float:
        mixed = [other | {name: row[name] for name in coalition} for other in rows]
        return float(card.linear_predictor(card.encode_rows(mixed)).mean())

    shapley = dict.fromkeys(TERMS, 0.0)
    for order in itertools.permutations(TERMS):
        for i, name in enumerate(order):
            shapley[name] += (value(order[: i + 1]) - value(order[:i])) / 6
    found = contributions(card, card.encode_rows([row]))
    np.testing.assert_allclose(found.value_nkt[0, 0], [*shapley.values()], rtol=1e-9, atol=1e-9)
    assert found.base_k[0] == pytest.approx(value(()))


def test_each_class_has_its_own(tmp_path):
    draw = np.random.default_rng(0)
    x_n, level_n = draw.normal(size=300), draw.integers(0, 4, 300)
    y_n = draw.integers(0, 3, 300)
    lines = [f"{float(x)!r},{LEVELS[level]},{'abc'[y]}" for x, level, y in zip(x_n, level_n, y_n, strict=True)]
    _, card = fitted(tmp_path, "x,city,y\n" + "\n".join(lines), {}, penalty={"l2": 0.01})
    rows = card.encode_rows([{"x": 2.0, "city": "Ulm"}, {"x": -1.0, "city": "Aue"}])
    found = contributions(card, rows)
    assert (found.terms, found.value_nkt.shape) == (["x", "city"], (2, 3, 2))
    w_kd = np.array([f["coefficients"] for f in card.document["features"]]).T
    share_l = np.bincount(level_n, minlength=4)[1:] / 300
    np.testing.assert_allclose(found.value_nkt[0, :, 0], w_kd[:, 0] * (2 - x_n.mean()), rtol=1e-9)
    np.testing.assert_allclose(found.value_nkt[0, :, 1], w_kd[:, 1:] @ ([0, 0, 1] - share_l), rtol=1e-9)
    np.testing.assert_allclose(found.value_nkt[1, :, 1], w_kd[:, 1:] @ -share_l, rtol=1e-9)
    np.testing.assert_allclose(found.base_k + found.value_nkt.sum(2), card.linear_predictor(rows), rtol=1e-12)


def test_means_of_features_in_single_precision_are_those_of_the_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "LEAST_FLOAT32_ROWS", 1000)
    draw = np.random.default_rng(0)
    x_n = (FAR + draw.normal(0, 30, 4000)).round().astype(int)
    y_n = draw.random(4000) < 1 / (1 + np.exp(-(x_n - FAR) / 50))
    csv = "x,y\n" + "\n".join(f"{x},{int(y)}" for x, y in zip(x_n.tolist(), y_n, strict=True))
    result, card = fitted(tmp_path, csv, {})
    assert result["dtype"] == "float32"
    assert card.document["means"] == pytest.approx([x_n.mean()], abs=1e-7 * x_n.std())


def test_columns_and_interactions_of_one_name_keep_the_sum(tmp_path):
    draw = np.random.default_rng(0)
    lines = [",".join(f"{v:.3f}" for v in draw.normal(size=3)) + f",{i % 3 % 2}" for i in range(90)]
    data = {"features": ["a", "b"], "offset": "a:b"}
    _, card = fitted(tmp_path, "\n".join(["a,b,a:b,y", *lines]), data, preprocess={"interactions": [["a", "b"]]})
    rows = card.encode_rows([{"a": 1.0, "b": 2.0, "a:b": 0.5}])
    found = contributions(card, rows)
    assert found.terms == ["a", "b", "a:b", "a:b"]
    assert found.base_k + found.value_nkt.sum() == pytest.approx(card.linear_predictor(rows)[0])


# --- where there are none


@pytest.mark.parametrize(
    "fields",
    [
        {"preprocess": {"standardize": False, "sparse": True}},
        {"preprocess": {"standardize": False}, "model": {"fit_intercept": False}},
        {"preprocess": {"standardize": False}, "solver": {"name": "sgd"}, "stop": {"max_steps": 5}},
    ],
)
def test_means_that_training_did_not_find_are_told(tmp_path, fields):
    _, card = fitted(tmp_path, Data("binomial").csv(), {"features": ["city"]}, **fields)
    rows = card.encode_rows([{"city": "Ulm"}])
    with pytest.raises(RowsRefused, match="neither standardised") as refused:
        contributions(card, rows)
    assert [(f.field, f.reason) for f in refused.value.faults] == [("contributions", NOT_FOUND)]
    earlier = Scorecard.parse({k: v for k, v in card.document.items() if k != "means"})
    with pytest.raises(RowsRefused, match="stored before") as refused:
        contributions(earlier, rows)
    assert refused.value.faults[0].reason == STORED_EARLIER
