"""Standard errors, tests and intervals of a finished fit, and how well it fits as a whole."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.inference.bootstrap import Penalty, Replicates, bootstrap
from gradline.inference.covariance import Inverse, dispersion, inverse_of, robust_covariance
from gradline.inference.likelihood import Evaluation, Evaluator, Likelihood
from gradline.inference.parameters import contrast_functionals, free_parameters, functionals
from gradline.inference.penalised import FirthLikelihood
from gradline.inference.profile import Profile, RatioTest, profile_intervals, ratio_tests
from gradline.inference.summary import Summary, summarise
from gradline.inference.wald import Reference, Table, wald_table
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Family, Problem
from gradline.worker.context import AttemptContext
from gradline.worker.kinds.history import finite
from gradline.worker.kinds.regression_doctor import Examination, is_penalised
from gradline.worker.kinds.regression_effects import Estimated, marginal_effects, term_tests
from gradline.worker.kinds.regression_findings import own_scale

CLASS_WEIGHTED = (
    "class weights make rows count other than they occurred; standard errors hc0 to hc3 and the bootstrap hold for them"
)
FIRTH_WEIGHTED = (
    "class weights make rows count other than they occurred, and robust standard errors are not defined for Firth's "
    "penalised likelihood; ask for inference.bootstrap"
)
SATURATED = (
    "the rows determine as many coefficients as there are rows: none is left to tell how far they scatter; "
    "leave columns out, or set a penalty"
)

LEVERAGE = (
    "a row alone determines a coefficient (its leverage is 1), where hc2 and hc3 are not defined; ask for hc0 or hc1"
)

FAR = 2.0
"""By how much weights may add up to more or less than the rows without a word."""
MAX_FAILED = 0.05
"""Share of replicates without an estimate from which on intervals of the others say too little."""


class Tests(NamedTuple):
    """Of one row of parameters: by Wald's method, and by the likelihood where that was asked for."""

    table: Table
    profile: Profile | None = None
    ratio_test: RatioTest | None = None


class Errors(NamedTuple):
    """How far the free parameters of training are off."""

    covariance_qq: Tensor
    df: float | None
    """Of Student's t; None: the normal distribution."""
    variance: float | None
    """Of a target about its mean; None but for gaussian."""


class Estimates(NamedTuple):
    """What fills a result; None where it is withheld."""

    tests: Tests | None
    contrasts: Tests | None
    replicates: Replicates | None
    block: dict[str, Any]
    errors: Errors | None = None


def infer(spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, ctx: AttemptContext) -> Estimates:
    nothing = Estimates(None, None, None, {"withheld": fit.withheld})
    if fit.likelihood is None:
        return nothing
    replicates = _replicates(spec, prepared, fit, ctx)
    withheld = fit.withheld or _withheld(spec, fit)
    told = nothing._replace(replicates=replicates)
    if (withheld is None or replicates is not None) and spec.model.class_weights is None:
        _warn_of_weights(prepared.train, fit.likelihood.n_weighed, ctx)
    theta_q = free_parameters(prepared.train, fit.theta_bkp[0])
    if withheld is not None or fit.evaluation is None:
        block = {"withheld": withheld, **_whole(spec, fit, theta_q, len(theta_q)), **_drawn(spec, replicates)}
        return told._replace(block=block)
    inverse = known_inverse(fit, fit.evaluation)
    n_determined = fit.likelihood.q - inverse.null_qz.shape[1]
    needs_spare_rows = prepared.train.family == Family.GAUSSIAN or spec.inference.std_errors == "hc1"
    if needs_spare_rows and fit.likelihood.n_weighed <= n_determined:
        withheld = why_saturated(prepared.train.n, fit.likelihood.n_weighed, n_determined)
        block = {"withheld": withheld, **_whole(spec, fit, theta_q, n_determined), **_drawn(spec, replicates)}
        return told._replace(block=block)
    return _estimated(spec, prepared, fit, theta_q, inverse, told, ctx)


def known_inverse(fit: Examination, evaluation: Evaluation) -> Inverse:
    """Of the information at the fit's own evaluation."""
    return fit.inverse or inverse_of(evaluation.information_bqq[0], fit.rounding)


def why_saturated(n: int, n_weighed: float, n_determined: int) -> str:
    if n <= n_determined:
        return SATURATED
    return (
        f"data.weights count rows, and add up to {n_weighed:.6g}, no more than the {n_determined} coefficients: "
        "none is left to tell how far they scatter; multiply them to add up to the number of rows they stand for"
    )


