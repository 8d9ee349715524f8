"""The regularisation path: held-out losses and choices, against scikit-learn's own paths over the same folds."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from gradline.data.sample import Roles
from gradline.data.split import assign_folds
from gradline.specs.logistic_regression import Split
from tests.numerics.attempts import train

DIABETES = {"source": "builtin", "name": "diabetes"}
CANCER = {"source": "builtin", "name": "breast_cancer"}
TIGHT = {"tolerance": 1e-11}


def test_the_lasso_path_is_that_of_scikit_learn():
    result, _ = train(data=DIABETES, model={"family": "gaussian"}, penalty={"path": {"n_values": 20}}, stop=TIGHT)
    path = result["path"]
    x, y = load_diabetes(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    fold_n = assign_folds(Roles(torch.as_tensor(y), None), 5, Split()).numpy()
    folds = [(np.flatnonzero(fold_n != f), np.flatnonzero(fold_n == f)) for f in range(5)]
    strengths = [point["strength"] for point in path["points"]]
    peer = LassoCV(alphas=strengths, cv=folds, tol=1e-10, max_iter=100_000).fit(x, y)
    assert strengths[0] == pytest.approx(np.abs(x.T @ (y - y.mean())).max() / len(y), rel=1e-9)
    assert strengths[-1] == pytest.approx(1e-4 * strengths[0])
    assert [point["loss"] for point in path["points"]] == pytest.approx(list(peer.mse_path_.mean(1) / 2), rel=1e-6)
    assert path["strength"] == pytest.approx(peer.alpha_)
    assert [c["estimate"] for c in result["coefficients"]] == pytest.approx(
        list(peer.coef_ / load_diabetes().data.std(0)), rel=1e-4, abs=1e-4
    )


def test_the_number_of_coefficients_grows_as_the_penalty_falls():
    result, _ = train(data=CANCER, penalty={"path": {"n_values": 8, "smallest": 0.01}})
    counts = [point["n_nonzero"] for point in result["path"]["points"]]
    assert counts[0] <= 1, "at the largest strength none, but for rounding"
    assert counts[-1] > 5
    kept = sum(c["estimate"] != 0 for c in result["coefficients"])
    assert kept == counts[result["path"]["chosen"]]


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


def test_without_a_path_there_is_none():
    assert train(data=CANCER, penalty={"l2": 0.1})[0]["path"] is None
