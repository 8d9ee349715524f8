"""Examines a finished fit: is it at the optimum, is there one, do columns repeat each other; and mends what can be.

A fit that ended at its minimum is polished in float64: a Newton step or two, which takes the coefficients to where
their standard errors are exact. Steps of sgd and its like, and fits that were told to stop early, stay where they are.
"""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.errors import PermanentError
from gradline.inference.collinearity import Collinearity, examine_collinearity
from gradline.inference.covariance import Inverse
from gradline.inference.least_squares import rounding_of, solve_least_squares
from gradline.inference.likelihood import Evaluation, Likelihood
from gradline.inference.newton import Minimum, minimise, newton_step
from gradline.inference.parameters import (
    all_parameters,
    free_parameters,
    functionals,
    n_free_outputs,
    without_constants,
)
from gradline.inference.penalised import RidgeLikelihood, firth_minimum
from gradline.inference.recession import Unsolved, find_recession
from gradline.inference.separation import examine_separation, have_maximum
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.training import Box, Family, Objective, Outcome, Problem
from gradline.training.bounds import NEWTON, Gap, gap_of
from gradline.training.solvers import Newton
from gradline.worker.context import AttemptContext
from gradline.worker.kinds.regression_findings import (
    collinearity_block,
    culprits_of,
    levels_of,
    own_scale,
    separation_block,
)

MAX_PARAMETERS = 2000
MAX_COST = 4e9
"""Products that sum the information under `auto`: a tenth of a second."""
MAX_ASKED_COST = 4e12
"""The same where standard errors are asked for by name."""
MAX_PROGRAM_ENTRIES = 2e8
"""Rows times parameters that the search for a separation may read at every round."""
SMALL_COST = 1e8
"""Up to here polishing goes on to the last digits; beyond, to `NEAR`."""
NEAR = 1e-11
"""Squared Newton decrement up to which standard errors of the parameters before the last step have six digits. Of
skewed columns and rare classes they change by a tenth of the step, in standard errors."""
NEAR_ROUNDED = 1e-8
"""The same of gradients from products in float32, which are too rough for more."""
AT_OPTIMUM = 1e-4
"""Squared Newton decrement: estimates are a hundredth of a standard error from the optimum, or less."""
ROUNDING = 1e-12
"""Of a target, relative."""
ILL_CONDITIONED = 1e3
"""Condition of the columns from which on least squares are solved by orthogonal factors, where that is cheap."""
ENDED = (Outcome.CONVERGED, Outcome.STALLED, Outcome.ILL_CONDITIONED)

ASKED_TO_STOP = (Outcome.TARGET_REACHED, Outcome.EARLY_STOPPED)

Mend = Literal["firth", "ridge"]


class Examination(NamedTuple):
    """A fit after the doctor's visit."""

    theta_bkp: Tensor
    objective: Objective
    outcome: Outcome
    likelihood: Likelihood | None
    """None: not examined, for the reason given."""
    evaluation: Evaluation | None
    """Where standard errors come from; None where the fit is not at an optimum."""
    is_minimum: bool
    """Whether the parameters are those of a minimum, penalised or not, that other fits can be compared with."""
    withheld: str | None
    """Why there are no standard errors."""
    mend: Mend | None
    separation: dict[str, Any] | None
    infinite_m: Tensor | None
    """For each reported parameter the sign in which it is infinite, 0 where it is finite."""
    collinearity: dict[str, Any] | None
    rounding: float = 0.0
    """How far rounding, before the columns were given, may have moved those that are named as dependent."""
    inverse: Inverse | None = None
    """Of the information, where it is known better than from the evaluation."""
    gap: Gap | None = None
    """Where it is known better than from the solver."""
    constant: list[int] = []  # noqa: RUF012  never changed
    """Columns whose coefficients are held at 0, because the intercept says what they say."""


def is_penalised(objective: Objective) -> bool:
    return objective.has_l1 or objective.has_l2


