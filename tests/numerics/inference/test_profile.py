"""Likelihood intervals and ratio tests against their definition, one slow fit at a time."""

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from gradline.inference.likelihood import Likelihood
from gradline.inference.newton import minimise
from gradline.inference.parameters import contrast_functionals, functionals
from gradline.inference.penalised import FirthLikelihood, firth_minimum
from gradline.inference.profile import profile_intervals, ratio_tests
from gradline.training import Family, make_problem
from tests.numerics.inference.fits import fit


def spector() -> tuple[np.ndarray, np.ndarray]:
    data = sm.datasets.spector.load_pandas()
    return data.exog.to_numpy(float), data.endog.to_numpy(int)


def deviance_held_at(x: np.ndarray, y: np.ndarray, column: int, value: float) -> float:
    """Of a logit model with one coefficient held: statsmodels with an offset."""
    others = np.delete(x, column, 1)
    return -2 * sm.GLM(y, others, family=sm.families.Binomial(), offset=x[:, column] * value).fit(tol=1e-13).llf


def test_the_ends_of_a_profile_interval_are_where_the_deviance_has_risen_to_the_level():
    x, y = spector()
    ours = fit(x, y, Family.BINOMIAL)
    told = profile_intervals(
        ours.likelihood,
        ours.theta_q,
        float(ours.minimum.evaluation.value_b),
        functionals(ours.problem, ours.own_pp),
        0.9,
    )
    design = np.column_stack((x, np.ones(len(y))))
    level = -2 * sm.Logit(y, design).fit(disp=0).llf + chi2.ppf(0.9, 1)
    for column in range(4):
        for end in (told.low_m[column], told.high_m[column]):
            assert deviance_held_at(design, y, column, float(end)) == pytest.approx(level, abs=1e-7)
    assert bool((told.low_m < told.high_m).all())


def test_ratio_tests_are_those_of_the_fits_without_the_column():
    x, y = spector()
    ours = fit(x, y, Family.BINOMIAL)
    told = ratio_tests(
        ours.likelihood, ours.theta_q, float(ours.minimum.evaluation.value_b), functionals(ours.problem, ours.own_pp)
    )
    design = np.column_stack((x, np.ones(len(y))))
    least = -2 * sm.Logit(y, design).fit(disp=0, tol=1e-12).llf
    for column in range(4):
        statistic = deviance_held_at(design, y, column, 0.0) - least
        assert float(told.statistic_m[column]) == pytest.approx(statistic, rel=1e-6)
        assert float(told.p_value_m[column]) == pytest.approx(chi2.sf(statistic, 1), rel=1e-6)


def test_profiles_of_contrasts_between_classes_rise_by_the_level():
    draw = np.random.default_rng(3)
    x = draw.normal(size=(80, 2))
    y = np.array([draw.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in x @ draw.normal(size=(2, 3))])
    ours = fit(x, y, Family.MULTINOMIAL)
    value = float(ours.minimum.evaluation.value_b)
    a_mq = contrast_functionals(ours.problem, ours.own_pp)
    told = profile_intervals(ours.likelihood, ours.theta_q, value, a_mq, 0.95)
    likelihood = Likelihood(ours.problem)
    for m, high in enumerate(told.high_m.tolist()):
        start_q = ours.theta_q + a_mq[m] * (high - float(a_mq[m] @ ours.theta_q)) / float(a_mq[m] @ a_mq[m])
        held = minimise(likelihood, start_q.unsqueeze(0), normal_bq=a_mq[m : m + 1])
        assert float(held.evaluation.value_b) - value == pytest.approx(chi2.ppf(0.95, 1) / 2, abs=1e-7)


