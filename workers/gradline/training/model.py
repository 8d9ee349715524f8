"""The model: one linear predictor for each output, z = x w + c, for b members at once.

Parameters are one tensor theta_bkp: b members, k outputs, p = d coefficients, then the intercept where there is one.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from gradline.training.box import Box
from gradline.training.family import Family
from gradline.training.problem import Problem
from gradline.training.products import letting_go


def zero_parameters(d: int, k: int, *, has_intercept: bool, dtype: torch.dtype, n_members: int = 1) -> Tensor:
    """theta_bkp of zeros: every class equally likely."""
    return torch.zeros(n_members, k, d + has_intercept, dtype=dtype)


def null_parameters(problem: Problem) -> Tensor:
    """theta_1kp of zeros but for an intercept, in float64: where all solvers start that do not draw.

    It is what zero is not where counts are far from 1 or an offset from 0: near enough that a step neither overflows
    nor vanishes. For counts it is the best of all intercepts; for two classes with an offset, were that its mean in
    each row.
    """
    theta_1kp = zero_parameters(problem.d, problem.k, has_intercept=problem.has_intercept, dtype=torch.float64)
    if problem.has_intercept and problem.family == Family.POISSON:
        theta_1kp[..., -1] = _mean(problem, problem.y_nk).log() - _log_mean_exp(problem)
    if problem.has_intercept and problem.family == Family.BINOMIAL and problem.offset_n1 is not None:
        theta_1kp[..., -1] = _mean(problem, problem.y_nk).logit() - _mean(problem, problem.offset_n1)
    return theta_1kp.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).to(problem.y_nk.device)


def null_parameters_within(box: Box, problem: Problem) -> Tensor:
    """The same with each coefficient at the number nearest to 0 within its bounds, which count as an offset."""
    theta_1kp = null_parameters(problem)
    w_1kd = theta_1kp[:, :, : problem.d]
    if not bool(box.clamp_(w_1kd).any()) or problem.k > 1 or not problem.has_intercept:
        return theta_1kp
    theta_1kp[..., -1] = 0.0
    z_n1 = linear_predictor(problem, theta_1kp)
    theta_1kp[..., -1] = null_parameters(replace(problem, offset_n1=z_n1))[..., -1]
    return theta_1kp


def _mean(problem: Problem, value_n1: Tensor) -> Tensor:
    """Over rows, and over members, one of whose rows may lack what the others have."""
    return (problem.share_nb.mean(1, dtype=torch.float64) * value_n1[:, 0].double()).sum()


def _log_mean_exp(problem: Problem) -> Tensor:
    """Of the offset; of none it is 0."""
    log_share_n = problem.share_nb.mean(1, dtype=torch.float64).log()
    return torch.logsumexp(log_share_n if problem.offset_n1 is None else log_share_n + problem.offset_n1[:, 0], 0)


def drawn_parameters(d: int, k: int, *, has_intercept: bool, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """theta_1kp drawn as `torch.nn.Linear(d, k)` draws its own, in its order: coefficients, then intercepts.

    Both are uniform within ±1/sqrt(d). Where sgd and adam start.
    """
    w_kd = torch.empty(k, d, dtype=dtype)
    torch.nn.init.kaiming_uniform_(w_kd, a=math.sqrt(5), generator=generator)
    if not has_intercept:
        return w_kd.unsqueeze(0)
    bound = 1 / math.sqrt(d)
    c_k = torch.empty(k, dtype=dtype).uniform_(-bound, bound, generator=generator)
    return torch.cat((w_kd, c_k.unsqueeze(1)), dim=1).unsqueeze(0)


def linear_predictor(problem: Problem, theta_bkp: Tensor) -> Tensor:
    """z_nm with m = b * k columns, members outermost: one product for all members."""
    theta_mp = theta_bkp.flatten(0, 1)
    z_nm = problem.y_nk.new_empty(problem.n, len(theta_mp))
    start = 0
    for chunk in letting_go(problem.chunks() if problem.let_go else [problem], problem.let_go):
        chunk.products.predict(theta_mp.to(z_nm.dtype).T, z_nm[start : start + chunk.n])
        start += chunk.n
    return z_nm if problem.offset_n1 is None else z_nm + problem.offset_n1
