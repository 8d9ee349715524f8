"""Estimates with their standard errors, tests and intervals (Wald 1943).

Two-sided p-values and intervals are from the normal distribution, and from Student's t where the variance of the target
is estimated from its residuals (gaussian).

Shapes: m functionals of the parameters, q free parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Table(NamedTuple):
    """One entry for each functional; NaN where the rows do not determine it."""

    estimate_m: Tensor
    std_error_m: Tensor
    statistic_m: Tensor
    """Estimate over standard error."""
    p_value_m: Tensor
    low_m: Tensor
    high_m: Tensor


class Reference(NamedTuple):
    """The distribution of an estimate over its standard error where the true value is 0."""

    df: float | None
    """Degrees of freedom of Student's t; None: the normal distribution."""

    def two_sided(self, statistic_m: Tensor) -> Tensor:
        if self.df is None:
            return torch.special.erfc(statistic_m.abs() / 2**0.5)
        if self.df <= 0:
            return torch.full_like(statistic_m, torch.nan)
        from scipy.special import stdtr  # noqa: PLC0415  takes half a second, and only gaussian fits need it

        return torch.as_tensor(2 * stdtr(self.df, -statistic_m.abs().cpu().numpy())).to(statistic_m.device)

    def quantile(self, confidence: float) -> float:
        """How many standard errors an interval reaches to each side."""
        if self.df is None:
            return float(torch.special.ndtri(torch.tensor((1 + confidence) / 2, dtype=torch.float64)))
        if self.df <= 0:
            return float("nan")
        from scipy.special import stdtrit  # noqa: PLC0415

        return float(stdtrit(self.df, (1 + confidence) / 2))

    def joint(self, statistic: Tensor, df: Tensor) -> Tensor:
        """Chance of a larger sum of `df` squares of such ratios, each of them independent; NaN where there is none.

        The sum is chi-squared; where the variance is estimated, its mean square has Fisher's F distribution.
        """
        if self.df is None:
            return chi_square_tail(statistic, df)
        if self.df <= 0:
            return torch.full_like(statistic, torch.nan)
        from scipy.special import fdtrc  # noqa: PLC0415

        tail = fdtrc(df.cpu().numpy(), self.df, (statistic / df).cpu().numpy())
        return torch.as_tensor(tail).to(statistic.device)


def wald_table(
    functional_mq: Tensor,
    theta_q: Tensor,
    covariance_qq: Tensor,
    is_determined_m: Tensor,
    reference: Reference,
    confidence: float,
) -> Table:
    estimate_m = functional_mq @ theta_q
    return delta_table(estimate_m, functional_mq, covariance_qq, is_determined_m, reference, confidence)


def delta_table(
    estimate_m: Tensor,
    jacobian_mq: Tensor,
    covariance_qq: Tensor,
    is_determined_m: Tensor,
    reference: Reference,
    confidence: float,
) -> Table:
    """Of functions of the parameters with these derivatives, by the delta method (Greene 2018, section 4.6)."""
    variance_m = ((jacobian_mq @ covariance_qq) * jacobian_mq).sum(1)
    std_error_m = torch.where(is_determined_m, variance_m.clamp(min=0.0).sqrt(), torch.nan)
    statistic_m = estimate_m / std_error_m
    reach_m = reference.quantile(confidence) * std_error_m
    p_value_m = reference.two_sided(statistic_m)
    return Table(estimate_m, std_error_m, statistic_m, p_value_m, estimate_m - reach_m, estimate_m + reach_m)


def chi_square_tail(statistic: Tensor, df: float | Tensor) -> Tensor:
    """Chance of a larger value."""
    half = torch.as_tensor(df / 2, dtype=torch.float64, device=statistic.device)
    return torch.special.gammaincc(half, statistic.clamp(min=0.0) / 2)


def f_tail(statistic: float, df_model: float, df_residual: float) -> float:
    """Chance of a larger F."""
    from scipy.special import fdtrc  # noqa: PLC0415

    return float(fdtrc(df_model, df_residual, statistic))
