"""Jobs whose coefficients are bounded, from the spec to the result."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, minimize
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gradline.data.sample import Roles
from gradline.data.split import assign_folds
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

DIABETES = {"source": "builtin", "name": "diabetes"}
CANCER = {"source": "builtin", "name": "breast_cancer"}
WINE = {"source": "builtin", "name": "wine"}
UPLOAD = {"source": "dataset", "dataset_id": ID, "target": "y"}
HEADER = "a,b,y"
GAUSSIAN = {"family": "gaussian", "non_negative": True}


def estimates(result: dict[str, Any]) -> list[float]:
    return [c["estimate"] for c in result["coefficients"]]


def bounds_of(result: dict[str, Any]) -> list[str | None]:
    return [c.get("at_bound") for c in result["coefficients"]]


@pytest.fixture
def attempt(tmp_path) -> MemoryAttempt:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    return attempt


def run(attempt: MemoryAttempt, rows: list[tuple[Any, ...]], header: str = HEADER, **spec: Any) -> dict[str, Any]:
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows)])
    attempt.uploads[ID] = stored(attempt.store, text.encode())
    return train(attempt, data=UPLOAD, **spec)[0]


def drawn(seed: int, n: int = 60) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(n, 3))


# --- against other programs


@pytest.mark.parametrize("standardize", [False, True])
def test_non_negative_least_squares_are_scikit_learns(standardize):
    result, _ = train(data=DIABETES, model=GAUSSIAN, preprocess={"standardize": standardize})
    x, y = load_diabetes(return_X_y=True)
    peer = LinearRegression(positive=True).fit(x, y)
    assert result["outcome"] == "converged"
    assert estimates(result) == pytest.approx(list(peer.coef_), rel=1e-6)
    assert result["intercepts"][0]["estimate"] == pytest.approx(peer.intercept_)
    assert bounds_of(result) == ["at_least" if w == 0 else None for w in peer.coef_]


@pytest.mark.parametrize("solver", ["auto", "fista"])
def test_bounds_are_on_the_columns_scale_and_the_penalty_on_the_standardised_one(solver):
    x, y = load_breast_cancer(return_X_y=True)
    bounds = {"mean radius": {"at_most": -0.2}, "mean texture": {"at_least": 0.01, "at_most": 0.02}}
    l2 = 0.02
    stop = {"tolerance": 1e-13, "max_steps": 20_000}
    result, _ = train(data=CANCER, model={"bounds": bounds}, penalty={"l2": l2}, solver={"name": solver}, stop=stop)
    scale, z = x.std(0), (x - x.mean(0)) / x.std(0)
    sign = 2 * y - 1

    def f(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (z @ theta[:-1] + theta[-1])
        pull = -sign / (1 + np.exp(margin)) / len(y)
        loss = np.logaddexp(0, -margin).mean() + l2 / 2 * theta[:-1] @ theta[:-1]
        return loss, np.append(z.T @ pull + l2 * theta[:-1], pull.sum())

    within = [(None, None)] * 31
    within[0], within[1] = (None, -0.2 * scale[0]), (0.01 * scale[1], 0.02 * scale[1])
    peer = minimize(f, np.zeros(31), jac=True, bounds=within, options={"ftol": 1e-16, "gtol": 1e-11, "maxiter": 5000})
    assert result["objective"] == pytest.approx(peer.fun, rel=1e-9)
    np.testing.assert_allclose(np.array(estimates(result)) * scale, peer.x[:-1], atol=2e-6)
    assert bounds_of(result)[:3] == ["at_most", "at_least", None]
    assert estimates(result)[:2] == [-0.2, 0.01]
    assert result["solver"]["name"] == ("fista" if solver == "fista" else "proximal-newton")
    assert result["certificate"]["relative_gap"] <= 1e-13
    assert result["inference"]["withheld"].startswith("a penalty draws")
    assert "bootstrap" not in result["inference"]["withheld"], "it is refused with bounds"


def test_a_multinomial_fit_has_the_bounds_in_every_class():
    l2 = 0.05
    result, _ = train(data=WINE, model={"non_negative": True}, penalty={"l2": l2}, stop={"tolerance": 1e-11})
    x, y = load_wine(return_X_y=True)
    z, own = (x - x.mean(0)) / x.std(0), np.eye(3)[y]

    def f(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, c = theta[:39].reshape(3, 13), theta[39:]
        scores = z @ w.T + c
        log_share = scores - np.logaddexp.reduce(scores, 1, keepdims=True)
        pull = (np.exp(log_share) - own) / len(y)
        return -(own * log_share).sum() / len(y) + l2 / 2 * (w**2).sum(), np.append(pull.T @ z + l2 * w, pull.sum(0))

    within = [(0, None)] * 39 + [(None, None)] * 3
    peer = minimize(f, np.zeros(42), jac=True, bounds=within, options={"ftol": 1e-16, "gtol": 1e-11, "maxiter": 5000})
    assert result["objective"] == pytest.approx(peer.fun, rel=1e-9)
    found = np.array(estimates(result)).reshape(3, 13) * x.std(0)
    np.testing.assert_allclose(found, peer.x[:39].reshape(3, 13), atol=2e-6)


def test_a_path_within_bounds_is_that_of_scikit_learns_positive_lasso():
    result, _ = train(data=DIABETES, model=GAUSSIAN, penalty={"path": {"n_values": 12}}, stop={"tolerance": 1e-11})
    x, y = load_diabetes(return_X_y=True)
    fold_n = assign_folds(Roles(torch.as_tensor(y), None), 5, Split()).numpy()
    folds = [(np.flatnonzero(fold_n != f), np.flatnonzero(fold_n == f)) for f in range(5)]
    strengths = [point["strength"] for point in result["path"]["points"]]
    lasso = make_pipeline(StandardScaler(), Lasso(tol=1e-10, max_iter=100_000, positive=True))
    peer = GridSearchCV(lasso, {"lasso__alpha": strengths}, scoring="neg_mean_squared_error", cv=folds).fit(x, y)
    losses = -peer.cv_results_["mean_test_score"] / 2
    assert [point["loss"] for point in result["path"]["points"]] == pytest.approx(list(losses), rel=1e-6)
    assert estimates(result) == pytest.approx(list(peer.best_estimator_[-1].coef_ / x.std(0)), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("lacks", [False, True], ids=["shared features", "features of its own"])
def test_every_fold_keeps_the_bounds_on_the_columns_own_scale(attempt, lacks):
    x = drawn(1, 80) * [3.0, 0.2, 1.0]
    y = 0.5 * x[:, 0] - 2 * x[:, 1] + x[:, 2]
    x[::7, 1] = np.nan if lacks else x[::7, 1]
    rows = [(a, "" if np.isnan(b) else b, t) for (a, b, _), t in zip(x, y, strict=True)]
    bounds = {"a": {"at_most": 0.3}, "b": {"at_least": -1.5, "at_most": -1.0}}
    missing = {"missing": "mean"} if lacks else {}
    result = run(attempt, rows, model={"family": "gaussian", "bounds": bounds}, split={"folds": 4}, preprocess=missing)
    fold_n = assign_folds(Roles(torch.as_tensor(y), None), 4, Split()).numpy()
    losses = []
    for fold in range(4):
        kept = fold_n != fold
        filled = x[:, :2].copy()
        filled[np.isnan(filled[:, 1]), 1] = np.nanmean(x[kept, 1])
        design = np.c_[filled, np.ones(80)]
        w = lsq_linear(design[kept], y[kept], ([-np.inf, -1.5, -np.inf], [0.3, -1.0, np.inf]), tol=1e-14).x
        losses.append(np.mean((y[~kept] - design[~kept] @ w) ** 2))
    assert result["cross_validation"]["metrics"]["mse"]["values"] == pytest.approx(losses, rel=1e-6)
    assert bounds_of(result) == ["at_most", "at_least"]


# --- what bounds are for


def test_a_columns_bound_is_for_its_levels_and_features_have_names_of_their_own(attempt):
    u = drawn(2, 200)
    kinds = np.array(["u", "v", "w"])[np.random.default_rng(0).integers(0, 3, 200)]
    y = u[:, 0] * (1 + (kinds == "v")) - 2 * (kinds == "w") + (kinds == "v") + 0.1 * u[:, 2]
    rows = [(k, "" if i % 9 == 0 else a, t) for i, (k, a, t) in enumerate(zip(kinds, u[:, 0], y, strict=True))]
    bounds = {
        "a": {"at_least": -1.0, "at_most": 0.5},
        "a=v": {"at_most": 0.25},
        "b": {"at_most": 0.8},
        "a:b": {"at_least": 0.1},
        "a=w:b": {"at_least": 0.2},
        "b is missing": {"at_least": 0.9},
    }
    preprocess = {"missing": "indicator", "interactions": [["a", "b"]]}
    result = run(attempt, rows, model={"family": "gaussian", "bounds": bounds}, preprocess=preprocess)
    found = {c["feature"]: (c["estimate"], c.get("at_bound")) for c in result["coefficients"]}
    assert found["a=v"] == (0.25, "at_most")
    assert found["a=w"] == (-1.0, "at_least")
    assert found["b"] == (0.8, "at_most")
    assert found["a=w:b"] == (pytest.approx(0.2, rel=1e-15), "at_least")
    assert found["a=w:b"][0] >= 0.2
    assert found["a=v:b"][0] > 0.9, "1 but for what b lacks"
    assert found["b is missing"] == (pytest.approx(0.9, rel=1e-15), "at_least")


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"q": {"at_most": 0.0}}, r"spec.model.bounds: 'q' \(at_most 0\) is neither a column nor a feature"),
        ({"a": {"at_most": 0.0}, "a=w": {"at_least": 0.5}}, "at least 0.5 and at most 0, as asked of 'a=w'"),
        ({"k": {"at_most": 0.0}}, r"'k' \(at_most 0\) has one level only"),
    ],
)
def test_bounds_that_the_columns_do_not_bear_out_are_refused(attempt, bounds, reason):
    rows = [("v" if i % 3 else "w", "only", i % 2, "no" if i % 5 else "yes") for i in range(40)]
    with pytest.raises(PermanentError, match=reason) as refused:
        run(attempt, rows, "a,k,b,y", model={"bounds": bounds})
    assert refused.value.code == "bad_data"


def test_more_than_two_classes_need_a_penalty_for_bounds():
    with pytest.raises(PermanentError, match="only differences between classes are determined"):
        train(data=WINE, model={"non_negative": True})


# --- what is said of the estimates


def test_where_no_bound_is_active_all_is_as_without_them():
    bounds = {"sex": {"at_most": 1e9}, "bmi": {"at_least": 0}}
    bounded, _ = train(data=DIABETES, model={"family": "gaussian", "bounds": bounds})
    free, _ = train(data=DIABETES, model={"family": "gaussian"})
    for own, other in zip(bounded["coefficients"], free["coefficients"], strict=True):
        assert list(own) == list(other)
        assert [*own.values()][1:] == pytest.approx([*other.values()][1:], rel=1e-9)
    assert (bounded["inference"]["withheld"], bounded["inference"]["method"]) == (None, "hessian")
    for name in ("df", "aic", "r_squared"):
        assert bounded["inference"][name] == pytest.approx(free["inference"][name], rel=1e-9)
    assert bounded["certificate"]["condition_number"] == pytest.approx(free["certificate"]["condition_number"])


def test_where_a_bound_is_active_standard_errors_are_withheld_and_say_why():
    result, attempt = train(data=CANCER, model={"non_negative": True})
    assert result["outcome"] == "converged"
    assert "held at a bound" in result["inference"]["withheld"]
    assert result["inference"]["aic"] is None
    assert all("std_error" not in c for c in result["coefficients"])
    assert (result["certificate"]["minimum_exists"], result["separation"]) == (True, None)
    assert result["certificate"]["method"] == "newton_decrement"
    assert attempt.warnings == {}


def test_float32_by_name_is_bounded_too():
    result, _ = train(data=CANCER, model={"non_negative": True}, penalty={"l2": 0.01}, dtype="float32")
    exact, _ = train(data=CANCER, model={"non_negative": True}, penalty={"l2": 0.01})
    assert result["objective"] == pytest.approx(exact["objective"], rel=1e-6)
    assert bounds_of(result) == bounds_of(exact)


# --- separation

U = drawn(0)
APART = [(a, b, "yes" if a > 0.1 else "no") for a, b, _ in U]
ALMOST = [(int(a > 0.8), b, "yes" if a > 0.8 or b + c > 0 else "no") for a, b, c in U]
COUNTS = [(int(a > 0.8), b, 0 if a > 0.8 else int(3 * abs(c))) for a, b, c in U]


@pytest.mark.parametrize(
    ("rows", "model"),
    [
        (APART, {"non_negative": True}),
        (APART, {"bounds": {"b": {"at_least": 1.0, "at_most": 2.0}}}),
        (ALMOST, {"non_negative": True}),
        (ALMOST, {"bounds": {"b": {"at_most": 0.2}}}),
        (COUNTS, {"family": "poisson", "bounds": {"b": {"at_least": 0.2}}}),
    ],
)
def test_bounds_that_leave_a_way_to_separate_the_rows_leave_no_minimum(attempt, rows, model):
    result = run(attempt, rows, model=model)
    certificate = result["certificate"]
    assert (result["outcome"], certificate["converged"], certificate["minimum_exists"]) == ("separated", False, False)
    assert certificate["relative_gap"] is None
    assert "infinite" in result["inference"]["withheld"]
    assert "within the bounds" in attempt.warnings["separable"]
    assert "on_separation" not in result["advice"], "neither firth nor ridge keeps bounds"
    if "family" not in model:
        with pytest.raises(PermanentError, match="within the bounds") as refused:
            run(attempt, rows, model=model, on_separation="error")
        assert refused.value.code == "separated"


@pytest.mark.parametrize(
    ("rows", "model"),
    [
        (APART, {"bounds": {"a": {"at_most": 0.0}}}),
        (APART, {"bounds": {"a": {"at_most": 3.0}}}),
        (ALMOST, {"bounds": {"a": {"at_most": 2.0}}}),
        (COUNTS, {"family": "poisson", "non_negative": True}),
    ],
)
def test_bounds_that_forbid_to_separate_the_rows_leave_a_minimum(attempt, rows, model):
    result = run(attempt, rows, model=model, on_separation="warn" if "family" in model else "error")
    certificate = result["certificate"]
    assert (result["outcome"], certificate["minimum_exists"]) == ("converged", True)
    assert certificate["relative_gap"] < 1e-10
    assert bounds_of(result)[0] is not None
    assert "separable" not in attempt.warnings


def test_two_sided_bounds_far_away_are_not_taken_for_infinite_estimates(attempt):
    far = {"at_least": -1e4, "at_most": 1e4}
    result = run(attempt, APART, model={"bounds": {"a": far, "b": far}})
    assert result["certificate"]["minimum_exists"] is True
    assert result["separation"] is None
    assert "hold back" in result["inference"]["withheld"]


def test_collinear_columns_within_bounds_converge_and_are_named(attempt):
    rows = [(b, 1, b, "yes" if a + b + c > 0 else "no") for a, b, c in U]
    inside = run(attempt, rows, "a,k,b,y", model={"bounds": {"b": {"at_least": -50.0}}})
    held = run(attempt, rows, "a,k,b,y", model={"bounds": {"b": {"at_least": 0.5}, "a": {"at_least": 0.9}}})
    assert [inside["outcome"], held["outcome"]] == ["converged", "converged"]
    assert [c.get("undetermined") for c in inside["coefficients"]] == ["collinear", "constant", "collinear"]
    assert held["coefficients"][2]["estimate"] >= 0.5


def test_the_saved_model_keeps_the_bounds(attempt):
    result = run(attempt, APART, model={"bounds": {"a": {"at_most": 0.3}}}, penalty={"l2": 0.001})
    saved = json.loads(attempt.files["model.json"])
    assert [f["coefficients"][0] for f in saved["features"]] == estimates(result)
    assert estimates(result)[0] == 0.3
