"""Fits and measures against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.numerics.attempts import train

LOADERS = {"breast_cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine}


def table(result, n_classes):
    weights = np.array([c["estimate"] for c in result["coefficients"]])
    biases = np.array([c["estimate"] for c in result["intercepts"]])
    return (weights.reshape(1, -1), biases) if n_classes == 2 else (weights.reshape(n_classes, -1), biases)


@pytest.mark.parametrize("l2", [1e-3, 0.1])
@pytest.mark.parametrize("name", LOADERS)
def test_auto_finds_the_coefficients_of_scikit_learn(name: str, l2: float):
    x, y = LOADERS[name](return_X_y=True)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-12, max_iter=100_000).fit(scaler.transform(x), y)
    result, _ = train(
        data={"source": "builtin", "name": name}, penalty={"l2": l2}, stop={"max_steps": 5000, "tolerance": 1e-10}
    )
    assert result["outcome"] == "converged"
    weights, biases = table(result, len(theirs.classes_))
    np.testing.assert_allclose(weights * scaler.scale_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(biases + weights @ scaler.mean_, theirs.intercept_, atol=1e-5)


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_a_small_ridge_fit_ends_at_the_last_digits_without_being_told(name: str, solver: str):
    x, y = LOADERS[name](return_X_y=True)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=1 / (0.01 * len(y)), solver="newton-cholesky", tol=1e-14, max_iter=1000)
    theirs.fit(scaler.transform(x), y)
    result, _ = train(data={"source": "builtin", "name": name}, penalty={"l2": 0.01}, solver={"name": solver})
    weights, _ = table(result, len(theirs.classes_))
    error = np.abs(weights * scaler.scale_ - theirs.coef_).max() / np.abs(theirs.coef_).max()
    assert error < 1e-9


@pytest.mark.parametrize("solver", ["proximal-newton", "fista"])
def test_sparse_coefficients_are_those_of_scikit_learn(solver: str):
    x, y = load_breast_cancer(return_X_y=True)
    scaler, l1 = StandardScaler().fit(x), 0.02
    theirs = LogisticRegression(
        C=1 / (l1 * len(y)), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=100_000, random_state=0
    ).fit(scaler.transform(x), y)
    result, _ = train(
        data={"source": "builtin", "name": "breast_cancer"},
        penalty={"l1": l1},
        solver={"name": solver},
        stop={"max_steps": 20_000, "tolerance": 1e-10},
    )
    assert result["outcome"] == "converged"
    assert result["certificate"]["relative_gap"] <= 1e-8
    weights, _ = table(result, 2)
    np.testing.assert_allclose(weights * scaler.scale_, theirs.coef_, atol=1e-5)
    assert np.array_equal(weights == 0, theirs.coef_ == 0)
    assert 0 < (weights == 0).sum() < weights.size


def test_multinomial_metrics_are_those_of_scikit_learn():
    x, y = load_iris(return_X_y=True)
    result, _ = train(
        data={"source": "builtin", "name": "iris"}, penalty={"l2": 0.01}, stop={"max_steps": 1000, "tolerance": 1e-9}
    )
    weights, biases = table(result, 3)
    z = x @ weights.T + biases
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    got = result["metrics"]["train"]
    assert got["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-9)
    assert got["accuracy"] == pytest.approx((p.argmax(1) == y).mean())
    assert got["f1"] == pytest.approx(metrics.f1_score(y, p.argmax(1), average="macro"))
    assert got["mcc"] == pytest.approx(metrics.matthews_corrcoef(y, p.argmax(1)))
    assert got["brier"] == pytest.approx(((p - np.eye(3)[y]) ** 2).sum(1).mean(), rel=1e-9)
    assert result["classes"] == {"names": ["setosa", "versicolor", "virginica"], "positive": None}


def test_the_correlation_and_the_lead_of_two_classes_are_those_of_the_scores_at_the_threshold_in_force():
    x, y = load_breast_cancer(return_X_y=True)
    job = {"data": {"source": "builtin", "name": "breast_cancer"}, "penalty": {"l2": 0.1}}
    result, _ = train(**job, evaluation={"threshold": 0.3})
    weights, biases = table(result, 2)
    z = (x @ weights.T + biases)[:, 0]
    got = result["metrics"]["train"]
    assert got["mcc"] == pytest.approx(metrics.matthews_corrcoef(y, z >= np.log(0.3 / 0.7)))
    assert got["mcc"] != pytest.approx(metrics.matthews_corrcoef(y, z >= 0))
    false_rate, true_rate, _ = metrics.roc_curve(y, z)
    assert got["ks"] == pytest.approx((true_rate - false_rate).max())
    held_out = train(**job, split={"validation_fraction": 0.3})[0]["metrics"]["validation"]
    assert {"mcc", "ks"} <= held_out["intervals"].keys()