def test_firths_estimates_and_intervals_are_those_of_a_slow_optimiser():
    x, y = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]), np.array([0, 0, 0, 1, 1, 1])
    design = np.column_stack((x, np.ones(6)))

    def penalised(theta: np.ndarray) -> float:
        z = design @ theta
        mean = 1 / (1 + np.exp(-z))
        information = (design * (mean * (1 - mean))[:, None]).T @ design
        return float(np.logaddexp(0, z).sum() - y @ z - np.linalg.slogdet(information)[1] / 2)

    def held(slope: float) -> float:
        return float(minimize(lambda c: penalised(np.array([slope, c[0]])), [-2.5 * slope], tol=1e-12).fun)

    slow = minimize(penalised, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    separated = fit(x + np.array([[0.0]]), [0, 1, 0, 1, 0, 1], Family.BINOMIAL, standardize=False)
    problem = separated.problem.__class__(
        separated.problem.x_np, torch.as_tensor(y).double().unsqueeze(1), Family.BINOMIAL, has_intercept=True
    )
    firth = FirthLikelihood(Likelihood(problem))
    ours = minimise(firth, torch.zeros(1, 2, dtype=torch.float64), max_steps=200)
    assert bool(ours.is_converged_b.all())
    np.testing.assert_allclose(ours.theta_bq[0], slow.x, rtol=1e-5)
    least = float(ours.evaluation.value_b)
    told = profile_intervals(firth, ours.theta_bq[0], least, torch.eye(2, dtype=torch.float64)[:1], 0.95)
    level = least + chi2.ppf(0.95, 1) / 2
    assert float(told.low_m) == pytest.approx(brentq(lambda w: held(w) - level, -1.0, slow.x[0]), abs=1e-4)
    assert float(told.high_m) == pytest.approx(brentq(lambda w: held(w) - level, slow.x[0], 60.0), rel=1e-4)


def test_the_end_of_a_bent_profile_is_found():
    draw = np.random.default_rng(11)
    x = draw.normal(size=(150, 2))
    overlapping = fit(x, draw.integers(0, 2, 150), Family.BINOMIAL)
    target_n1 = torch.as_tensor(x[:, :1] > 0).double()
    problem = overlapping.problem.__class__(overlapping.problem.x_np, target_n1, Family.BINOMIAL, has_intercept=True)
    firth = FirthLikelihood(Likelihood(problem))
    ours = minimise(firth, torch.zeros(1, 3, dtype=torch.float64), tolerance=1e-18, max_steps=200)
    least, a_mq = float(ours.evaluation.value_b), torch.eye(3, dtype=torch.float64)[:2]
    told = profile_intervals(firth, ours.theta_bq[0], least, a_mq, 0.95)
    for a_q, low, high in zip(a_mq, told.low_m.tolist(), told.high_m.tolist(), strict=True):
        assert low < float(a_q @ ours.theta_bq[0]) < high
        for end in (low, high):
            start_bq = ours.theta_bq + a_q * (end - float(a_q @ ours.theta_bq[0]))
            held = minimise(firth, start_bq, normal_bq=a_q.unsqueeze(0), tolerance=1e-14, max_steps=2000)
            assert bool(held.is_converged_b.all())
            assert float(held.evaluation.value_b) - least == pytest.approx(chi2.ppf(0.95, 1) / 2, abs=1e-6)


@pytest.mark.parametrize(("family", "n_classes"), [(Family.BINOMIAL, 2), (Family.MULTINOMIAL, 4)])
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_firths_method_ends_where_levels_are_seen_once(family: Family, n_classes: int, weight: float):
    draw = np.random.default_rng(2)
    x = np.column_stack([draw.normal(size=60), *(np.arange(60) == row for row in range(5))]).astype(float)
    y = torch.as_tensor(draw.integers(0, n_classes, 60))
    weights = torch.full((60,), weight, dtype=torch.float64)
    ours = firth_minimum(Likelihood(make_problem(torch.as_tensor(x), y, family, n_classes, weight_n=weights)))
    assert bool(ours.is_converged_b.all())
    assert ours.n_steps < 25
