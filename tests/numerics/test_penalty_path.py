"""The regularisation path: held-out losses and choices, against scikit-learn's own paths over the same folds."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gradline.data.sample import Roles
from gradline.data.split import assign_folds
from gradline.specs.logistic_regression import Split
from gradline.worker.kinds.logistic_regression import drawings
from tests.numerics.attempts import regression_spec, train

DIABETES = {"source": "builtin", "name": "diabetes"}
CANCER = {"source": "builtin", "name": "breast_cancer"}
WINE = {"source": "builtin", "name": "wine"}
TIGHT = {"tolerance": 1e-11}


def test_the_lasso_path_is_that_of_scikit_learn():
    result, _ = train(data=DIABETES, model={"family": "gaussian"}, penalty={"path": {"n_values": 20}}, stop=TIGHT)
    path = result["path"]
    x, y = load_diabetes(return_X_y=True)
    scaled = StandardScaler().fit_transform(x)
    fold_n = assign_folds(Roles(torch.as_tensor(y), None), 5, Split()).numpy()
    folds = [(np.flatnonzero(fold_n != f), np.flatnonzero(fold_n == f)) for f in range(5)]
    strengths = [point["strength"] for point in path["points"]]
    lasso = make_pipeline(StandardScaler(), Lasso(tol=1e-10, max_iter=100_000))
    peer = GridSearchCV(lasso, {"lasso__alpha": strengths}, scoring="neg_mean_squared_error", cv=folds).fit(x, y)
    assert strengths[0] == pytest.approx(np.abs(scaled.T @ (y - y.mean())).max() / len(y), rel=2e-6)
    assert strengths[-1] == pytest.approx(1e-4 * strengths[0])
    losses = -peer.cv_results_["mean_test_score"] / 2
    assert [point["loss"] for point in path["points"]] == pytest.approx(list(losses), rel=1e-6)
    assert path["strength"] == pytest.approx(peer.best_params_["lasso__alpha"])
    assert [c["estimate"] for c in result["coefficients"]] == pytest.approx(
        list(peer.best_estimator_[-1].coef_ / load_diabetes().data.std(0)), rel=1e-4, abs=1e-4
    )


def test_the_number_of_coefficients_grows_as_the_penalty_falls():
    result, _ = train(data=CANCER, penalty={"path": {"n_values": 8, "smallest": 0.01}})
    counts = [point["n_nonzero"] for point in result["path"]["points"]]
    assert counts[0] == 0
    assert counts[-1] > 5
    kept = sum(c["estimate"] != 0 for c in result["coefficients"])
    assert kept == counts[result["path"]["chosen"]]


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize(
    ("data", "family"), [(DIABETES, "gaussian"), (DIABETES, "poisson"), (CANCER, "auto"), (WINE, "auto")]
)
def test_the_largest_strength_makes_every_coefficient_0(data, family, l1_ratio):
    path = {"n_values": 2, "smallest": 0.5, "l1_ratio": l1_ratio}
    result, _ = train(data=data, model={"family": family}, penalty={"path": path}, report={"plots": []})
    assert [point["n_nonzero"] > 0 for point in result["path"]["points"]] == [False, True]


def test_one_standard_error_chooses_a_stronger_penalty_that_is_as_good():
    best, _ = train(data=CANCER, penalty={"path": {"n_values": 15}})
    strong, _ = train(data=CANCER, penalty={"path": {"n_values": 15, "choose": "one_standard_error"}})
    points, at = strong["path"]["points"], strong["path"]["best"]
    assert strong["path"]["best"] == best["path"]["chosen"]
    assert strong["path"]["strength"] > best["path"]["strength"]
    limit = points[at]["loss"] + points[at]["std_error"]
    assert points[strong["path"]["chosen"]]["loss"] <= limit < points[strong["path"]["chosen"] - 1]["loss"]


def test_the_chosen_fit_is_the_fit_of_the_chosen_penalty():
    path = {"n_values": 10, "l1_ratio": 0.0, "smallest": 1e-5}
    result, _ = train(data=CANCER, penalty={"path": path}, stop=TIGHT, split={"folds": 3})
    x, y = load_breast_cancer(return_X_y=True)
    scaled = StandardScaler().fit_transform(x)
    peer = LogisticRegression(C=1 / (result["path"]["strength"] * len(y)), tol=1e-10, max_iter=10_000).fit(scaled, y)
    loss = log_loss(y, peer.predict_proba(scaled)[:, 1])
    assert result["metrics"]["train"]["log_loss"] == pytest.approx(loss, rel=1e-5)
    assert result["path"]["folds"] == result["cross_validation"]["folds"] == 3
    chosen = result["path"]["points"][result["path"]["chosen"]]
    assert result["cross_validation"]["metrics"]["log_loss"]["mean"] == pytest.approx(chosen["loss"], rel=1e-6)


def test_the_coefficients_along_the_path_lie_beside_its_plot():
    fields = {"data": CANCER, "penalty": {"path": {"n_values": 10}}, "stop": TIGHT}
    result, attempt = train(**fields)
    numbers = json.loads(attempt.files["path.json"])
    assert {"path.png"} <= set(drawings(regression_spec(**fields), result))
    assert [point["strength"] for point in result["path"]["points"]] == numbers["strengths"]
    chosen, deviation = result["path"]["chosen"], dict(zip(*deviations(), strict=True))
    estimates = {c["feature"]: c["estimate"] * deviation[c["feature"]] for c in result["coefficients"]}
    lines = {line["feature"]: line["coefficients"] for line in numbers["lines"]}
    assert {name: line[chosen] for name, line in lines.items()} == pytest.approx(estimates, rel=1e-4, abs=1e-4)
    ends = [abs(line["coefficients"][-1]) for line in numbers["lines"]]
    assert ends == sorted(ends, reverse=True)


def deviations() -> tuple[list[str], list[float]]:
    table = load_breast_cancer()
    return list(table.feature_names), list(table.data.std(0))


def test_of_more_coefficients_than_are_kept_those_of_some_strengths_are(monkeypatch):
    monkeypatch.setattr("gradline.worker.kinds.regression_path.MAX_KEPT", 150)
    monkeypatch.setattr("gradline.worker.kinds.regression_path.MAX_LINES", 4)
    result, attempt = train(data=CANCER, penalty={"path": {"n_values": 10, "smallest": 0.01}})
    numbers, strengths = json.loads(attempt.files["path.json"]), [p["strength"] for p in result["path"]["points"]]
    assert numbers["strengths"] == [*strengths[::2], strengths[-1]]
    assert [len(line["coefficients"]) for line in numbers["lines"]] == [6] * 4


def test_a_path_that_ends_before_its_best_point_says_so():
    _, attempt = train(data=CANCER, penalty={"path": {"n_values": 4, "smallest": 0.5}})
    assert "penalty.path.smallest" in attempt.warnings["path_too_short"]
    _, attempt = train(data=CANCER, penalty={"path": {"n_values": 10}})
    assert "path_too_short" not in attempt.warnings


def test_without_a_path_there_is_none():
    assert train(data=CANCER, penalty={"l2": 0.1})[0]["path"] is None
