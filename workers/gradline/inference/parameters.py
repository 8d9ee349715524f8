"""The free parameters of a model, and what is reported of them.

A multinomial model has one linear predictor too many: adding a vector to every class changes no probability. Its free
parameters are the differences to the first class, the reference. What is told of each class is on the gauge where the
classes add up to zero, and the differences to the reference are told beside it.

A constant column says what the intercept says. Its coefficient is held at 0, as R's lm does with aliased columns, and
the intercept takes its part; without an intercept only a column of zeros counts as constant.

Everything reported is a linear functional a' theta of the free parameters, so that its variance is a' V a.

Shapes: k outputs, f free ones (k - 1 for multinomial, else 1), p columns of x, q = f * p, m functionals.
"""

import torch
from torch import Tensor

from gradline.inference.rows import rows_between
from gradline.training import Family, Problem


def n_free_outputs(problem: Problem) -> int:
    return problem.k - 1 if problem.family == Family.MULTINOMIAL else 1


def free_parameters(problem: Problem, theta_kp: Tensor) -> Tensor:
    """theta_q in float64."""
    theta_kp = theta_kp.double()
    return (theta_kp[1:] - theta_kp[:1] if problem.family == Family.MULTINOMIAL else theta_kp).flatten()


def all_parameters(problem: Problem, theta_bq: Tensor) -> Tensor:
    """theta_bkp; the classes of a multinomial model add up to zero."""
    theta_bfp = theta_bq.view(len(theta_bq), n_free_outputs(problem), -1)
    if problem.family != Family.MULTINOMIAL:
        return theta_bfp
    theta_bkp = torch.cat((torch.zeros_like(theta_bfp[:, :1]), theta_bfp), 1)
    return theta_bkp - theta_bkp.mean(1, keepdim=True)


def functionals(problem: Problem, own_pp: Tensor) -> Tensor:
    """a_mq of every reported parameter: for each class, the columns on their own scale.

    `own_pp` maps an output's parameters, as training saw them, to the columns' own scale.
    """
    gauge_kf = own_pp.new_ones(1, 1, dtype=torch.float64)
    if problem.family == Family.MULTINOMIAL:
        gauge_kf = torch.eye(problem.k, dtype=torch.float64, device=own_pp.device)[:, 1:] - 1 / problem.k
    return torch.kron(gauge_kf.contiguous(), own_pp.double().contiguous())


def contrast_functionals(problem: Problem, own_pp: Tensor) -> Tensor:
    """a_qq of the differences to the reference class, on the columns' own scale."""
    eye_ff = torch.eye(n_free_outputs(problem), dtype=torch.float64, device=own_pp.device)
    return torch.kron(eye_ff, own_pp.double().contiguous())


def without_constants(problem: Problem, theta_bkp: Tensor, constant: list[int]) -> Tensor:
    """The same fit with coefficients of 0 for constant columns."""
    held_bkp = theta_bkp.clone()
    held_bkp[:, :, constant] = 0.0
    if problem.has_intercept:
        held_bkp[:, :, problem.d] += theta_bkp[:, :, constant] @ _values(problem, constant).to(theta_bkp.dtype)
    return held_bkp


def scale_without_constants(problem: Problem, own_pp: Tensor, constant: list[int]) -> Tensor:
    """The map of `functionals` from any parameters of the same fit to those of `without_constants`."""
    held_pp = own_pp.clone()
    held_pp[:, constant] = 0.0
    if problem.has_intercept:
        held_pp[:, constant] = torch.outer(own_pp[:, problem.d], _values(problem, constant))
    return held_pp


def _values(problem: Problem, constant: list[int]) -> Tensor:
    return rows_between(problem, slice(0, 1))[0, constant]
