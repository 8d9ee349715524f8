"""What comes of rows in the order of their scores, against scikit-learn: areas, thresholds, tables for curves."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from gradline.evaluation import judge as judging
from gradline.evaluation import tables, threshold
from gradline.evaluation.judge import Judgement, judge
from gradline.evaluation.ordered import LOGISTIC, Array, in_order
from gradline.evaluation.tables import score_table
from gradline.evaluation.threshold import choose_threshold
from gradline.plots.curve_numbers import Scores, calibration, numbers_of
from gradline.training import Family, make_problem

MANY = judging.BLOCK_ROWS + 1003
SHAPES = ["as they come", "rare", "tied", "constant", "certain"]


def two_classes(shape: str, n: int = MANY, seed: int = 0) -> tuple[Array, Array, Array]:
    """Linear predictors, whether rows are positive, and weights, some of them 0."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=n) - (9.0 if shape == "rare" else 1.0)
    is_positive = rng.random(n) < 1 / (1 + np.exp(1 - z if shape == "rare" else -z))
    if shape == "rare":
        is_positive &= rng.random(n) < 0.15
    elif shape == "tied":
        z = np.round(z)
    elif shape == "constant":
        z = np.full(n, -1.0)
    elif shape == "certain":
        z *= 100  # most probabilities are 0 or 1 but for rounding
    return z, is_positive, rng.gamma(0.5, size=n) * (rng.random(n) < 0.9)


def judged(z: Array, is_positive: Array, weight: Array | None, dtype: torch.dtype = torch.float64) -> Judgement:
    x_n1, weight_n = torch.zeros(len(z), 1, dtype=dtype), None if weight is None else torch.from_numpy(weight)
    problem = make_problem(x_n1, torch.from_numpy(is_positive).long(), Family.BINOMIAL, weight_n=weight_n)
    return judge(problem, torch.from_numpy(z).to(dtype).unsqueeze(1))


def ks_of(is_positive: Array, score: Array, weight: Array | None) -> float:
    false_rate, true_rate, _ = sk.roc_curve(is_positive, score, sample_weight=weight, drop_intermediate=False)
    return float((true_rate - false_rate).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_measures_of_many_rows_are_exact(shape: str, is_weighted: bool, dtype: torch.dtype) -> None:
    z, is_positive, weight = two_classes(shape)
    said = judged(z, is_positive, weight if is_weighted else None, dtype)
    assert said.is_in_parts
    score, w = said.z_nk[:, 0].numpy(), weight if is_weighted else None
    found = said.metrics()
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(is_positive, score, sample_weight=w), rel=1e-12)
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(is_positive, score, sample_weight=w), rel=1e-11)
    assert found["ks"] == pytest.approx(ks_of(is_positive, score, w), rel=1e-11)
    (tn, fp), (fn, tp) = sk.confusion_matrix(is_positive, score >= 0, sample_weight=w).tolist()  # whose mcc cancels
    scale = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert found["mcc"] == pytest.approx((tp * tn - fp * fn) / scale if scale else 0, rel=1e-11)


def test_the_lead_of_positive_rows_is_the_one_sided_statistic_of_the_two_samples() -> None:
    z, is_positive, _ = two_classes("tied")
    expected = ks_2samp(z[is_positive], z[~is_positive], alternative="less", method="asymp").statistic
    assert judged(z, is_positive, None).metrics()["ks"] == pytest.approx(expected, rel=1e-14)


def test_the_rare_rows_of_these_tests_are_one_in_ten_thousand() -> None:
    assert 3 <= two_classes("rare")[1].sum() <= 30


