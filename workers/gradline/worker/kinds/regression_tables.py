"""Writes what is known of the estimates into a result: an entry for each coefficient, and the blocks beside them."""

from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.inference.bootstrap import Replicates
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_doctor import Examination
from gradline.worker.kinds.regression_findings import own_scale, reported_parameters
from gradline.worker.kinds.regression_inference import Estimates, Tests, is_whole

RATIOS = {"binomial": "odds_ratio", "multinomial": "odds_ratio", "poisson": "rate_ratio", "log-linear": "ratio"}
"""What the exponential of a coefficient is called."""


def tell(
    result: dict[str, Any], spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, estimates: Estimates
) -> None:
    """Fills `coefficients` and `intercepts`, and adds `inference`, `separation` and `collinearity`."""
    problem = prepared.train
    entries = _entries(result, problem.k, has_intercept=problem.has_intercept)
    _fill(entries, spec, prepared, fit, estimates)
    block = estimates.block
    if estimates.contrasts is not None:
        assert prepared.classes is not None  # noqa: S101  multinomial
        block = block | {"gauge": "sum_to_zero", "reference_class": prepared.classes[0]}
        block["contrasts"] = _contrasts(spec, prepared, fit, estimates.contrasts)
    result |= {"inference": block, "separation": fit.separation, "collinearity": fit.collinearity}


def _entries(result: dict[str, Any], k: int, *, has_intercept: bool) -> list[dict[str, Any]]:
    """The entries of a result in the order of `functionals`."""
    coefficients, intercepts = result["coefficients"], result["intercepts"]
    d = len(coefficients) // k
    entries = []
    for c in range(k):
        entries += coefficients[c * d : (c + 1) * d] + (intercepts[c : c + 1] if has_intercept else [])
    return entries


def _fill(
    entries: list[dict[str, Any]],
    spec: LogisticRegressionSpec,
    prepared: Prepared,
    fit: Examination,
    estimates: Estimates,
) -> None:
    columns = {} if estimates.tests is None else _columns(spec, estimates.tests)
    if estimates.replicates is not None:
        spread_m, low_m, high_m = _percentiles(spec, prepared, fit, estimates.replicates)
        columns |= {"bootstrap_std_error": spread_m, "bootstrap_ci_low": low_m, "bootstrap_ci_high": high_m}
        if estimates.tests is None:
            columns |= {"ci_low": low_m, "ci_high": high_m}
    numbers = {name: column.tolist() for name, column in columns.items()}
    ratio = RATIOS.get(_family_name(spec, prepared)) if prepared.train.k == 1 else None
    for m, entry in enumerate(entries):
        entry |= {name: finite(column[m]) for name, column in numbers.items()}
        if ratio is not None and "feature" in entry and "ci_low" in entry:
            entry[ratio] = _exponentials(entry)
    _say_why_undetermined(entries, prepared, fit, estimates.tests)
    if fit.infinite_m is not None:
        for entry, sign in zip(entries, fit.infinite_m.tolist(), strict=True):
            if sign != 0:
                entry["infinite"] = {1.0: "inf", -1.0: "-inf"}.get(sign, "undetermined")


def _say_why_undetermined(
    entries: list[dict[str, Any]], prepared: Prepared, fit: Examination, tests: Tests | None
) -> None:
    constant = {prepared.preprocessing.feature_names[j] for j in fit.constant}
    are_missing = [False] * len(entries) if tests is None else tests.table.std_error_m.isnan().tolist()
    for entry, is_missing in zip(entries, are_missing, strict=True):
        if entry.get("feature") in constant:
            entry["undetermined"] = "constant"
        elif is_missing:
            entry["undetermined"] = "collinear"


def _columns(spec: LogisticRegressionSpec, tests: Tests) -> dict[str, Tensor]:
    table = tests.table
    columns = {
        "estimate": table.estimate_m,
        "std_error": table.std_error_m,
        "z": table.statistic_m,
        "p_value": table.p_value_m,
    }
    if spec.inference.intervals != "none":
        ends = table if tests.profile is None else tests.profile
        columns |= {"ci_low": ends.low_m, "ci_high": ends.high_m}
    if tests.ratio_test is not None:
        columns |= {"lr_statistic": tests.ratio_test.statistic_m, "lr_p_value": tests.ratio_test.p_value_m}
    return columns


def _contrasts(
    spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, tests: Tests
) -> list[dict[str, Any]]:
    """Each class but the first against the first."""
    reported = reported_parameters(prepared)[prepared.train.p :]
    numbers = {name: column.tolist() for name, column in _columns(spec, tests).items()}
    entries = [name | {key: finite(column[m]) for key, column in numbers.items()} for m, name in enumerate(reported)]
    for entry in entries:
        if "feature" in entry and "ci_low" in entry:
            entry["odds_ratio"] = _exponentials(entry)
    _say_why_undetermined(entries, prepared, fit, tests)
    return entries


def _exponentials(entry: dict[str, Any]) -> dict[str, float | None]:
    return {
        name: None if entry[name] is None else finite(float(torch.tensor(entry[name], dtype=torch.float64).exp()))
        for name in ("estimate", "ci_low", "ci_high")
    }


def _family_name(spec: LogisticRegressionSpec, prepared: Prepared) -> str:
    return spec.model.family if spec.model.family == "log-linear" else prepared.train.family.value


def _percentiles(
    spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, replicates: Replicates
) -> list[Tensor]:
    """Standard error, lower and upper end of each reported parameter."""
    own_pp = own_scale(prepared, fit.constant)
    reported_bkp = replicates.theta_bkp @ own_pp.T
    reported_bkp[:, :, (own_pp == 0).all(1)] = torch.nan  # what is held at 0
    reported_bm = reported_bkp.flatten(1)
    if len(reported_bm) < 2 or not is_whole(replicates):
        return [reported_bm.new_full((reported_bm.shape[1],), torch.nan)] * 3
    tail = (1 - spec.inference.confidence) / 2
    ends = [
        torch.cat([part_bm.quantile(share, 0) for part_bm in reported_bm.split(256, 1)]) for share in (tail, 1 - tail)
    ]
    return [reported_bm.std(0), *ends]