def examine(
    spec: LogisticRegressionSpec,
    prepared: Prepared,
    objective: Objective,
    theta_bkp: Tensor,
    outcome: Outcome,
    newton: Newton | None,
    ctx: AttemptContext,
) -> Examination:
    """`newton`: the solver at theta, where it has a regular Hessian from there or nearby.

    Raises PermanentError where classes can be separated and the spec says that this is an error.
    """
    is_ended = outcome in ENDED and not spec.is_first_order
    untouched = Examination(theta_bkp, objective, outcome, None, None, is_ended, None, None, None, None, None)
    if reason := _why_not(spec, prepared.train, theta_bkp, outcome):
        if outcome == Outcome.SEPARATED and spec.on_separation != "warn":
            _refuse_to_mend(spec, reason, ctx)
        return untouched._replace(withheld=reason)
    far_d, by_factors = _far(prepared), _suits_factors(spec, prepared.train, objective, outcome)
    found = examine_collinearity(prepared.train, far_d, _are_single(prepared), by_factors=by_factors)
    collinearity = _told(found, prepared, ctx)
    if is_penalised(objective):
        likelihood = Likelihood(prepared.train)
        withheld = PENALISED if objective.box is not None else f"{PENALISED}; ask for inference.bootstrap"
        examined = untouched._replace(likelihood=likelihood, withheld=withheld, collinearity=collinearity)
        return _polish_ridge(examined, likelihood) if is_ended else examined
    if objective.box is not None:
        bounded = untouched._replace(likelihood=Likelihood(prepared.train), collinearity=collinearity)
        return _examine_bounded(spec, prepared, bounded, found, ctx)
    if by_factors and found.condition_number >= ILL_CONDITIONED:
        far_d[found.constant] = 0.0
        tolerance = max(rounding_of(prepared.train.y_nk.dtype, float(far_d.max())), found.rounding)
        polished = _polish_by_factors(spec, untouched, prepared.train, tolerance)
    else:
        polished = _polish(spec, untouched, prepared.train, newton)
    examined = polished._replace(collinearity=collinearity, rounding=found.rounding, constant=found.constant)
    return _hold_constants(prepared.train, _diagnose(spec, prepared, examined, ctx))


PENALISED = (
    "a penalty draws the estimates towards 0 on purpose, which standard errors and p-values of the plain likelihood do "
    "not know of"
)


def _why_not(spec: LogisticRegressionSpec, problem: Problem, theta_bkp: Tensor, outcome: Outcome) -> str | None:
    """Why the fit is not looked at; None: it is."""
    is_asked = spec.inference.is_asked or spec.on_separation != "warn"
    if not bool(torch.isfinite(theta_bkp).all()):
        return "the fit diverged"
    if spec.is_first_order and not is_asked and spec.inference.bootstrap == 0:
        return f"{spec.solver.name} ends near the optimum, not at it; use solver auto or ask for inference.std_errors"
    if spec.inference.std_errors == "none" and not is_asked and outcome != Outcome.SEPARATED:
        return "not asked for" if spec.inference.bootstrap == 0 else None
    if not _is_within(problem, MAX_ASKED_COST if is_asked else MAX_COST):
        q = n_free_outputs(problem) * problem.p
        ask = "" if is_asked or q > MAX_PARAMETERS else "; ask for inference.std_errors hessian to have them still"
        return f"{problem.n} rows and {q} parameters would take long against the fit itself{ask}"
    return None


def _is_within(problem: Problem, max_cost: float) -> bool:
    f, p = n_free_outputs(problem), problem.p
    return f * p <= MAX_PARAMETERS and problem.n * p**2 * f * (f + 1) / 2 <= max_cost


def can_mend(problem: Problem) -> bool:
    """Whether the fit is small enough for what `on_separation` asks for."""
    is_searchable = problem.n * n_free_outputs(problem) * problem.p <= MAX_PROGRAM_ENTRIES
    return problem.family.is_classification and is_searchable and _is_within(problem, MAX_ASKED_COST)


# --- at the optimum


