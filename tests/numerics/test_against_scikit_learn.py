"""Fits and measures against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gradline.training import evaluation
from tests.numerics.attempts import train

LOADERS = {"breast_cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine}


def table(result, n_classes):
    weights = np.array([c["estimate"] for c in result["coefficients"]])
    biases = np.array([c["estimate"] for c in result["intercepts"]])
    return (weights.reshape(1, -1), biases) if n_classes == 2 else (weights.reshape(n_classes, -1), biases)


@pytest.mark.parametrize("l2", [1e-3, 0.1])
@pytest.mark.parametrize("name", LOADERS)
def test_lbfgs_finds_the_coefficients_of_scikit_learn(name: str, l2: float):
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


def test_fista_finds_the_sparse_coefficients_of_scikit_learn():
    x, y = load_breast_cancer(return_X_y=True)
    scaler, l1 = StandardScaler().fit(x), 0.02
    theirs = LogisticRegression(
        C=1 / (l1 * len(y)), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=100_000, random_state=0
    ).fit(scaler.transform(x), y)
    result, _ = train(
        data={"source": "builtin", "name": "breast_cancer"},
        penalty={"l1": l1},
        stop={"max_steps": 20_000, "tolerance": 1e-10},
    )
    assert result["outcome"] == "converged"
    assert result["solver"] == "fista"
    weights, _ = table(result, 2)
    np.testing.assert_allclose(weights * scaler.scale_, theirs.coef_, atol=1e-5)
    assert np.array_equal(weights == 0, theirs.coef_ == 0)
    assert 0 < (weights == 0).sum() < weights.size


def test_the_metrics_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(1)
    n = 400
    z_n = (torch.randn(n, generator=generator, dtype=torch.float64) * 2).round(decimals=1)  # with ties
    class_n = (torch.rand(n, generator=generator) < 0.4).long()
    weight_n = torch.rand(n, generator=generator, dtype=torch.float64)
    share_n = weight_n / weight_n.sum()
    probability_nc = torch.stack((torch.sigmoid(-z_n), torch.sigmoid(z_n)), 1)
    predicted_n = (z_n >= 0).long()
    confusion_cc = evaluation.confusion_matrix(predicted_n, class_n, 2, share_n)
    truth, weight = class_n.numpy(), weight_n.numpy()
    expected = {
        "roc_auc": metrics.roc_auc_score(truth, z_n.numpy(), sample_weight=weight),
        "balanced": metrics.balanced_accuracy_score(truth, predicted_n.numpy(), sample_weight=weight),
        "f1": metrics.f1_score(truth, predicted_n.numpy(), sample_weight=weight),
        "brier": metrics.brier_score_loss(truth, probability_nc[:, 1].numpy(), sample_weight=weight),
    }
    got = {
        "roc_auc": evaluation.roc_auc(z_n, class_n == 1, share_n),
        "balanced": evaluation.balanced_accuracy(confusion_cc),
        "f1": evaluation.f1_score(confusion_cc),
        "brier": evaluation.brier_score(probability_nc, class_n, share_n),
    }
    assert got == pytest.approx(expected, rel=1e-12)
    counts_cc = evaluation.confusion_matrix(predicted_n, class_n, 2)
    assert counts_cc.tolist() == metrics.confusion_matrix(truth, predicted_n.numpy()).tolist()


def test_the_area_under_the_curve_is_unknown_with_one_class():
    share_n = torch.full((3,), 1 / 3, dtype=torch.float64)
    assert evaluation.roc_auc(torch.randn(3), torch.ones(3, dtype=torch.bool), share_n) is None


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
    assert got["brier"] == pytest.approx(((p - np.eye(3)[y]) ** 2).sum(1).mean(), rel=1e-9)
    assert result["classes"] == {"names": ["setosa", "versicolor", "virginica"], "positive": None}
