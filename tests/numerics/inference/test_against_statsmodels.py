"""Standard errors, tests and intervals against statsmodels, on the data sets that it carries."""

import numpy as np
import pytest
import statsmodels.api as sm
import torch

from gradline.inference.summary import summarise
from gradline.inference.wald import Table
from gradline.training import Family
from tests.numerics.inference.fits import fit, rotated

RELATIVE = 1e-6


def same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=RELATIVE, atol=1e-12)


def same_table(table: Table, theirs: object) -> None:
    same(table.estimate_m, rotated(theirs.params))
    same(table.std_error_m, rotated(theirs.bse))
    same(table.statistic_m, rotated(theirs.tvalues))
    same(table.p_value_m, rotated(theirs.pvalues))
    same(torch.stack((table.low_m, table.high_m), 1), rotated(theirs.conf_int()))


def logit_data(name: str) -> tuple[np.ndarray, np.ndarray]:
    data = getattr(sm.datasets, name).load_pandas()
    if name == "fair":
        return data.exog.to_numpy(float), (data.endog > 0).to_numpy(int)
    return data.exog.to_numpy(float), data.endog.to_numpy(int)


@pytest.mark.parametrize("name", ["spector", "fair"])
def test_a_binomial_fit_tells_what_logit_tells(name):
    x, y = logit_data(name)
    ours, theirs = fit(x, y, Family.BINOMIAL), sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12, method="newton")
    same_table(ours.table(), theirs)
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    same(
        [summary.log_likelihood, summary.null_log_likelihood, summary.aic, summary.bic, summary.mcfadden_r_squared],
        [theirs.llf, theirs.llnull, theirs.aic, theirs.bic, theirs.prsquared],
    )
    same([summary.likelihood_ratio, summary.likelihood_ratio_p_value], [theirs.llr, theirs.llr_pvalue])


@pytest.mark.parametrize("kind", ["hc0", "hc1"])
def test_robust_errors_of_a_binomial_fit_are_the_sandwich(kind):
    x, y = logit_data("fair")
    theirs = sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12, cov_type="HC0")
    factor = 1.0 if kind == "hc0" else (len(y) / (len(y) - x.shape[1] - 1)) ** 0.5
    same(fit(x, y, Family.BINOMIAL).table(kind).std_error_m, factor * rotated(theirs.bse))


def test_rows_weighed_by_counts_tell_what_a_binomial_glm_of_counts_tells():
    data = sm.datasets.star98.load_pandas()
    x, counts = data.exog.to_numpy(float), data.endog.to_numpy(float)
    theirs = sm.GLM(counts, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-13)
    weight = np.concatenate((counts[:, 0], counts[:, 1]))
    y = np.repeat([1, 0], len(counts))
    ours = fit(np.vstack((x, x)), y, Family.BINOMIAL, weight_n=torch.as_tensor(weight))
    table = ours.table()
    same(table.std_error_m, rotated(theirs.bse))
    np.testing.assert_allclose(table.estimate_m, rotated(theirs.params), rtol=1e-6)


def test_a_multinomial_fit_tells_what_mnlogit_tells_of_each_class_against_the_first():
    data = sm.datasets.anes96.load_pandas()
    x, y = data.exog.to_numpy(float), data.endog.to_numpy(int)
    ours, theirs = fit(x, y, Family.MULTINOMIAL), sm.MNLogit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    table, k = ours.table(is_contrast=True), 7
    for ours_m, theirs_pk in (
        (table.estimate_m, theirs.params),
        (table.std_error_m, theirs.bse),
        (table.p_value_m, theirs.pvalues),
    ):
        same(ours_m.view(k - 1, -1).T, rotated(theirs_pk))
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    same(
        [summary.log_likelihood, summary.null_log_likelihood, summary.aic, summary.bic, summary.df_model],
        [theirs.llf, theirs.llnull, theirs.aic, theirs.bic, theirs.df_model],
    )


def test_classes_on_the_sum_to_zero_gauge_differ_as_the_contrasts_do():
    data = sm.datasets.anes96.load_pandas()
    x, y = data.exog.to_numpy(float), data.endog.to_numpy(int)
    ours = fit(x, y, Family.MULTINOMIAL)
    estimate_kp = ours.table().estimate_m.view(7, -1)
    same(estimate_kp[1:] - estimate_kp[:1], ours.table(is_contrast=True).estimate_m.view(6, -1))
    np.testing.assert_allclose(estimate_kp.sum(0), 0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["cpunish", "randhie"])