@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_measures_of_many_rows_of_more_classes_are_exact(is_weighted: bool, is_constant: bool) -> None:
    rng, n = np.random.default_rng(0), MANY
    z = rng.normal((0, 0, -8), size=(1 if is_constant else 2000, 3))
    z = z[rng.integers(len(z), size=n)]
    p = torch.softmax(torch.from_numpy(z), 1).numpy()
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    y[:2] = 2
    weight = rng.gamma(1, size=n) if is_weighted else None
    weight_n = None if weight is None else torch.from_numpy(weight)
    problem = make_problem(torch.zeros(n, 1), torch.from_numpy(y), Family.MULTINOMIAL, 3, weight_n=weight_n)
    found = judge(problem, torch.from_numpy(z)).metrics()
    for c in range(3):
        rows = {"y_true": y == c, "y_score": p[:, c].round(15), "sample_weight": weight}
        assert found["by_class"]["roc_auc"][c] == pytest.approx(sk.roc_auc_score(**rows), rel=1e-12)
        assert found["by_class"]["pr_auc"][c] == pytest.approx(sk.average_precision_score(**rows), rel=1e-12)
        assert found["by_class"]["ks"][c] == pytest.approx(ks_of(y == c, rows["y_score"], weight), rel=1e-11)
    assert found["roc_auc"] == pytest.approx(np.mean(found["by_class"]["roc_auc"]), rel=1e-12)
    for name in ("pr_auc", "ks"):
        assert found[name] == pytest.approx(np.mean(found["by_class"][name]), rel=1e-12)
    expected = sk.matthews_corrcoef(y, z.argmax(1), sample_weight=weight)
    assert found["mcc"] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("only", [0, 1])
def test_of_one_class_there_are_no_areas_but_that_of_sure_precision(only: int) -> None:
    z, is_positive, _ = two_classes("as they come")
    found = judged(z, np.full_like(is_positive, only), None).metrics()
    assert (found["roc_auc"], found["pr_auc"], found["ks"]) == (None, 1.0 if only else None, None)


@pytest.mark.parametrize("n", [100, MANY])
def test_rounding_does_not_part_equal_rows(n: int) -> None:
    z = np.resize([0.1, 0.3, -2.0], n) * (1 + np.spacing(1.0) * (np.arange(n) % 7))
    is_positive = np.resize([True, False, False, False, True], n)
    found = judged(z, is_positive, None).metrics()
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(is_positive, z.round(9)), rel=1e-12)
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(is_positive, z.round(9)), rel=1e-12)


def test_rows_without_a_score_or_weight_are_in_no_order() -> None:
    rows = in_order(
        np.array([0.3, np.nan, -1.0, 7.0, 2.0]), np.array([1, 1, 0, 0, 1], bool), np.array([1.0, 1.0, 2.0, 0.0, 3.0])
    )
    assert [side.score_m.tolist() for side in rows] == [[0.3, 2.0], [-1.0]]
    assert [side.weight_m.tolist() for side in rows] == [[1.0, 3.0], [2.0]]
    assert rows.positive.weight_from(np.array([-5.0, 0.3, 0.4, 2.5])).tolist() == [4.0, 4.0, 3.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_many_rows_of_any_size_and_sign_are_put_in_order(dtype: type, is_weighted: bool) -> None:
    rng = np.random.default_rng(0)
    z = (rng.normal(size=MANY) * 10.0 ** rng.integers(-30, 30, size=MANY)).astype(dtype)
    z[:6] = np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).tiny / 2
    is_positive, weight = rng.random(MANY) < 0.3, rng.random(MANY) * (rng.random(MANY) < 0.9)
    for side, is_own in zip(
        in_order(z, is_positive, weight if is_weighted else None), (is_positive, ~is_positive), strict=True
    ):
        is_taken = is_own & ~np.isnan(z) & (weight > 0 if is_weighted else True)
        order = np.argsort(z[is_taken], kind="stable")
        assert side.score_m.dtype == dtype
        assert np.array_equal(side.score_m, z[is_taken][order])
        assert np.array_equal(np.sort(side.weight_m), np.sort(weight[is_taken]) if is_weighted else np.empty(0))
        if is_weighted:
            different = z[is_taken] != 0  # the two zeros may change places
            assert np.array_equal(side.weight_m[side.score_m != 0], weight[is_taken][order][different[order]])


def test_rows_are_put_in_order_in_memory_for_two_copies_of_the_scores() -> None:
    z, is_positive, _ = two_classes("as they come")
    tracemalloc.start()
    in_order(z, is_positive)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * z.nbytes


# --- thresholds


TARGETS = [("recall", 0.9), ("recall", 1.0), ("precision", 0.8), ("precision", 1.0), ("f1", None)]