def _warn_of_weights(problem: Problem, n_weighed: float, ctx: AttemptContext) -> None:
    """Whole numbers are taken at their word; others may be shares, or weights of a sample."""
    if problem.weight_nb is None or 1 / FAR <= n_weighed / problem.n <= FAR:
        return
    if bool((problem.weight_nb == problem.weight_nb.round()).all()):
        return
    ctx.warn(
        "weights_count_rows",
        f"data.weights count rows, and add up to {n_weighed:.6g} for {problem.n} rows, so that standard errors, tests, "
        f"intervals, AIC and BIC are those of {n_weighed:.6g} rows; unless the weights are counts or exposures, "
        f"multiply them by {problem.n / n_weighed:.6g} to add up to the number of rows",
    )


def _withheld(spec: LogisticRegressionSpec, fit: Examination) -> str | None:
    kind, likelihood = spec.inference.std_errors, fit.likelihood
    if kind == "none":
        return "not asked for"
    if kind == "hc2" and likelihood is not None and likelihood.f > 1:
        return "hc2 is not defined for more than two classes; ask for hc0, hc1 or hc3"
    if fit.mend == "firth" and spec.model.class_weights is not None:
        return FIRTH_WEIGHTED
    if fit.mend == "firth" and kind not in ("auto", "hessian"):
        return "robust standard errors are not defined for Firth's penalised likelihood; ask for hessian"
    if spec.model.class_weights is not None and kind in ("auto", "hessian"):
        return CLASS_WEIGHTED
    return None


def _estimated(
    spec: LogisticRegressionSpec,
    prepared: Prepared,
    fit: Examination,
    theta_q: Tensor,
    inverse: Inverse,
    told: Estimates,
    ctx: AttemptContext,
) -> Estimates:
    likelihood, evaluation = fit.likelihood, fit.evaluation
    assert likelihood is not None  # noqa: S101  the caller looked
    assert evaluation is not None  # noqa: S101  the caller looked
    problem, asked = prepared.train, spec.inference
    n_determined = likelihood.q - inverse.null_qz.shape[1]
    variance = dispersion(likelihood, float(evaluation.value_b), n_determined)
    covariance_qq = _covariance(spec, likelihood, theta_q, inverse, variance)
    if asked.std_errors in ("hc2", "hc3") and not bool(torch.isfinite(covariance_qq).all()):
        whole = _whole(spec, fit, theta_q, n_determined)
        return told._replace(block={"withheld": LEVERAGE, **whole, **_drawn(spec, told.replicates)})
    df = likelihood.n_weighed - n_determined if problem.family == Family.GAUSSIAN else None
    own_pp = own_scale(prepared, fit.constant)

    is_profiled = asked.intervals == "profile" and problem.family != Family.GAUSSIAN

    def tests(a_mq: Tensor) -> Tests:
        determined_m = inverse.determines(a_mq)
        table = wald_table(a_mq, theta_q, covariance_qq, determined_m, Reference(df), asked.confidence)
        return Tests(table, *(_profiled(fit, theta_q, a_mq, determined_m, asked.confidence) if is_profiled else ()))

    told = told._replace(tests=tests(functionals(problem, own_pp)))
    if problem.family == Family.MULTINOMIAL:
        told = told._replace(contrasts=tests(contrast_functionals(problem, own_pp)))
    found = Estimated(theta_q, covariance_qq, inverse, Reference(df), fit.constant)
    block = {
        "withheld": None,
        "method": "firth" if fit.mend == "firth" else "hessian" if asked.std_errors == "auto" else asked.std_errors,
        "distribution": "normal" if df is None else "t",
        "df": df,
        "confidence": asked.confidence,
        "intervals": None if asked.intervals == "none" else "profile" if is_profiled else "wald",
        "weights": "frequencies" if spec.model.class_weights is None else "sampling",
        **_whole(spec, fit, theta_q, n_determined),
        "terms": term_tests(prepared, found),
        **_drawn(spec, told.replicates),
    }
    if asked.marginal_effects:
        block["marginal_effects"] = marginal_effects(prepared, found, asked, ctx.raise_if_stopped)
    return told._replace(block=block, errors=Errors(covariance_qq, df, None if df is None else variance))


