"""Intervals of predictions against statsmodels' `get_prediction`, over the worker's way from a file to a model."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from gradline.csv_tables import read_csv_text
from gradline.data import prepare
from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_intervals import STORED_EARLIER, Intervals, intervals, quantile
from gradline.scoring_tables import encode_table
from gradline.storage import ArtifactStore
from gradline.worker.kinds import regression_uncertainty
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

FAMILIES = {"binomial": sm.families.Binomial, "poisson": sm.families.Poisson}
LEVELS = np.array(["Aue", "Bonn", "Kiel", "Ulm"])
FAR = 30_000.0
NEW = [[FAR + 1.5, 0.3, 2], [FAR - 40.0, -3.0, 0], [FAR, 0.0, 3]]


class Data:
    """Numbers, one far from 0 and one with gaps, and a column of four levels."""

    def __init__(self, family: str, n: int = 240, seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.far_n, self.near_n, self.level_n = draw.normal(FAR, 3, n), draw.normal(size=n), draw.integers(0, 4, n)
        self.weight_n, self.offset_n = draw.integers(1, 4, n), draw.normal(0, 0.2, n)
        self.has_gap_n = draw.random(n) < 0.1
        z_n = 0.2 * (self.far_n - FAR) + 0.5 * self.near_n - 0.4 * (self.level_n == 2) + self.offset_n
        if family == "binomial":
            self.y_n = (draw.random(n) < 1 / (1 + np.exp(-z_n))).astype(float)
        elif family == "poisson":
            self.y_n = draw.poisson(np.exp(z_n)).astype(float)
        else:
            noise_n = z_n + draw.normal(0, 0.5, n)
            self.y_n = noise_n if family == "gaussian" else np.exp(noise_n)

    def csv(self) -> str:
        lines = ["far,near,city,weight,offset,y"]
        for far, near, gap, level, weight, offset, y in zip(
            self.far_n, self.near_n, self.has_gap_n, self.level_n, self.weight_n, self.offset_n, self.y_n, strict=True
        ):
            shown = "" if gap else repr(float(near))
            lines.append(f"{float(far)!r},{shown},{LEVELS[level]},{weight},{float(offset)!r},{float(y)!r}")
        return "\n".join(lines)

    def design(self) -> np.ndarray:
        """As a user of statsmodels would make it: gaps filled with the mean, a column for each level but the first."""
        share_n = np.where(self.has_gap_n, 0, 1)
        near_n = np.where(self.has_gap_n, (self.near_n * share_n).sum() / share_n.sum(), self.near_n)
        return design(self.far_n, near_n, self.level_n)


def design(far_n: Any, near_n: Any, level_n: Any) -> np.ndarray:
    """`far` less a round number, which moves the intercept alone: statsmodels loses digits where a column is far."""
    far_n, level_n = np.asarray(far_n, float) - FAR, np.asarray(level_n)
    return np.column_stack((far_n, near_n, *(level_n == l for l in (1, 2, 3)), np.ones(len(far_n))))  # noqa: E741


def fitted(tmp_path: Any, csv: str, data: dict[str, Any], **fields: Any) -> tuple[dict[str, Any], Scorecard]:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, csv.encode())
    data = {"source": "dataset", "dataset_id": ID, "target": "y"} | data
    result, _ = train(attempt, data=data, **fields)
    return result, Scorecard.parse(attempt.files["model.json"])


def told(card: Scorecard, rows: list[dict[str, Any]], confidence: float = 0.9) -> Intervals:
    encoded = card.encode_rows(rows)
    return intervals(card, encoded, card.linear_predictor(encoded), confidence)


def new_rows(card: Scorecard) -> list[dict[str, Any]]:
    rows = [{"far": far, "near": near, "city": LEVELS[level]} for far, near, level in NEW]
    return rows if card.offset is None else [row | {"offset": 0.7} for row in rows]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_the_mean_has_the_interval_of_glm(tmp_path, family, standardize):
    data = Data(family)
    _, card = fitted(
        tmp_path, data.csv(), {"features": ["far", "near", "city"], "weights": "weight", "offset": "offset"},
        model={"family": family}, preprocess={"missing": "median", "standardize": standardize},
    )  # fmt: skip
    near = next(i["fill"] for i in card.document["inputs"] if i["column"] == "near")
    x = design(data.far_n, np.where(data.has_gap_n, near, data.near_n), data.level_n)
    theirs = sm.GLM(
        data.y_n, x, family=FAMILIES[family](), freq_weights=data.weight_n.astype(float), offset=data.offset_n
    ).fit(tol=1e-14)
    frame = theirs.get_prediction(design(*zip(*NEW, strict=True)), offset=np.full(3, 0.7)).summary_frame(alpha=0.1)
    ours = told(card, new_rows(card))
    np.testing.assert_allclose(ours.low_n, frame["mean_ci_lower"], rtol=1e-7)
    np.testing.assert_allclose(ours.high_n, frame["mean_ci_upper"], rtol=1e-7)
    assert (ours.df, ours.observation_low_n, ours.observation_high_n) == (None, None, None)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("std_errors", ["auto", "hc0", "hc1", "hc2", "hc3"])
@pytest.mark.parametrize("family", ["gaussian", "log-linear"])
def test_the_mean_and_a_new_observation_have_the_intervals_of_ols(tmp_path, family, std_errors, standardize):
    data = Data(family)
    _, card = fitted(
        tmp_path, data.csv(), {"features": ["far", "near", "city"]},
        model={"family": family}, preprocess={"missing": "mean", "standardize": standardize},
        inference={"std_errors": std_errors},
    )  # fmt: skip
    is_log = family == "log-linear"
    of = {} if std_errors == "auto" else {"cov_type": std_errors.upper(), "use_t": True}
    theirs = sm.OLS(np.log(data.y_n) if is_log else data.y_n, data.design()).fit(**of)
    frame = theirs.get_prediction(design(*zip(*NEW, strict=True))).summary_frame(alpha=0.1)
    ours, scale = told(card, new_rows(card)), np.exp if is_log else np.asarray
    np.testing.assert_allclose(ours.std_error_n, frame["mean_se"], rtol=1e-7)
    np.testing.assert_allclose(ours.low_n, scale(frame["mean_ci_lower"]), rtol=1e-7)
    np.testing.assert_allclose(ours.high_n, scale(frame["mean_ci_upper"]), rtol=1e-7)
    np.testing.assert_allclose(ours.observation_low_n, scale(frame["obs_ci_lower"]), rtol=1e-7)
    np.testing.assert_allclose(ours.observation_high_n, scale(frame["obs_ci_upper"]), rtol=1e-7)
    assert ours.df == 240 - 6


@pytest.mark.parametrize("preprocess", [{"standardize": True}, {"standardize": False}, {"sparse": True}])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_interactions_and_models_without_intercept_have_them_too(tmp_path, fit_intercept, preprocess):
    data = Data("binomial")
    _, card = fitted(
        tmp_path, data.csv(), {"features": ["near", "city"]}, model={"fit_intercept": fit_intercept},
        preprocess={"missing": "indicator", "interactions": [["city", "near"]]} | preprocess,
    )  # fmt: skip
    fill = next(i["fill"] for i in card.document["inputs"] if i["column"] == "near")

    def x_of(near_n: Any, gap_n: Any, level_n: Any) -> np.ndarray:
        near_n, is_level = np.where(gap_n, fill, near_n), [np.asarray(level_n) == level for level in (1, 2, 3)]
        own = [near_n, np.asarray(gap_n, float), *is_level, *(near_n * one for one in is_level)]
        return np.column_stack(own + [np.ones(len(near_n))] * fit_intercept)

    theirs = sm.Logit(data.y_n, x_of(data.near_n, data.has_gap_n, data.level_n)).fit(disp=0, tol=1e-13)
    new = x_of(np.array([0.5, 9.9, -2.0]), np.array([False, True, False]), [3, 2, 0])
    frame = theirs.get_prediction(new).summary_frame(alpha=0.1)
    ours = told(card, [{"near": n, "city": c} for n, c in ((0.5, "Ulm"), (None, "Kiel"), (-2.0, "Aue"))])
    np.testing.assert_allclose(ours.low_n, frame["ci_lower"], rtol=1e-6)
    np.testing.assert_allclose(ours.high_n, frame["ci_upper"], rtol=1e-6)


def test_robust_errors_of_a_binomial_fit_with_class_weights_are_those_in_force(tmp_path):
    data = Data("binomial")
    _, card = fitted(
        tmp_path, data.csv(), {"features": ["far", "near", "city"]}, preprocess={"missing": "mean"},
        model={"class_weights": {"1.0": 3.0}}, inference={"std_errors": "hc0"},
    )  # fmt: skip
    weight_n, x = np.where(data.y_n == 1, 3.0, 1.0), data.design()
    beta = sm.GLM(data.y_n, x, family=FAMILIES["binomial"](), freq_weights=weight_n).fit(tol=1e-14).params
    p_n = 1 / (1 + np.exp(-x @ beta))
    bread = np.linalg.inv((x.T * (weight_n * p_n * (1 - p_n))) @ x)
    meat = (x.T * (weight_n * (data.y_n - p_n)) ** 2) @ x
    new = design(*zip(*NEW, strict=True))
    expected = np.sqrt(np.einsum("np,pq,nq->n", new, bread @ meat @ bread, new))
    np.testing.assert_allclose(told(card, new_rows(card)).std_error_n, expected, rtol=1e-6)


def test_firths_fit_has_the_covariance_at_its_estimates(tmp_path):
    csv = "x,y\n" + "\n".join(f"{i / 10},{int(i > 11)}" for i in range(20))
    _, card = fitted(tmp_path, csv, {}, on_separation="firth")
    x = np.column_stack((np.arange(20) / 10, np.ones(20)))
    (w,) = card.document["features"][0]["coefficients"]
    p_n = 1 / (1 + np.exp(-(w * x[:, 0] + card.document["intercepts"][0])))
    v = np.linalg.inv((x.T * (p_n * (1 - p_n))) @ x)
    new = np.array([[0.4, 1.0], [3.0, 1.0]])
    expected = np.sqrt(np.einsum("np,pq,nq->n", new, v, new))
    np.testing.assert_allclose(told(card, [{"x": 0.4}, {"x": 3.0}]).std_error_n, expected, rtol=1e-6)


@pytest.mark.parametrize("preprocess", [{}, {"standardize": False}, {"sparse": True}])
def test_a_constant_column_counts_with_the_intercept(tmp_path, preprocess):
    data = Data("gaussian")
    lines = data.csv().splitlines()
    csv = "\n".join(f"{line},{'same' if i == 0 else '7.5'}" for i, line in enumerate(lines))
    fields = {"model": {"family": "gaussian"}, "preprocess": {"missing": "mean"} | preprocess}
    _, card = fitted(tmp_path, csv, {"features": ["same", "near", "city"]}, **fields)
    theirs = sm.OLS(data.y_n, data.design()[:, 1:]).fit()
    frame = theirs.get_prediction(design(*zip(*NEW, strict=True))[:, 1:]).summary_frame(alpha=0.1)
    rows = [{"same": same, "near": NEW[i][1], "city": LEVELS[int(NEW[i][2])]} for i, same in enumerate((7.5, 7.5, 0.0))]
    np.testing.assert_allclose(told(card, rows).std_error_n, frame["mean_se"], rtol=1e-7)


def test_features_in_single_precision_have_the_intervals_of_double(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "LEAST_FLOAT32_ROWS", 1000)
    draw = np.random.default_rng(0)
    x_nd = (FAR + draw.normal(0, 30, (4000, 2))).round().astype(int)
    y_n = draw.random(4000) < 1 / (1 + np.exp(-(x_nd - FAR) @ [0.02, -0.01]))
    csv = "a,b,y\n" + "\n".join(f"{a},{b},{int(y)}" for (a, b), y in zip(x_nd.tolist(), y_n, strict=True))
    result, card = fitted(tmp_path, csv, {})
    assert result["dtype"] == "float32"
    theirs = sm.Logit(y_n.astype(int), sm.add_constant(x_nd - FAR)).fit(disp=0, tol=1e-12)
    frame = theirs.get_prediction([[1.0, 2.0, -40.0], [1.0, 0.0, 0.0]]).summary_frame(alpha=0.1)
    ours = told(card, [{"a": FAR + 2, "b": FAR - 40}, {"a": FAR, "b": FAR}])
    np.testing.assert_allclose(ours.low_n, frame["ci_lower"], rtol=1e-5)
    np.testing.assert_allclose(ours.high_n, frame["ci_upper"], rtol=1e-5)


def test_blocks_of_rows_say_what_rows_say_one_by_one(tmp_path, monkeypatch):
    data = Data("binomial")
    _, card = fitted(tmp_path, data.csv(), {"features": ["far", "city"]})
    rows = encode_table(card, read_csv_text(data.csv().encode()))
    whole = intervals(card, rows, card.linear_predictor(rows), 0.5)
    monkeypatch.setattr("gradline.scoring_intervals.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(
        intervals(card, rows, card.linear_predictor(rows), 0.5).std_error_n, whole.std_error_n, rtol=1e-12
    )


# --- where there are none


def reason(card: Scorecard, rows: list[dict[str, Any]]) -> str:
    with pytest.raises(RowsRefused) as refused:
        told(card, rows)
    ((field, value, why),) = refused.value.faults
    assert (field, value) == ("interval", 0.9)
    return str(why)


@pytest.mark.parametrize(
    "fields",
    [
        {"penalty": {"l2": 0.1}},
        {"inference": {"std_errors": "none"}},
        {"solver": {"name": "sgd"}, "stop": {"max_steps": 5}},
        {"model": {"class_weights": "balanced"}},
    ],
)
def test_they_are_refused_for_the_reason_that_errors_are_withheld_for(tmp_path, fields):
    data = Data("binomial")
    result, card = fitted(
        tmp_path, data.csv(), {"features": ["near", "city"]}, preprocess={"missing": "mean"}, **fields
    )
    assert reason(card, [{"near": 1.0, "city": "Ulm"}]) == result["inference"]["withheld"] is not None


def test_separated_and_multinomial_fits_and_dependent_columns_say_why(tmp_path):
    separated = "x,y\n" + "\n".join(f"{i},{int(i > 11)}" for i in range(20))
    result, card = fitted(tmp_path, separated, {})
    assert reason(card, [{"x": 1.0}]) == result["inference"]["withheld"]
    three = "x,y\n" + "\n".join(f"{i % 7},{'abc'[i % 3]}" for i in range(60))
    assert "several classes" in reason(fitted(tmp_path, three, {})[1], [{"x": 1.0}])
    twice = "x,z,y\n" + "\n".join(f"{i % 7},{2 * (i % 7)},{i % 3 % 2}" for i in range(60))
    assert "depend on one another" in reason(fitted(tmp_path, twice, {})[1], [{"x": 1.0, "z": 2.0}])


def test_too_many_parameters_are_told(tmp_path, monkeypatch):
    data = Data("binomial")
    monkeypatch.setattr(regression_uncertainty, "MAX_PARAMETERS", 4)
    _, card = fitted(tmp_path, data.csv(), {"features": ["city"]})
    assert told(card, [{"city": "Ulm"}]).std_error_n > 0
    _, card = fitted(tmp_path, data.csv(), {"features": ["far", "city"]})
    assert "up to 4 parameters, and this one has 5" in reason(card, [{"far": 1.0, "city": "Ulm"}])


def test_a_covariance_that_overflows_is_told(tmp_path):
    tiny = "x,y\n" + "\n".join(f"{i % 7}e-157,{i % 3 % 2}" for i in range(60))
    assert "no number in float64" in reason(fitted(tmp_path, tiny, {})[1], [{"x": 1e-157}])


def test_models_stored_earlier_say_that_they_were(tmp_path):
    _, card = fitted(tmp_path, Data("binomial").csv(), {"features": ["city"]})
    earlier = Scorecard.parse({k: v for k, v in card.document.items() if k not in ("means", "uncertainty")})
    rows = earlier.encode_rows([{"city": "Ulm"}])
    assert earlier.linear_predictor(rows) == card.linear_predictor(rows)
    assert reason(earlier, [{"city": "Ulm"}]) == STORED_EARLIER


# --- quantiles


@pytest.mark.parametrize("df", [None, 3.0, 1e4])
def test_quantiles_are_numbers_at_any_confidence(df):
    found = [quantile(c, df) for c in (5e-324, 1e-17, 1e-9, 0.5, 1 - 1e-9, math.nextafter(1.0, 0.0))]
    assert all(math.isfinite(q) for q in found)
    assert found == sorted(found)
    assert quantile(0.95, None) == pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-12)