def shares(at: float, p: Array, is_positive: Array, w: Array) -> dict[str, float]:
    """Of what is called with this threshold."""
    called, own = w[p >= at].sum(), w[is_positive].sum()
    true = w[(p >= at) & is_positive].sum()
    return {"recall": true / own, "precision": true / called if called else 0.0, "f1": 2 * true / (called + own)}


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(("metric", "at_least"), TARGETS)
@pytest.mark.parametrize("shape", ["as they come", "tied", "constant"])
def test_a_chosen_threshold_is_the_highest_of_the_best(
    monkeypatch: pytest.MonkeyPatch, shape: str, metric: str, at_least: float | None, is_weighted: bool
) -> None:
    monkeypatch.setattr(threshold, "ROWS_AT_ONCE", 37)
    z, is_positive, weight = two_classes(shape, 300)
    w = weight if is_weighted else np.ones(300)
    p = LOGISTIC.probability(z)
    chosen = choose_threshold(in_order(z, is_positive, w if is_weighted else None), metric, at_least)
    every = {float(t): shares(t, p, is_positive, w) for t in np.unique(p)}
    reached = {t: m for t, m in every.items() if at_least is None or m[metric] >= at_least - 1e-12}
    other = {"recall": "precision", "precision": "recall", "f1": "f1"}[metric] if reached else metric
    best = max(m[other] for m in (reached or every).values())
    highest = max(t for t, m in (reached or every).items() if m[other] >= best - 1e-12)
    assert shares(chosen, p, is_positive, w) == pytest.approx(every[highest])


def test_a_target_out_of_reach_gives_the_nearest() -> None:
    z = LOGISTIC.score(np.array([0.9, 0.8, 0.3]))
    chosen = choose_threshold(in_order(z, np.array([False, True, True])), "precision", 0.99)
    assert 0 < chosen < 0.3  # two of three, the most there is


def test_a_threshold_lies_halfway_between_rows_and_where_thresholds_may_be() -> None:
    p, is_positive = np.array([0.9, 0.6, 0.6, 0.2, 1e-12]), np.array([True, True, False, False, True])
    rows = in_order(LOGISTIC.score(p), is_positive)
    assert choose_threshold(rows, "recall", 0.6) == pytest.approx(0.4)
    assert choose_threshold(rows, "precision", 1.0) == pytest.approx(0.75)
    assert choose_threshold(rows, "recall", 1.0) == pytest.approx(0.4)  # out of reach: no threshold is so low
    certain = in_order(np.array([40.0, 30.0, 25.0]), np.array([True, False, True]))
    assert choose_threshold(certain, "precision", 1.0) == pytest.approx(0.5)  # no threshold parts them


# --- tables


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_score_table_holds_the_curves_of_all_rows(
    monkeypatch: pytest.MonkeyPatch, shape: str, is_weighted: bool
) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 999)
    z, is_positive, weight = two_classes(shape)
    w = weight if is_weighted else np.ones(len(z))
    said = judged(z, is_positive, weight if is_weighted else None)
    scores = Scores.parse(score_table(said.ordered(1, as_they_are=True), said.link))
    assert len(scores.score_s) <= tables.N_SCORES + 2
    assert (np.diff(scores.score_s) <= 0).all()
    p, unit = said.response_nc[:, 1].numpy(), said._unit
    for i in np.flatnonzero(scores.score_s < 1 - 1e-12)[::97]:  # nearer to 1 they are rounded to one another
        called = p >= scores.score_s[i]
        assert scores.positive_s[: i + 1].sum() * unit == pytest.approx(w[called & is_positive].sum(), abs=1e-8), i
        assert scores.negative_s[: i + 1].sum() * unit == pytest.approx(w[called & ~is_positive].sum(), abs=1e-8), i
    found = said.metrics()
    assert scores.roc_auc() == pytest.approx(found["roc_auc"], rel=1e-12)
    assert scores.average_precision() == pytest.approx(found["pr_auc"], rel=1e-12)
    assert numbers_of(scores)["ks"] == pytest.approx(found["ks"], rel=1e-12)
    stepwise = np.trapezoid(scores.true_rate(), scores.false_rate())
    assert stepwise == pytest.approx(found["roc_auc"], abs=1e-3 if shape == "rare" else 2e-5)


def test_the_calibration_of_many_rows_is_that_of_scikit_learn() -> None:
    z, is_positive, _ = two_classes("as they come")
    said = judged(z, is_positive, None)
    bins = calibration(Scores.parse(score_table(said.ordered(1, as_they_are=True), said.link)))
    came, promised = calibration_curve(is_positive, said.response_nc[:, 1].numpy(), n_bins=10)
    np.testing.assert_allclose(bins.came_h, came, rtol=1e-9)
    np.testing.assert_allclose(bins.promised_h, promised, rtol=1e-9)