def _profiled(
    fit: Examination, theta_q: Tensor, a_mq: Tensor, determined_m: Tensor, confidence: float
) -> tuple[Profile, RatioTest]:
    likelihood = fit.likelihood
    assert likelihood is not None  # noqa: S101  examined
    evaluator: Evaluator = FirthLikelihood(likelihood) if fit.mend == "firth" else likelihood
    value = float(evaluator.evaluate(theta_q.unsqueeze(0)).value_b)
    profile = profile_intervals(evaluator, theta_q, value, a_mq[determined_m], confidence)
    ratio_test = ratio_tests(evaluator, theta_q, value, a_mq[determined_m])
    return (
        Profile(*(_spread(column, determined_m) for column in profile)),
        RatioTest(*(_spread(column, determined_m) for column in ratio_test)),
    )


def _spread(column: Tensor, determined_m: Tensor) -> Tensor:
    """NaN where the rows determine nothing."""
    column_m = column.new_full(determined_m.shape, torch.nan)
    column_m[determined_m] = column
    return column_m


def _covariance(
    spec: LogisticRegressionSpec,
    likelihood: Likelihood,
    theta_q: Tensor,
    inverse: Inverse,
    variance: float,
) -> Tensor:
    kind = spec.inference.std_errors
    if kind in ("auto", "hessian"):
        return inverse.inverse_qq * variance
    are_frequencies = spec.model.class_weights is None
    return robust_covariance(likelihood, theta_q, inverse, kind, are_frequencies=are_frequencies)


# --- the bootstrap


def _replicates(
    spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, ctx: AttemptContext
) -> Replicates | None:
    if spec.inference.bootstrap == 0 or not fit.is_minimum:
        return None
    objective, generator = fit.objective, torch.Generator().manual_seed(spec.seed)
    penalty = Penalty(float(objective.l1_b[0]), float(objective.l2_b[0]), fit.mend == "firth")
    return bootstrap(
        prepared.train,
        fit.theta_bkp[0].double(),
        penalty,
        spec.inference.bootstrap,
        generator,
        are_frequencies=spec.model.class_weights is None,
        between=ctx.raise_if_stopped,
    )


def _drawn(spec: LogisticRegressionSpec, replicates: Replicates | None) -> dict[str, Any]:
    if spec.inference.bootstrap == 0:
        return {}
    if replicates is None:
        return {"bootstrap": {"n_replicates": 0, "n_failed": 0, "withheld": "the fit did not end at a minimum"}}
    n_replicates = len(replicates.theta_bkp) + replicates.n_failed
    return {
        "bootstrap": {
            "n_replicates": n_replicates,
            "n_failed": replicates.n_failed,
            "withheld": None
            if is_whole(replicates)
            else f"{replicates.n_failed} of {n_replicates} replicates have no finite estimates, and the others alone "
            "would make intervals too narrow; set on_separation to firth or a penalty",
        }
    }


def is_whole(replicates: Replicates) -> bool:
    return replicates.n_failed <= MAX_FAILED * (len(replicates.theta_bkp) + replicates.n_failed)


# --- the fit as a whole


def _whole(spec: LogisticRegressionSpec, fit: Examination, theta_q: Tensor, n_determined: int) -> dict[str, Any]:
    likelihood = fit.likelihood
    assert likelihood is not None  # noqa: S101  examined
    summary = summarise(likelihood, theta_q, _value(likelihood, fit, theta_q), n_determined)
    told = {name: _finite(value) for name, value in summary._asdict().items() if name != "least_squares"}
    is_plain = not is_penalised(fit.objective) and fit.mend is None and spec.model.class_weights is None
    is_plain = is_plain and fit.objective.box is None and fit.infinite_m is None
    if not is_plain:  # they are of a maximum of the likelihood
        told |= dict.fromkeys(("aic", "bic", "likelihood_ratio_p_value"))
    return told | _least_squares(summary, is_plain=is_plain)


def _value(likelihood: Likelihood, fit: Examination, theta_q: Tensor) -> float:
    """Minus the log-likelihood, up to what the data alone decide."""
    if fit.evaluation is not None and fit.mend is None:
        return float(fit.evaluation.value_b)
    if likelihood.suits_training:
        return likelihood.n_weighed * float(fit.objective.fitness(fit.theta_bkp).loss_b)
    return float(likelihood.value(theta_q.unsqueeze(0)))


def _least_squares(summary: Summary, *, is_plain: bool) -> dict[str, Any]:
    if summary.least_squares is None or not is_plain:
        return {}
    return {name: finite(value) for name, value in summary.least_squares._asdict().items()}


def _finite(value: float) -> float | None:
    return value if isinstance(value, int) else finite(value)
