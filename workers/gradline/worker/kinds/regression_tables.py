"""Writes what is known of the estimates into a result: an entry for each coefficient, and the blocks beside them."""

from typing import Any

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.inference.bootstrap import Replicates
from gradline.inference.wald import Table
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Family
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_doctor import Examination
from gradline.worker.kinds.regression_findings import own_scale, reported_parameters
from gradline.worker.kinds.regression_inference import Estimates, is_whole

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
    if problem.family == Family.MULTINOMIAL and estimates.table is not None:
        assert prepared.classes is not None  # noqa: S101  multinomial
        block = block | {"gauge": "sum_to_zero", "reference_class": prepared.classes[0]}
        block["contrasts"] = _contrasts(prepared, fit, estimates.contrasts)
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
    columns = {}
    if estimates.table is not None:
        columns = _columns(estimates.table, has_intervals=spec.inference.intervals != "none")
    if estimates.profile is not None and estimates.ratio_test is not None:
        columns |= {"ci_low": estimates.profile.low_m, "ci_high": estimates.profile.high_m}
        columns |= {"lr_statistic": estimates.ratio_test.statistic_m, "lr_p_value": estimates.ratio_test.p_value_m}
    if estimates.replicates is not None:
        spread_m, low_m, high_m = _percentiles(spec, prepared, fit, estimates.replicates)
        columns |= {"bootstrap_std_error": spread_m, "bootstrap_ci_low": low_m, "bootstrap_ci_high": high_m}
        if estimates.table is None:
            columns |= {"ci_low": low_m, "ci_high": high_m}
    numbers = {name: column.tolist() for name, column in columns.items()}
    ratio = RATIOS.get(_family_name(spec, prepared)) if prepared.train.k == 1 else None
    for m, entry in enumerate(entries):
        entry |= {name: finite(column[m]) for name, column in numbers.items()}
        if ratio is not None and "feature" in entry and "ci_low" in entry:
            entry[ratio] = _exponentials(entry)
    _say_why_undetermined(entries, prepared, fit, estimates.table)
    if fit.infinite_m is not None:
        for entry, sign in zip(entries, fit.infinite_m.tolist(), strict=True):
            if sign != 0:
                entry["infinite"] = {1.0: "inf", -1.0: "-inf"}.get(sign, "undetermined")


def _say_why_undetermined(
    entries: list[dict[str, Any]], prepared: Prepared, fit: Examination, table: Table | None
) -> None:
    constant = {prepared.preprocessing.feature_names[j] for j in fit.constant}
    are_missing = [False] * len(entries) if table is None else table.std_error_m.isnan().tolist()
    for entry, is_missing in zip(entries, are_missing, strict=True):
        if entry.get("feature") in constant:
            entry["undetermined"] = "constant"
        elif is_missing:
            entry["undetermined"] = "collinear"


def _columns(table: Table, *, has_intervals: bool) -> dict[str, Tensor]:
    columns = {
        "estimate": table.estimate_m,
        "std_error": table.std_error_m,
        "z": table.statistic_m,
        "p_value": table.p_value_m,
    }
    return columns | ({"ci_low": table.low_m, "ci_high": table.high_m} if has_intervals else {})


def _contrasts(prepared: Prepared, fit: Examination, table: Table | None) -> list[dict[str, Any]]:
    """Each class but the first against the first."""
    if table is None:
        return []
    reported = reported_parameters(prepared)[prepared.train.p :]
    numbers = {name: column.tolist() for name, column in _columns(table, has_intervals=True).items()}
    entries = [name | {key: finite(column[m]) for key, column in numbers.items()} for m, name in enumerate(reported)]
    for entry in entries:
        if "feature" in entry:
            entry["odds_ratio"] = _exponentials(entry)
    _say_why_undetermined(entries, prepared, fit, table)
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
