"""How well a model fits as a whole: likelihoods, information criteria, deviances, and tests against the null model.

The null model has the intercept and the offset only; without an intercept it predicts 0 on the scale of z. Parameters
are counted as statsmodels does: the coefficients that the rows determine, without the variance of a gaussian target.

Shapes: n rows, k outputs.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Likelihood
from gradline.inference.newton import minimise
from gradline.inference.wald import chi_square_tail, f_tail
from gradline.training import Family, Problem, null_parameters


class LeastSquares(NamedTuple):
    """What only a gaussian fit has."""

    sigma: float
    r_squared: float
    adjusted_r_squared: float
    f_statistic: float
    f_p_value: float


class Summary(NamedTuple):
    n_observations: float
    """The sum of the weights."""
    df_model: int
    df_residual: float
    log_likelihood: float
    null_log_likelihood: float
    deviance: float
    null_deviance: float
    pearson_chi2: float
    likelihood_ratio: float
    likelihood_ratio_p_value: float
    aic: float
    bic: float
    mcfadden_r_squared: float
    dispersion: float
    """Pearson's statistic over the residual degrees of freedom; the variance of a gaussian target."""
    least_squares: LeastSquares | None


def summarise(likelihood: Likelihood, theta_q: Tensor, value: float, n_determined: int) -> Summary:
    """`value`: V at theta; `n_determined`: parameters that the rows determine."""
    problem, n = likelihood.problem, likelihood.n_weighed
    pearson = _pearson(likelihood, theta_q, value)
    null_value = null_value_of(problem)
    log_l, null_log_l = _log_likelihood(likelihood, value), _log_likelihood(likelihood, null_value)
    n_null = likelihood.f if problem.has_intercept else 0
    ratio, df_model = 2 * (log_l - null_log_l), n_determined - n_null
    return Summary(
        n_observations=n,
        df_model=df_model,
        df_residual=n - n_determined,
        log_likelihood=log_l,
        null_log_likelihood=null_log_l,
        deviance=2 * value,
        null_deviance=2 * null_value,
        pearson_chi2=pearson,
        likelihood_ratio=ratio,
        likelihood_ratio_p_value=_tail(ratio, df_model),
        aic=2 * n_determined - 2 * log_l,
        bic=math.log(n) * n_determined - 2 * log_l,
        mcfadden_r_squared=_divided(null_log_l - log_l, null_log_l),
        dispersion=_divided(pearson, n - n_determined),
        least_squares=_least_squares(value, null_value, n, n_null, n_determined)
        if problem.family == Family.GAUSSIAN
        else None,
    )


def null_value_of(problem: Problem) -> float:
    """V of the model without features."""
    # Without an intercept a column of zeros stands in, so that theta does not matter.
    x_n1 = torch.full_like(problem.y_nk[:, :1], float(problem.has_intercept))
    alone = replace(problem, x_np=x_n1, has_intercept=True, implies_ones=False)
    null, mean_k = Likelihood(alone), problem.mean_of(problem.y_nk)
    if not problem.has_intercept or problem.offset_n1 is not None:
        start_1q = _null_start(alone, mean_k)
        if not problem.has_intercept:
            return float(null.value(start_1q))
        return float(minimise(null, start_1q).evaluation.value_b)
    if problem.family.is_classification:
        share_c = mean_k if len(mean_k) > 1 else torch.cat((1 - mean_k, mean_k))
        return -null.n_weighed * float(torch.xlogy(share_c, share_c).sum())
    return float(null.value(_null_start(alone, mean_k)))


def _null_start(alone: Problem, mean_k: Tensor) -> Tensor:
    """theta_1q that predicts the mean of the target; without an offset that is the minimum of numbers."""
    if alone.family == Family.MULTINOMIAL:
        return mean_k.new_zeros(1, len(mean_k) - 1)
    return mean_k.unsqueeze(0) if alone.family == Family.GAUSSIAN else null_parameters(alone)[:, 0]


def _pearson(likelihood: Likelihood, theta_q: Tensor, value: float) -> float:
    """sum_n w_n (y - mean)^2 / C of numbers; classes, whose rows are seen once each, have none that says anything."""
    if likelihood.problem.family == Family.GAUSSIAN:
        return 2 * value
    if likelihood.problem.family != Family.POISSON:
        return math.nan
    pearson = 0.0
    for block in likelihood.blocks(theta_q.unsqueeze(0)):
        share_rb = (block.residual_rbf.square() / block.mean_rbf).sum(2)
        pearson += float((share_rb * block.weight_rb).sum())
    return pearson


def _log_likelihood(likelihood: Likelihood, value: float) -> float:
    problem, n = likelihood.problem, likelihood.n_weighed
    if problem.family == Family.GAUSSIAN:
        mean_square = 2 * value / n
        return -n / 2 * (math.log(2 * math.pi * mean_square) + 1) if mean_square > 0 else math.inf
    if problem.family != Family.POISSON:
        return -value
    y_n1 = problem.y_nk.double()
    saturated_n1 = torch.xlogy(y_n1, y_n1) - y_n1 - torch.lgamma(y_n1 + 1)
    weight_n1 = 1.0 if problem.weight_nb is None else problem.weight_nb[:, :1].double()
    return float((saturated_n1 * weight_n1).sum()) - value


def _least_squares(value: float, null_value: float, n: float, n_null: int, n_determined: int) -> LeastSquares:
    df_model, df_residual = n_determined - n_null, n - n_determined
    unexplained = _divided(value, null_value)
    f_statistic = _divided(_divided(null_value - value, df_model), _divided(value, df_residual))
    return LeastSquares(
        sigma=math.sqrt(_divided(2 * value, max(df_residual, 0.0))),
        r_squared=1 - unexplained,
        adjusted_r_squared=1 - unexplained * _divided(n - n_null, max(df_residual, 0.0)),
        f_statistic=f_statistic,
        f_p_value=f_tail(f_statistic, df_model, df_residual),
    )


def _tail(ratio: float, df: int) -> float:
    return float(chi_square_tail(torch.tensor(ratio, dtype=torch.float64), df)) if df > 0 else math.nan


def _divided(part: float, whole: float) -> float:
    """NaN where the whole is not positive or negative."""
    return part / whole if whole != 0 else math.nan