def _polish(spec: LogisticRegressionSpec, fit: Examination, problem: Problem, newton: Newton | None) -> Examination:
    likelihood = Likelihood(problem)
    theta_1q = free_parameters(problem, fit.theta_bkp[0]).unsqueeze(0)
    if spec.is_first_order or fit.outcome not in ENDED:
        here = likelihood.evaluate(theta_1q)
        decrement = float(newton_step(here)[1]) / _unit(likelihood, here)
        if decrement <= AT_OPTIMUM:
            return fit._replace(likelihood=likelihood, evaluation=here, is_minimum=True)
        return fit._replace(likelihood=likelihood, is_minimum=False, withheld=_too_far(decrement))
    is_small = problem.n * likelihood.q**2 <= SMALL_COST
    if newton is not None and not is_small and problem.k == 1:
        theta_1q = _led(newton)
    unit = _unit(likelihood, likelihood.evaluate(theta_1q)) if problem.family == Family.GAUSSIAN else 1.0
    tolerance = 1e-15 if is_small else NEAR_ROUNDED if likelihood.is_rounded else NEAR
    least = minimise(likelihood, theta_1q, unit=unit, tolerance=tolerance, max_steps=6)
    if not bool(least.is_converged_b):
        decrement = float(newton_step(least.evaluation)[1]) / unit
        if not decrement <= AT_OPTIMUM:  # nor is NaN
            return fit._replace(likelihood=likelihood, is_minimum=False, withheld=_too_far(decrement))
    if likelihood.is_rounded:
        least = least._replace(theta_bq=_unrounded(likelihood, least))
    return _at(fit, problem, likelihood, least)


def _led(newton: Newton) -> Tensor:
    """Nearer to the minimum by a step of the solver's and the next: a pass for the gradient costs less than one for
    another Hessian."""
    newton.step()
    return newton.theta_bkp.flatten(1) + newton.next_step()


def _unrounded(likelihood: Likelihood, least: Minimum) -> Tensor:
    """The minimum by a gradient in float64, where that of the evaluation is from products in float32."""
    gradient_1q = likelihood.gradient(least.theta_bq)
    return least.theta_bq + newton_step(least.evaluation._replace(gradient_bq=gradient_1q))[0]


def _at(fit: Examination, problem: Problem, likelihood: Likelihood, least: Minimum) -> Examination:
    theta_bkp = all_parameters(problem, least.theta_bq).to(fit.theta_bkp.dtype)
    return fit._replace(theta_bkp=theta_bkp, likelihood=likelihood, evaluation=least.evaluation)


def _suits_factors(spec: LogisticRegressionSpec, problem: Problem, objective: Objective, outcome: Outcome) -> bool:
    if problem.family != Family.GAUSSIAN or is_penalised(objective) or spec.is_first_order:
        return False
    return outcome in ENDED and problem.n > problem.p and problem.n * problem.p**2 <= SMALL_COST


def _polish_by_factors(
    spec: LogisticRegressionSpec, fit: Examination, problem: Problem, tolerance: float
) -> Examination:
    likelihood = Likelihood(problem)
    solved = solve_least_squares(problem, tolerance)
    n, here = likelihood.n_weighed, likelihood.evaluate(solved.theta_1q)
    floor_b = torch.finfo(torch.float64).eps * likelihood.value(torch.zeros_like(solved.theta_1q)) / n
    gap = gap_of(NEWTON, here.value_b / n, torch.full_like(floor_b, solved.gain / n), floor_b)
    is_converged = fit.outcome == Outcome.CONVERGED or float(gap.relative_b) <= spec.stop.tolerance
    return fit._replace(
        theta_bkp=all_parameters(problem, solved.theta_1q).to(fit.theta_bkp.dtype),
        likelihood=likelihood,
        evaluation=here,
        outcome=Outcome.CONVERGED if is_converged else fit.outcome,
        is_minimum=True,
        inverse=solved.inverse,
        gap=gap,
    )


