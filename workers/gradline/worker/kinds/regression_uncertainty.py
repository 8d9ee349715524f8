"""What a scorecard carries for intervals of predictions: the covariance of the coefficients that it applies.

Features count from their centres in it, as in training, since a covariance about zero loses the digits of columns that
lie far from there.
"""

from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.inference.parameters import scale_without_constants
from gradline.training import Family
from gradline.worker.kinds.regression_doctor import Examination
from gradline.worker.kinds.regression_inference import Errors, Estimates

MAX_PARAMETERS = 200
"""A covariance of so many takes half a megabyte of JSON."""
MULTINOMIAL = "a probability of one of several classes has no interval here; two classes have"
COLLINEAR = (
    "columns depend on one another, so that the rows determine their coefficients together only, and not what other "
    "rows would be predicted; leave out those that `collinearity` names"
)
OVERFLOWN = "the covariance of the coefficients is no number in float64"


def uncertainty_of(prepared: Prepared, fit: Examination, estimates: Estimates) -> dict[str, Any]:
    """As `gradline.scoring` describes it."""
    if estimates.errors is None:
        return {"withheld": estimates.block["withheld"]}
    if prepared.train.family == Family.MULTINOMIAL:
        return {"withheld": MULTINOMIAL}
    if (q := prepared.train.p) > MAX_PARAMETERS:
        return {"withheld": f"a model keeps the covariance of up to {MAX_PARAMETERS} parameters, and this one has {q}"}
    if not _is_determined(fit, estimates):
        return {"withheld": COLLINEAR}
    covariance_mm = _covariance(prepared, fit, estimates.errors)
    if not bool(covariance_mm.isfinite().all()):
        return {"withheld": OVERFLOWN}
    return {
        "withheld": None,
        "df": estimates.errors.df,
        "variance": estimates.errors.variance,
        "centres": prepared.preprocessing.centre_d.tolist(),
        "covariance": [row[: i + 1] for i, row in enumerate(covariance_mm.tolist())],
    }


def _is_determined(fit: Examination, estimates: Estimates) -> bool:
    """Constant columns aside, whose coefficients are held at 0."""
    assert estimates.tests is not None  # noqa: S101  errors come with tests
    is_missing_m = estimates.tests.table.std_error_m.isnan()
    is_missing_m[fit.constant] = False
    return not bool(is_missing_m.any())


def _covariance(prepared: Prepared, fit: Examination, errors: Errors) -> Tensor:
    """Of the coefficients of features less their centres, and last of the intercept: zeros where there is none."""
    problem, scale_d = prepared.train, prepared.preprocessing.scale_d
    map_mp = torch.eye(len(scale_d) + 1, problem.p, dtype=torch.float64)
    map_mp[:-1] /= scale_d.unsqueeze(1)
    map_mp = map_mp.to(errors.covariance_qq.device)
    if fit.constant:
        map_mp = scale_without_constants(problem, map_mp, fit.constant)
    return map_mp @ errors.covariance_qq @ map_mp.T
