"""Intervals of predictions, from the covariance that a scorecard carries of its coefficients.

Of a row's linear predictor z = x'w + c the standard error is sqrt(u' V u), with the features less their centres, and 1
last, as u. The interval of the mean is z -+ q * error through the inverse link, as statsmodels' `get_prediction` has
it: of two classes of the probability of the second; for log-linear of the geometric mean, exp(z), which is what the
model predicts: of the arithmetic mean the variance decides too. The interval of a new observation is
z -+ q * sqrt(error^2 + variance), for log-linear the exponential of that, which keeps quantiles.

Shapes: n rows, r of them, d features, m = d + 1 parameters.
"""

import math
from functools import lru_cache, reduce
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from gradline.scoring import Encoded, Feature, Numbers, RowFault, RowsRefused, Scorecard

STORED_EARLIER = "the model was stored before the covariance of its coefficients was kept; resubmit its job"
ROWS_AT_ONCE = 4096
MANY_DF = 1000.0
"""From here on the first terms of a series in 1 / df say the quantile of Student's t to the last digits."""
FRACTION_TERMS = 100
FAR_OUT = 1e150
"""A quantile beyond has no square."""


class Intervals(NamedTuple):
    """Of each row."""

    df: float | None
    """Degrees of freedom of Student's t; None: from the normal distribution."""
    std_error_n: Numbers
    """Of the linear predictor."""
    low_n: Numbers
    high_n: Numbers
    """Of the mean, at the confidence asked for."""
    observation_low_n: Numbers | None
    observation_high_n: Numbers | None
    """Of a new observation; None but for gaussian and log-linear."""


def intervals(card: Scorecard, rows: Encoded, z_nk: Numbers, confidence: float) -> Intervals:
    """`z_nk`: the rows' linear predictors. Raises RowsRefused where the model does not know its errors."""
    told = uncertainty_of(card, confidence)
    z_n, error_n = z_nk[:, 0], _std_errors(card, told, rows)
    reach = quantile(confidence, told["df"])

    def ends(spread_n: Numbers) -> tuple[Numbers, Numbers]:
        return _mean(card, z_n - reach * spread_n), _mean(card, z_n + reach * spread_n)

    observed = (None, None) if told["variance"] is None else ends(np.sqrt(error_n**2 + told["variance"]))
    return Intervals(told["df"], error_n, *ends(error_n), *observed)


def uncertainty_of(card: Scorecard, confidence: float) -> dict[str, Any]:
    """What the scorecard says of its coefficients' errors. Raises RowsRefused where that is nothing."""
    told: dict[str, Any] = card.document.get("uncertainty", {"withheld": STORED_EARLIER})
    if told["withheld"] is not None:
        raise RowsRefused([RowFault("interval", confidence, told["withheld"])])
    return told


def _mean(card: Scorecard, z_n: Numbers) -> Numbers:
    response = card.respond(z_n[:, None])
    return response[:, 1] if card.has_classes else response


def _std_errors(card: Scorecard, told: dict[str, Any], rows: Encoded) -> Numbers:
    lower_mm = np.zeros((len(told["covariance"]),) * 2)
    for i, row in enumerate(told["covariance"]):
        lower_mm[i, : i + 1] = row
    covariance_mm, centre_d = lower_mm + np.tril(lower_mm, -1).T, np.array(told["centres"])
    variance_n = np.empty(len(rows.atoms_nj))
    for start in range(0, len(variance_n), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        atoms_rj, codes = rows.atoms_nj[some], [code_n[some] for code_n in rows.codes]
        u_rm = np.ones((len(atoms_rj), len(lower_mm)))
        for d, feature in enumerate(card.features):
            u_rm[:, d] = _values(feature, atoms_rj, codes) - centre_d[d]
        variance_n[some] = ((u_rm @ covariance_mm) * u_rm).sum(1)
    return np.asarray(np.sqrt(variance_n.clip(min=0.0)))


def _values(feature: Feature, atoms_rj: Numbers, codes: list[Any]) -> Numbers:
    has_levels = [codes[i] == code for i, code in feature.codes.items()]
    return reduce(np.multiply, [atoms_rj[:, a] for a in feature.atoms] + has_levels, np.ones(len(atoms_rj)))


# --- quantiles


@lru_cache(256)
def quantile(confidence: float, df: float | None) -> float:
    """How many standard errors an interval reaches to each side: of Student's t, or of the normal distribution where df
    is None."""
    z = -NormalDist().inv_cdf((1 - confidence) / 2)
    if df is None or z == 0.0:
        return z
    return _series(z, df) if df >= MANY_DF else _student(z, 1 - confidence, df)


def _series(z: float, df: float) -> float:
    """Abramowitz and Stegun 1964, 26.7.5."""
    return (
        z
        + (z**3 + z) / (4 * df)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * df**3)
    )


def _student(z: float, tails: float, df: float) -> float:
    """By bisection, from the normal quantile, which lies below."""
    low, high = z, 2 * z
    while _tails(high, df) > tails and high < FAR_OUT:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _tails(middle, df) > tails else (low, middle)
    return high


def _tails(t: float, df: float) -> float:
    """The chance of a larger |t|: the incomplete beta function I_x(df / 2, 1 / 2) at x = df / (df + t^2)."""
    a, whole = df / 2, df + t * t
    x, rest = df / whole, t * t / whole
    log_beta = math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    front = math.exp(a * math.log(x) + math.log(rest) / 2 - log_beta)
    if x < (a + 1) / (a + 2.5):
        return front * _fraction(a, 0.5, x) / a
    return 1 - front * _fraction(0.5, a, rest) * 2


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22) from its far end; it converges fast for x
    below (a + 1) / (a + b + 2)."""
    value = 1.0
    for m in range(FRACTION_TERMS, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1 + even / (1 + odd / value)
    return 1 / (1 - (a + b) * x / (a + 1) / value)