def _polish_ridge(fit: Examination, likelihood: Likelihood) -> Examination:
    """A fit with a smooth penalty goes to the last digits too, where they cost next to nothing."""
    problem, l2 = likelihood.problem, float(fit.objective.l2_b[0])
    if not fit.objective.is_smooth or problem.n * likelihood.q**2 > SMALL_COST:
        return fit
    theta_1q = free_parameters(problem, fit.theta_bkp[0]).unsqueeze(0)
    unit = _unit(likelihood, likelihood.evaluate(theta_1q)) if problem.family == Family.GAUSSIAN else 1.0
    least = minimise(RidgeLikelihood(likelihood, l2), theta_1q, unit=unit, max_steps=6)
    if not bool(least.is_converged_b):
        return fit
    return fit._replace(theta_bkp=all_parameters(problem, least.theta_bq).to(fit.theta_bkp.dtype))


# --- within bounds

BOUNDED = (
    "coefficients are held at a bound (`at_bound`), where estimates do not scatter as standard errors and p-values of "
    "the plain likelihood have it"
)
NEAR_BOUNDS = "the bounds hold back what the likelihood asks for, though no coefficient has come to one"


def _examine_bounded(
    spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, found: Collinearity, ctx: AttemptContext
) -> Examination:
    """A minimum off all bounds is that without them, F being convex: what is known of that one is known of it."""
    problem, box = prepared.train, fit.objective.box
    assert box is not None  # noqa: S101  the caller looked
    if fit.outcome == Outcome.SEPARATED:
        return _examine_separated(spec, fit, problem, ctx)
    if fit.outcome != Outcome.CONVERGED:
        return fit._replace(withheld=f"the fit ended as {fit.outcome.value}, not at its minimum")
    if _is_at_bound(box, problem, fit.theta_bkp):
        return fit._replace(withheld=BOUNDED)
    free = fit._replace(objective=fit.objective.without_bounds())
    polished = _polish(spec, free, problem, None)._replace(constant=found.constant, rounding=found.rounding)
    polished = _hold_constants(problem, polished)
    is_same = polished.withheld is None and not _is_at_bound(box, problem, polished.theta_bkp)
    if not is_same or polished.evaluation is None:
        return fit._replace(withheld=NEAR_BOUNDS)
    if not bool(have_maximum(problem, newton_step(polished.evaluation)[0], polished.evaluation)):
        return fit._replace(withheld=NEAR_BOUNDS)
    return polished if problem.family == Family.GAUSSIAN else polished._replace(separation={"kind": "none"})


def _examine_separated(
    spec: LogisticRegressionSpec, fit: Examination, problem: Problem, ctx: AttemptContext
) -> Examination:
    """Whether there is a way to separate the rows that the bounds let coefficients go for ever."""
    objective = fit.objective
    assert objective.box is not None  # noqa: S101  the caller looked
    open_2d = objective.box.open_2d()
    open_2q = torch.cat((open_2d, torch.ones_like(open_2d[:, : problem.p - problem.d])), 1)
    try:
        if problem.n * problem.p > MAX_PROGRAM_ENTRIES:
            raise Unsolved("too many")
        is_separated = find_recession(problem, objective.unbounded_part(fit.theta_bkp).flatten(), open_2q) is not None
    except Unsolved:
        is_separated = False
    if not is_separated:
        return fit._replace(outcome=Outcome.ILL_CONDITIONED, withheld="nothing bounds how far the minimum is")
    reason = "the rows can be separated within the bounds, so that there are no finite estimates"
    advice = "set penalty.l2 above 0, or bound coefficients on both sides"
    if spec.on_separation == "error":
        raise PermanentError(f"{reason}; {advice}", code="separated")
    ctx.warn("separable", f"{reason}; {advice}")
    return fit._replace(is_minimum=False, withheld=INFINITE)


def _is_at_bound(box: Box, problem: Problem, theta_bkp: Tensor) -> bool:
    """Or beyond."""
    return any(bool(is_at_bkd.any()) for is_at_bkd in box.at(theta_bkp[:, :, : problem.d]))


def _unit(likelihood: Likelihood, here: Evaluation) -> float:
    """What a squared decrement is measured in: for gaussian the variance, or that of rounding if the fit is exact."""
    problem = likelihood.problem
    if problem.family != Family.GAUSSIAN:
        return 1.0
    square = float((problem.share_nb[:, :1] * problem.y_nk.square()).sum())
    return max(2 * float(here.value_b) / likelihood.n_weighed, ROUNDING**2 * square, 1e-300)