def test_a_poisson_fit_tells_what_glm_tells(name):
    data = getattr(sm.datasets, name).load_pandas()
    x, y = data.exog.to_numpy(float), data.endog.to_numpy(float)
    theirs = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit(tol=1e-14, tol_criterion="params")
    ours = fit(x, y, Family.POISSON)
    same_table(ours.table(), theirs)
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    same(
        [summary.log_likelihood, summary.deviance, summary.null_deviance, summary.pearson_chi2, summary.aic],
        [theirs.llf, theirs.deviance, theirs.null_deviance, theirs.pearson_chi2, theirs.aic],
    )


def test_a_poisson_fit_takes_exposure_as_an_offset():
    data = sm.datasets.cpunish.load_pandas()
    x, y = data.exog.to_numpy(float), data.endog.to_numpy(float)
    x, exposure = x[:, 1:], x[:, 0] / 1e4
    theirs = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson(), exposure=exposure).fit(tol=1e-14)
    ours = fit(x, y, Family.POISSON, offset_n=torch.as_tensor(np.log(exposure)))
    same_table(ours.table(), theirs)
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    same([summary.deviance, summary.null_deviance], [theirs.deviance, theirs.null_deviance])


def least_squares() -> tuple[np.ndarray, np.ndarray]:
    data = sm.datasets.statecrime.load_pandas()
    return data.exog.to_numpy(float)[:, :4], data.endog.to_numpy(float)


@pytest.mark.parametrize("kind", ["hessian", "hc0", "hc1", "hc2", "hc3"])
def test_a_gaussian_fit_tells_what_ols_tells(kind):
    x, y = least_squares()
    theirs = sm.OLS(y, sm.add_constant(x)).fit()
    ours = fit(x, y, Family.GAUSSIAN)
    same_table(ours.table(kind), theirs if kind == "hessian" else theirs.get_robustcov_results(kind.upper()))


def test_the_summary_of_a_gaussian_fit_is_that_of_ols():
    x, y = least_squares()
    theirs, ours = sm.OLS(y, sm.add_constant(x)).fit(), fit(x, y, Family.GAUSSIAN)
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    squares = summary.least_squares
    assert squares is not None
    same(
        [summary.log_likelihood, summary.aic, summary.bic, squares.r_squared, squares.adjusted_r_squared],
        [theirs.llf, theirs.aic, theirs.bic, theirs.rsquared, theirs.rsquared_adj],
    )
    same(
        [squares.f_statistic, squares.f_p_value, squares.sigma**2, summary.df_residual],
        [theirs.fvalue, theirs.f_pvalue, theirs.mse_resid, theirs.df_resid],
    )


def test_without_an_intercept_a_gaussian_fit_is_that_of_ols():
    x, y = least_squares()
    theirs, ours = sm.OLS(y, x).fit(), fit(x, y, Family.GAUSSIAN, has_intercept=False)
    same(ours.table().std_error_m, theirs.bse)
    summary = summarise(ours.likelihood, ours.theta_q, ours.value, len(ours.theta_q))
    assert summary.least_squares is not None
    same(summary.least_squares.r_squared, theirs.rsquared)


LONGLEY_CERTIFIED = {
    "estimate": [
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
        -3482258.63459582,
    ],
    "std_error": [
        84.9149257747669,
        0.334910077722432e-01,
        0.488399681651699,
        0.214274163161675,
        0.226073200069370,
        455.478499142212,
        890420.383607373,
    ],
    "sigma": 304.854073561965,
    "r_squared": 0.995479004577296,
    "f_statistic": 330.285339234588,
}
"""NIST StRD, Longley (1967)."""


def test_longley_has_the_values_that_nist_certifies():
    data = sm.datasets.longley.load_pandas()
    ours = fit(data.exog.to_numpy(float), data.endog.to_numpy(float), Family.GAUSSIAN)
    table = ours.table()
    np.testing.assert_allclose(table.estimate_m, LONGLEY_CERTIFIED["estimate"], rtol=1e-9)
    np.testing.assert_allclose(table.std_error_m, LONGLEY_CERTIFIED["std_error"], rtol=1e-9)
    squares = summarise(ours.likelihood, ours.theta_q, ours.value, 7).least_squares
    assert squares is not None
    np.testing.assert_allclose(
        [squares.sigma, squares.r_squared, squares.f_statistic],
        [LONGLEY_CERTIFIED[name] for name in ("sigma", "r_squared", "f_statistic")],
        rtol=1e-9,
    )
