"""Intervals of predictions, from the covariance that a scorecard carries of its coefficients.

Of a row's linear predictor z = x'w + c the standard error is sqrt(u' V u), with the features less their centres, and 1
last, as u. The interval of the mean is z -+ q * error through the inverse link, as statsmodels' `get_prediction` has
it: of two classes of the probability of the second; for log-linear of the geometric mean, exp(z), which is what the
model predicts: of the arithmetic mean the variance decides too. The interval of a new observation is
z -+ q * sqrt(error^2 + variance), for log-linear the exponential of that, which keeps quantiles.

Shapes: n rows, r of them, d features, m = d + 1 parameters.
"""

from functools import reduce
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from gradline.scoring import Encoded, Feature, Numbers, RowFault, RowsRefused, Scorecard

STORED_EARLIER = "the model was stored before the covariance of its coefficients was kept; resubmit its job"
ROWS_AT_ONCE = 4096


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


def quantile(confidence: float, df: float | None) -> float:
    """How many standard errors an interval reaches to each side: of Student's t, or of the normal distribution where df
    is None."""
    tail = (1 - confidence) / 2
    if df is None:
        return -NormalDist().inv_cdf(tail)
    from scipy.special import stdtrit  # noqa: PLC0415  takes half a second, and only gaussian fits need it

    return -float(stdtrit(df, tail))
