"""Names the training rows that pull the estimates most."""

from typing import Any

from gradline.data.prepare import Prepared
from gradline.inference.covariance import dispersion
from gradline.inference.influence import influential_rows
from gradline.inference.parameters import free_parameters
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Family
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_doctor import Examination
from gradline.worker.kinds.regression_inference import known_inverse, why_saturated

CLASS_WEIGHTED = "class weights make rows count other than they occurred, which leverages do not know of"
FIRTH = "the influence of rows is told of the plain likelihood, not of Firth's penalised one"


def influence_of(spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination) -> dict[str, Any]:
    """`influence`, largest first; or None, and why under `influence_withheld`."""
    withheld = _withheld(spec, fit)
    if withheld is not None:
        return {"influence": None, "influence_withheld": withheld}
    likelihood, evaluation, problem = fit.likelihood, fit.evaluation, prepared.train
    assert likelihood is not None  # noqa: S101  nothing is withheld
    assert evaluation is not None  # noqa: S101  nothing is withheld
    inverse = known_inverse(fit, evaluation)
    n_determined = likelihood.q - inverse.null_qz.shape[1]
    if problem.family == Family.GAUSSIAN and likelihood.n_weighed <= n_determined:
        reason = why_saturated(problem.n, likelihood.n_weighed, n_determined)
        return {"influence": None, "influence_withheld": reason}
    assert spec.inference.influence is not None  # noqa: S101  nothing is withheld
    found = influential_rows(
        likelihood,
        free_parameters(problem, fit.theta_bkp[0]),
        inverse,
        dispersion(likelihood, float(evaluation.value_b), n_determined),
        spec.inference.influence,
    )
    row_m = found.row_m.cpu() if prepared.row_n is None else prepared.row_n[found.row_m.cpu()]
    columns = [column.tolist() for column in (row_m, found.distance_m, found.leverage_m, found.residual_m)]
    told = [
        {"row": row + 1, "cooks_distance": finite(d), "leverage": finite(h), "std_residual": finite(r)}
        for row, d, h, r in zip(*columns, strict=True)
    ]
    return {"influence": told, "influence_withheld": None}


def _withheld(spec: LogisticRegressionSpec, fit: Examination) -> str | None:
    if spec.inference.influence is None:
        return "not asked for"
    if fit.withheld is not None:
        return fit.withheld
    if fit.mend == "firth":
        return FIRTH
    return CLASS_WEIGHTED if spec.model.class_weights is not None else None