def _too_far(decrement: float) -> str:
    if math.isnan(decrement):
        return "not at the optimum: at the estimates the likelihood overflows"
    return f"not at the optimum: the estimates are {max(decrement, 0.0) ** 0.5:.2g} standard errors away from it"


# --- separation


def _diagnose(spec: LogisticRegressionSpec, prepared: Prepared, fit: Examination, ctx: AttemptContext) -> Examination:
    problem, likelihood = prepared.train, fit.likelihood
    assert likelihood is not None  # noqa: S101  polished
    if problem.family == Family.GAUSSIAN:
        return fit
    theta_1q = free_parameters(problem, fit.theta_bkp[0]).unsqueeze(0)
    evaluation = fit.evaluation or likelihood.evaluate(theta_1q)
    step_1q = newton_step(evaluation)[0]
    if fit.outcome != Outcome.SEPARATED and bool(have_maximum(problem, step_1q, evaluation)):
        return fit._replace(separation={"kind": "none"})
    a_mq = functionals(problem, own_scale(prepared, fit.constant))
    try:
        if problem.n * likelihood.q > MAX_PROGRAM_ENTRIES:
            raise Unsolved(f"{problem.n} rows and {likelihood.q} parameters are too many to search for a separation")
        found = examine_separation(problem, theta_1q[0], step_1q[0], a_mq, levels_of(prepared))
    except Unsolved as reason:
        return _unnamed(spec, fit._replace(separation={"kind": "undetermined", "reason": str(reason)}), ctx)
    if found is None:
        return _acquitted(fit, problem, theta_1q)
    told = separation_block(found, prepared)
    message = f"{told['kind'].replace('_', '-')} separation of {told['n_rows']} rows by {culprits_of(told)}"
    if spec.on_separation == "error":
        raise PermanentError(f"{message}: there are no finite estimates; {told['advice']}", code="separated")
    separated = fit._replace(
        outcome=fit.outcome if fit.outcome in ASKED_TO_STOP else Outcome.SEPARATED,
        evaluation=None,
        is_minimum=False,
        withheld=f"{INFINITE}; {'set on_separation to firth or ridge' if prepared.classes else told['advice']}",
        separation=told,
        infinite_m=found.direction_m,
    )
    mended = _mend(spec, problem, separated) if problem.family.is_classification else separated
    ctx.warn("separable", f"{message}: {_verdict(mended)}")
    return mended


def _unnamed(spec: LogisticRegressionSpec, fit: Examination, ctx: AttemptContext) -> Examination:
    """Nobody knows which columns separate; if the solver saw that some do, estimates mean nothing all the same."""
    if fit.outcome != Outcome.SEPARATED:
        return fit
    if spec.on_separation != "warn":
        _refuse_to_mend(spec, "the columns that separate were not found", ctx)
    return fit._replace(evaluation=None, is_minimum=False, withheld=INFINITE)


def _acquitted(fit: Examination, problem: Problem, theta_1q: Tensor) -> Examination:
    """There is a maximum after all; a solver that took it for infinitely far has not gone there."""
    sound = fit._replace(separation={"kind": "none"})
    if fit.outcome != Outcome.SEPARATED or fit.likelihood is None:
        return sound
    least = minimise(fit.likelihood, theta_1q)
    if not bool(least.is_converged_b):
        return sound._replace(outcome=Outcome.ILL_CONDITIONED)
    return _at(sound, problem, fit.likelihood, least)._replace(
        outcome=Outcome.CONVERGED, is_minimum=True, withheld=None
    )


INFINITE = "the rows can be separated, so that estimates are infinite"


def _verdict(fit: Examination) -> str:
    told = fit.separation
    assert told is not None  # noqa: S101  just found
    infinite = "the estimates named in `separation.infinite` are infinite"
    if fit.mend is None or not fit.is_minimum:
        return f"{infinite}; {told['advice']}"
    means = "Firth's penalised likelihood" if fit.mend == "firth" else f"a penalty l2 of {told['l2']:.6g}"
    return f"without a penalty {infinite}; those told are finite by {means}"


