"""Every measure against scikit-learn, with weights, and under many weightings at once."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gradline.evaluation import classes, numbers


def rows(seed: int, n: int, n_classes: int, decimals: int) -> tuple[np.ndarray, ...]:
    """Probabilities with ties, predicted classes, classes and weights."""
    rng = np.random.default_rng(seed)
    raw = np.round(rng.dirichlet(np.ones(n_classes), n), decimals) + 10.0**-decimals
    probability = raw / raw.sum(1, keepdims=True)
    actual = rng.integers(n_classes, size=n)
    actual[:n_classes] = range(n_classes)
    return probability, probability.argmax(1), actual, rng.integers(1, 4, n).astype(float)


def ours(probability: np.ndarray, predicted: np.ndarray, actual: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    weight_n1 = torch.tensor(weight).unsqueeze(1)
    found = classes.measures(said(probability, predicted, actual), torch.tensor(actual), weight_n1).overall
    return {name: value.item() for name, value in found.items()}


def said(probability: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> classes.Predicted:
    own = probability[np.arange(len(actual)), actual]
    chances = torch.tensor(probability)
    return classes.Predicted(chances, -torch.tensor(own).log(), torch.tensor(predicted), chances)


def ks_of(is_positive: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    false_rate, true_rate, _ = sk.roc_curve(is_positive, score, sample_weight=weight, drop_intermediate=False)
    return float((true_rate - false_rate).max())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(8, 60), decimals=st.integers(1, 3))
def test_two_classes_measure_as_in_scikit_learn(seed: int, n: int, decimals: int) -> None:
    p, predicted, actual, w = rows(seed, n, 2, decimals)
    expected = {
        "log_loss": sk.log_loss(actual, p, sample_weight=w),
        "accuracy": sk.accuracy_score(actual, predicted, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(actual, predicted, sample_weight=w),
        "precision": sk.precision_score(actual, predicted, sample_weight=w, zero_division=0),
        "recall": sk.recall_score(actual, predicted, sample_weight=w),
        "f1": sk.f1_score(actual, predicted, sample_weight=w, zero_division=0),
        "brier": sk.brier_score_loss(actual, p[:, 1], sample_weight=w),
        "roc_auc": sk.roc_auc_score(actual, p[:, 1], sample_weight=w),
        "pr_auc": sk.average_precision_score(actual, p[:, 1], sample_weight=w),
        "ks": ks_of(actual, p[:, 1], w),
        "mcc": sk.matthews_corrcoef(actual, predicted, sample_weight=w),
    }
    found = ours(p, predicted, actual, w)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(12, 60), n_classes=st.integers(3, 5))
def test_more_classes_measure_as_in_scikit_learn(seed: int, n: int, n_classes: int) -> None:
    p, predicted, actual, w = rows(seed, n, n_classes, 2)
    macro = {"sample_weight": w, "average": "macro", "zero_division": 0}
    one_hot = np.eye(n_classes)[actual]
    expected = {
        "log_loss": sk.log_loss(actual, p, sample_weight=w),
        "accuracy": sk.accuracy_score(actual, predicted, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(actual, predicted, sample_weight=w),
        "precision": sk.precision_score(actual, predicted, **macro),
        "recall": sk.recall_score(actual, predicted, **macro),
        "f1": sk.f1_score(actual, predicted, **macro),
        "brier": np.average(((p - one_hot) ** 2).sum(1), weights=w),
        "roc_auc": sk.roc_auc_score(actual, p, sample_weight=w, multi_class="ovr", labels=range(n_classes)),
        "pr_auc": sk.average_precision_score(one_hot, p, sample_weight=w),
        "ks": np.mean([ks_of(actual == c, p[:, c], w) for c in range(n_classes)]),
        "mcc": sk.matthews_corrcoef(actual, predicted, sample_weight=w),
    }
    found = ours(p, predicted, actual, w)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("predicted", "actual", "expected"),
    [
        ([1, 1, 1, 1], [0, 1, 1, 0], 0.0),
        ([0, 1, 1, 0], [1, 1, 1, 1], 0.0),
        ([0, 1, 2, 2], [0, 1, 2, 2], 1.0),
        ([1, 0, 0], [0, 1, 1], -1.0),
    ],
)
def test_the_correlation_of_classes_ends_at_one_and_is_none_where_one_is_constant(
    predicted: list[int], actual: list[int], expected: float
) -> None:
    weight_nr = torch.tensor([[1.0, 0.1], [1.0, 0.7], [1.0, 0.3], [1.0, 1e-9]], dtype=torch.float64)[: len(actual)]
    confusion_rcc = classes.confusion(torch.tensor(predicted), torch.tensor(actual), weight_nr, 3)
    assert classes.mcc(confusion_rcc).tolist() == [expected, expected]


def test_a_rare_class_among_very_many_rows_keeps_the_digits_of_its_correlation() -> None:
    n, right, wrong, missed = 10**12, 3, 2, 1
    confusion_rcc = torch.tensor([[[n, wrong], [missed, right]]], dtype=torch.float64)
    exact = (right * n - wrong * missed) / (math.isqrt(5 * 4 * (n + 2) * (n + 1) * 10**20) / 10**10)
    assert classes.mcc(confusion_rcc).item() == pytest.approx(exact, rel=1e-14)


def test_scores_that_rank_the_wrong_way_round_are_not_ahead() -> None:
    p = np.array([[0.1, 0.9], [0.4, 0.6], [0.6, 0.4], [0.9, 0.1]])
    found = ours(p, p.argmax(1), np.array([0, 0, 1, 1]), np.ones(4))
    assert (found["ks"], found["mcc"]) == (0.0, -1.0)


def test_the_calibration_error_is_the_mean_gap_in_ten_bins() -> None:
    p, predicted, actual, w = rows(3, 500, 2, 3)
    expected = 0.0
    for low in np.arange(10) / 10:
        here = (p[:, 1] >= low) & ((p[:, 1] < low + 0.1) | (low == 0.9))
        expected += abs((w[here] * (actual[here] - p[here, 1])).sum()) / w.sum()
    assert ours(p, predicted, actual, w)["calibration_error"] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(3, 60))
def test_numbers_measure_as_in_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, target, w = rng.gamma(2, size=n), rng.poisson(2, n).astype(float), rng.integers(1, 4, n).astype(float)
    target[:2] = 0, 5
    deviance = 2 * (np.where(target > 0, target * np.log(np.maximum(target, 1) / predicted), 0) - target + predicted)
    told = numbers.Predicted(torch.tensor(predicted), torch.tensor(deviance))
    found = numbers.measures(told, torch.tensor(target), torch.tensor(w).unsqueeze(1))
    expected = {
        "mse": sk.mean_squared_error(target, predicted, sample_weight=w),
        "rmse": sk.root_mean_squared_error(target, predicted, sample_weight=w),
        "mae": sk.mean_absolute_error(target, predicted, sample_weight=w),
        "r2": sk.r2_score(target, predicted, sample_weight=w),
        "deviance": sk.mean_poisson_deviance(target, predicted, sample_weight=w),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-9)


def test_many_weightings_at_once_are_each_as_if_alone() -> None:
    p, predicted, actual, _ = rows(1, 40, 3, 2)
    tensors = said(p, predicted, actual), torch.tensor(actual)
    weight_nr = torch.rand(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = classes.measures(*tensors, weight_nr).overall
    for r in range(6):
        alone = classes.measures(*tensors, weight_nr[:, r : r + 1]).overall
        assert {name: v[r].item() for name, v in together.items()} == pytest.approx(
            {name: v.item() for name, v in alone.items()}, rel=1e-12
        )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(8, 60), n_classes=st.integers(2, 4))
def test_shares_of_counted_rows_are_the_quotients_of_their_counts(seed: int, n: int, n_classes: int) -> None:
    p, predicted, actual, _ = rows(seed, n, n_classes, 2)
    told = classes.measures(said(p, predicted, actual), torch.tensor(actual), torch.ones(n, 1, dtype=torch.float64))
    assert told.overall["accuracy"].item() == (predicted == actual).sum() / n
    for c in range(n_classes):
        right, called, own = ((predicted == c) & (actual == c)).sum(), (predicted == c).sum(), (actual == c).sum()
        assert told.by_class["recall"][0, c].item() == right / own
        assert told.by_class["precision"][0, c].item() == (right / called if called else 0)
        assert told.by_class["f1"][0, c].item() == 2 * right / (called + own)


def test_a_class_without_rows_has_no_area_and_no_part_in_the_means() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    found = ours(p, p.argmax(1), np.array([0, 1, 1]), np.ones(3))
    assert found["recall"] == pytest.approx((1 + 0.5) / 2)
    assert found["roc_auc"] == pytest.approx((1.0 + 1.0) / 2)
    one_class = ours(p[:, :2] / p[:, :2].sum(1, keepdims=True), np.array([0, 1, 0]), np.zeros(3, int), np.ones(3))
    assert np.isnan(one_class["roc_auc"])
    assert np.isnan(one_class["ks"])
