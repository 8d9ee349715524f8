"""From a spec and its prepared data to a fit that is ready to take its first step."""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.specs.logistic_regression import Adam as AdamSpec
from gradline.specs.logistic_regression import AdamW as AdamWSpec
from gradline.specs.logistic_regression import Lbfgs as LbfgsSpec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.specs.logistic_regression import Sgd as SgdSpec
from gradline.specs.regression.solvers import CosineSchedule, FirstOrder, StepSchedule
from gradline.training import (
    Adam,
    Batches,
    Box,
    Choice,
    Fista,
    Fit,
    Lbfgs,
    Objective,
    Problem,
    Schedule,
    Sgd,
    Solver,
    StopRules,
    choose,
    cosine_schedule,
    drawn_parameters,
    exponential_schedule,
    newton_cg_for,
    newton_for,
    null_parameters,
    null_parameters_within,
    proximal_newton_for,
    step_schedule,
)

NAMED = "named in the spec."


class Ready(NamedTuple):
    fit: Fit
    objective: Objective
    validation: Objective | None
    choice: Choice


def dtype_of(spec: LogisticRegressionSpec) -> torch.dtype:
    """float32 for sgd and its like, as torch trains by default; float64 where steps come from curvature."""
    if spec.dtype is not None:
        return torch.float32 if spec.dtype == "float32" else torch.float64
    return torch.float32 if spec.is_first_order else torch.float64


def make_fit(spec: LogisticRegressionSpec, prepared: Prepared, job_stream: torch.Generator) -> Ready:
    objective = _objective(spec, prepared.train, prepared.box)
    validation = None if prepared.validation is None else _objective(spec, prepared.validation)
    theta_bkp = _first_parameters(spec, prepared.train, job_stream, prepared.box)
    stop = StopRules(
        spec.stop.max_steps,
        tolerance=0.0 if spec.is_first_order else spec.stop.tolerance,
        accuracy_above=spec.stop.accuracy_above,
        patience=spec.stop.patience,
        metric=spec.stop.metric,
        restore_best=spec.stop.restore_best,
    )
    choice = _choice(spec, objective, theta_bkp)
    return Ready(Fit(objective, choice.solver, stop, spec.report_every, validation), objective, validation, choice)


def make_fold_fit(
    spec: LogisticRegressionSpec,
    problem: Problem,
    scale_bd: Tensor | None = None,
    theta_bkp: Tensor | None = None,
    box: Box | None = None,
) -> Fit:
    """Of one member a column of weights, from where another ended or all from the same parameters; it reports nothing.

    `scale_bd`: what each divides the features by before they are penalised.
    """
    n_members = 1 if problem.weight_nb is None else problem.weight_nb.shape[1]
    objective = Objective(problem, spec.penalty.l1, spec.penalty.l2, n_members=n_members, scale_bd=scale_bd, box=box)
    if theta_bkp is None:
        theta_1kp = _first_parameters(spec, problem, torch.Generator().manual_seed(spec.seed), box)
        theta_bkp = theta_1kp.repeat(n_members, 1, 1)
    is_single = isinstance(spec.solver, LbfgsSpec)  # its line searches do not stack; others end at the same minimum
    choice = choose(objective, theta_bkp) if is_single else _choice(spec, objective, theta_bkp)
    stop = StopRules(spec.stop.max_steps, tolerance=0.0 if spec.is_first_order else spec.stop.tolerance)
    return Fit(objective, choice.solver, stop, report_every=spec.stop.max_steps)


def _objective(spec: LogisticRegressionSpec, problem: Problem, box: Box | None = None) -> Objective:
    return Objective(problem, spec.penalty.l1, spec.penalty.l2, box=box)


def _first_parameters(
    spec: LogisticRegressionSpec, problem: Problem, job_stream: torch.Generator, box: Box | None = None
) -> Tensor:
    """Drawn on the CPU whatever the device, so that every device starts from the same."""
    if not spec.is_first_order:
        return null_parameters(problem) if box is None else null_parameters_within(box, problem)
    theta_bkp = drawn_parameters(
        problem.d,
        problem.k,
        has_intercept=spec.model.fit_intercept,
        dtype=problem.y_nk.dtype,
        generator=job_stream,
    )
    return theta_bkp.to(problem.y_nk.device)


def _choice(spec: LogisticRegressionSpec, objective: Objective, theta_bkp: Tensor) -> Choice:
    solver = spec.solver
    if isinstance(solver, FirstOrder):
        return Choice(solver.name, NAMED, _first_order(spec, solver, objective, theta_bkp))
    if isinstance(solver, LbfgsSpec):
        return Choice("lbfgs", NAMED, Lbfgs(objective, theta_bkp, memory=solver.memory))
    if solver.name == "newton":
        return Choice("newton", NAMED, newton_for(objective, theta_bkp))
    if solver.name == "newton-cg":
        return Choice("newton-cg", NAMED, newton_cg_for(objective, theta_bkp))
    if solver.name == "proximal-newton":
        return Choice("proximal-newton", NAMED, proximal_newton_for(objective, theta_bkp))
    if solver.name == "fista":
        return Choice("fista", NAMED, Fista(objective, theta_bkp, stops_on_gap=objective.has_dual))
    return choose(objective, theta_bkp)


def _first_order(spec: LogisticRegressionSpec, solver: FirstOrder, objective: Objective, theta_bkp: Tensor) -> Solver:
    batches, schedule = _batches(objective.problem, solver.batch_size, spec.seed), _schedule(spec, solver)
    if isinstance(solver, SgdSpec):
        return Sgd(
            objective,
            theta_bkp,
            learning_rate=solver.learning_rate,
            momentum=solver.momentum,
            nesterov=solver.nesterov,
            schedule=schedule,
            batches=batches,
        )
    assert isinstance(solver, AdamSpec | AdamWSpec)  # noqa: S101  there is no fourth
    return Adam(
        objective,
        theta_bkp,
        learning_rate=solver.learning_rate,
        beta1=solver.beta1,
        beta2=solver.beta2,
        epsilon=solver.epsilon,
        weight_decay=solver.weight_decay if isinstance(solver, AdamWSpec) else 0.0,
        schedule=schedule,
        batches=batches,
    )


def _schedule(spec: LogisticRegressionSpec, solver: FirstOrder) -> Schedule | None:
    schedule = solver.schedule
    if schedule is None:
        return None
    if isinstance(schedule, StepSchedule):
        return step_schedule(schedule.every, schedule.factor)
    if isinstance(schedule, CosineSchedule):
        return cosine_schedule(spec.stop.max_steps, schedule.final)
    return exponential_schedule(schedule.factor)


def _batches(problem: Problem, batch_size: int | None, seed: int) -> Batches | None:
    return None if batch_size is None or batch_size >= problem.n else Batches(problem, batch_size, seed)
