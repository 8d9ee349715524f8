"""From a spec and its prepared data to a fit that is ready to take its first step."""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.data.prepare import Prepared
from gradline.specs.logistic_regression import Adam as AdamSpec
from gradline.specs.logistic_regression import Lbfgs as LbfgsSpec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.specs.logistic_regression import Sgd as SgdSpec
from gradline.training import (
    Adam,
    Batches,
    Fista,
    Fit,
    Lbfgs,
    Objective,
    Problem,
    Sgd,
    Solver,
    StopRules,
    drawn_parameters,
    zero_parameters,
)


class Ready(NamedTuple):
    fit: Fit
    objective: Objective
    validation: Objective | None


def dtype_of(spec: LogisticRegressionSpec) -> torch.dtype:
    """float32 for sgd and adam, as torch trains by default; float64 where steps come from line searches."""
    if spec.dtype is not None:
        return torch.float32 if spec.dtype == "float32" else torch.float64
    return torch.float32 if spec.is_first_order else torch.float64


def make_fit(spec: LogisticRegressionSpec, prepared: Prepared, job_stream: torch.Generator) -> Ready:
    objective = _objective(spec, prepared.train)
    validation = None if prepared.validation is None else _objective(spec, prepared.validation)
    theta_bkp = _first_parameters(spec, prepared.train, job_stream)
    stop = StopRules(
        spec.stop.max_steps,
        tolerance=0.0 if spec.is_first_order else spec.stop.tolerance,
        accuracy_above=spec.stop.accuracy_above,
        patience=spec.stop.patience,
    )
    solver = _solver(spec, objective, theta_bkp)
    return Ready(Fit(objective, solver, stop, spec.report_every, validation), objective, validation)


def _objective(spec: LogisticRegressionSpec, problem: Problem) -> Objective:
    return Objective(problem, spec.penalty.l1, spec.penalty.l2)


def _first_parameters(spec: LogisticRegressionSpec, problem: Problem, job_stream: torch.Generator) -> Tensor:
    """Drawn on the CPU whatever the device, so that every device starts from the same."""
    has_intercept, dtype = spec.model.fit_intercept, problem.x_np.dtype
    if spec.is_first_order:
        theta_bkp = drawn_parameters(
            problem.d, problem.k, has_intercept=has_intercept, dtype=dtype, generator=job_stream
        )
    else:
        theta_bkp = zero_parameters(problem.d, problem.k, has_intercept=has_intercept, dtype=dtype)
    return theta_bkp.to(problem.x_np.device)


def _solver(spec: LogisticRegressionSpec, objective: Objective, theta_bkp: Tensor) -> Solver:
    solver = spec.solver
    if isinstance(solver, SgdSpec):
        return Sgd(
            objective,
            theta_bkp,
            learning_rate=solver.learning_rate,
            momentum=solver.momentum,
            nesterov=solver.nesterov,
            batches=_batches(objective.problem, solver.batch_size, spec.seed),
        )
    if isinstance(solver, AdamSpec):
        return Adam(
            objective,
            theta_bkp,
            learning_rate=solver.learning_rate,
            beta1=solver.beta1,
            beta2=solver.beta2,
            epsilon=solver.epsilon,
            batches=_batches(objective.problem, solver.batch_size, spec.seed),
        )
    if spec.solver_name == "fista":
        return Fista(objective, theta_bkp)
    return Lbfgs(
        objective, theta_bkp, memory=(solver if isinstance(solver, LbfgsSpec) else LbfgsSpec(name="lbfgs")).memory
    )


def _batches(problem: Problem, batch_size: int | None, seed: int) -> Batches | None:
    return None if batch_size is None or batch_size >= problem.n else Batches(problem, batch_size, seed)
