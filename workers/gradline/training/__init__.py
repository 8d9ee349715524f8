"""Training of generalised linear models as the five steps: data, model, loss, optimizer, iteration.

    family     what the target is, and its loss
    problem    the data: features, targets, weights of rows
    model      the linear predictor and its first parameters
    objective  the loss and the penalty, with gradients in closed form
    solvers    what lowers the objective, a step at a time
    iteration  the fit: steps, reports, and why it ended

A torch library: it imports nothing else of ours, and does no I/O, logging or timing. Run it under
`torch.inference_mode()`: gradients are closed forms, autograd has nothing to record.
"""

from gradline.training.batches import Batches
from gradline.training.box import Box
from gradline.training.certificate import Certificate, Reference, certify
from gradline.training.choice import Choice, choose, newton_cg_for, newton_for, proximal_newton_for
from gradline.training.family import Family
from gradline.training.iteration import Fit, Report, Step, StopRules
from gradline.training.model import (
    drawn_parameters,
    linear_predictor,
    null_parameters,
    null_parameters_within,
    zero_parameters,
)
from gradline.training.objective import Fitness, Objective
from gradline.training.outcome import Outcome
from gradline.training.problem import Problem, make_problem
from gradline.training.schedules import Schedule, cosine_schedule, exponential_schedule, step_schedule
from gradline.training.solvers import (
    Adam,
    Fista,
    Lbfgs,
    Newton,
    NewtonCg,
    ProgressiveNewton,
    ProximalNewton,
    SampledLbfgs,
    Sgd,
    Solver,
    State,
    SubspaceNewton,
)

__all__ = [
    "Adam",
    "Batches",
    "Box",
    "Certificate",
    "Choice",
    "Family",
    "Fista",
    "Fit",
    "Fitness",
    "Lbfgs",
    "Newton",
    "NewtonCg",
    "Objective",
    "Outcome",
    "Problem",
    "ProgressiveNewton",
    "ProximalNewton",
    "Reference",
    "Report",
    "SampledLbfgs",
    "Schedule",
    "Sgd",
    "Solver",
    "State",
    "Step",
    "StopRules",
    "SubspaceNewton",
    "certify",
    "choose",
    "cosine_schedule",
    "drawn_parameters",
    "exponential_schedule",
    "linear_predictor",
    "make_problem",
    "newton_cg_for",
    "newton_for",
    "null_parameters",
    "null_parameters_within",
    "proximal_newton_for",
    "step_schedule",
    "zero_parameters",
]