def _refuse_to_mend(spec: LogisticRegressionSpec, reason: str, ctx: AttemptContext) -> None:
    if spec.on_separation == "error":
        raise PermanentError(
            "the rows can be separated, so that there are no finite estimates; set penalty.l2 above 0", code="separated"
        )
    ctx.warn("not_mended", f"on_separation {spec.on_separation} was not done: {reason}; set penalty.l2 above 0")


def _mend(spec: LogisticRegressionSpec, problem: Problem, fit: Examination) -> Examination:
    likelihood = fit.likelihood
    assert likelihood is not None  # noqa: S101  examined
    assert fit.separation is not None  # noqa: S101  just found
    if spec.on_separation == "firth":
        least = firth_minimum(likelihood)
        information = likelihood.evaluate(least.theta_bq)
        mended, withheld = _at(fit, problem, likelihood, least)._replace(evaluation=information), None
    elif spec.on_separation == "ridge":
        l2 = 1 / likelihood.n_weighed
        least = minimise(RidgeLikelihood(likelihood, l2), likelihood.nowhere)
        mended = _at(fit, problem, likelihood, least)._replace(objective=Objective(problem, l2=l2), evaluation=None)
        withheld = f"{PENALISED}; ask for inference.bootstrap"
    else:
        return fit
    if not bool(least.is_converged_b):
        withheld = f"{spec.on_separation} did not converge"
        mended = mended._replace(evaluation=None)
    is_done = bool(least.is_converged_b)
    told = fit.separation | {"mend": spec.on_separation, "l2": l2 if spec.on_separation == "ridge" else None}
    return mended._replace(
        mend=spec.on_separation,
        is_minimum=is_done,
        withheld=withheld,
        separation=told | ({"advice": None} if is_done else {}),
        outcome=Outcome.CONVERGED if is_done else Outcome.STEP_LIMIT,
        infinite_m=None,
    )


# --- collinearity


def _hold_constants(problem: Problem, fit: Examination) -> Examination:
    """A penalty shares between such a column and the intercept as it is told to."""
    if not fit.constant or not fit.is_minimum:
        return fit
    if fit.mend == "ridge":
        return fit._replace(constant=[])
    return fit._replace(theta_bkp=without_constants(problem, fit.theta_bkp, fit.constant))


def _far(prepared: Prepared) -> Tensor:
    """How far each column was from zero, in deviations, before it was centred."""
    learned, train = prepared.preprocessing, prepared.train
    far_d = (learned.centre_d / learned.scale_d).abs().to(train.y_nk.device)
    for j in ((learned.centre_d != 0) & (learned.scale_d == 1)).nonzero().flatten().tolist():
        far_d[j] /= train.x_np[:, j].double().std().clamp(min=1e-300)
    return far_d


def _are_single(prepared: Prepared) -> Tensor:
    """Which features are columns that were given in single precision."""
    names = zip(prepared.preprocessing.feature_names, prepared.preprocessing.feature_kinds, strict=True)
    are_single = [kind == "numeric" and name in prepared.singles for name, kind in names]
    return torch.tensor(are_single, device=prepared.train.y_nk.device)


def _told(found: Collinearity, prepared: Prepared, ctx: AttemptContext) -> dict[str, Any]:
    names = prepared.preprocessing.feature_names
    told = collinearity_block(found, names)
    if found.constant:
        ctx.warn("constant_columns", f"constant in the training rows: {', '.join(told['constant'][:5])}")
    if found.sets:
        first = told["dependent"][0]
        ctx.warn(
            "collinear_columns",
            f"{first['feature']!r} is a linear combination of {', '.join(map(repr, first['of'][:5]))}"
            + (f", and {len(found.sets) - 1} more are of others" if len(found.sets) > 1 else "")
            + ": their coefficients are not determined; leave them out",
        )
    return told
