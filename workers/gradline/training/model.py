"""The model: one linear predictor for each output, z = x w + c, for b members at once.

Parameters are one tensor theta_bkp: b members, k outputs, p = d coefficients, then the intercept where there is one.
"""

import math

import torch
from torch import Tensor

from gradline.training.problem import Problem


def zero_parameters(d: int, k: int, *, has_intercept: bool, dtype: torch.dtype, n_members: int = 1) -> Tensor:
    """theta_bkp of zeros: every class equally likely. Where lbfgs and fista start."""
    return torch.zeros(n_members, k, d + has_intercept, dtype=dtype)


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
    for chunk in problem.chunks() if problem.let_go else [problem]:
        chunk.products.predict(theta_mp.to(z_nm.dtype).T, z_nm[start : start + chunk.n])
        start += chunk.n
        if problem.let_go is not None:
            problem.let_go()
    return z_nm if problem.offset_n1 is None else z_nm + problem.offset_n1


def predicted_class(z_nk: Tensor) -> Tensor:
    """Binomial: 1 from a probability of one half on. Multinomial: the most probable."""
    return (z_nk[:, 0] >= 0).long() if z_nk.shape[1] == 1 else z_nk.argmax(1)


def probabilities(z_nk: Tensor) -> Tensor:
    """Of every class, also for two: two columns."""
    if z_nk.shape[1] > 1:
        return torch.softmax(z_nk, 1)
    return torch.cat((torch.sigmoid(-z_nk), torch.sigmoid(z_nk)), 1)
