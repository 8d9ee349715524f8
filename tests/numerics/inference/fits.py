"""Fits for the tests of inference: data from statsmodels as problems, and their minimum."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gradline.inference.covariance import dispersion, inverse_of, robust_covariance
from gradline.inference.likelihood import Likelihood
from gradline.inference.newton import Minimum, minimise
from gradline.inference.parameters import contrast_functionals, functionals
from gradline.inference.wald import Reference, Table, wald_table
from gradline.training import Family, Problem, make_problem


class Fitted(NamedTuple):
    problem: Problem
    own_pp: Tensor
    """From standardised columns back to those given, the intercept last."""
    likelihood: Likelihood
    minimum: Minimum

    @property
    def theta_q(self) -> Tensor:
        return self.minimum.theta_bq[0]

    @property
    def value(self) -> float:
        return float(self.minimum.evaluation.value_b)

    def table(self, kind: str = "hessian", *, is_contrast: bool = False, confidence: float = 0.95) -> Table:
        inverse = inverse_of(self.minimum.evaluation.information_bqq[0])
        variance = dispersion(self.likelihood, float(self.minimum.evaluation.value_b), len(self.theta_q))
        covariance_qq = inverse.inverse_qq * variance
        if kind != "hessian":
            covariance_qq = robust_covariance(self.likelihood, self.theta_q, inverse, kind)
        is_gaussian = self.problem.family == Family.GAUSSIAN
        df = self.likelihood.n_weighed - len(self.theta_q) if is_gaussian else None
        a_mq = (contrast_functionals if is_contrast else functionals)(self.problem, self.own_pp)
        return wald_table(a_mq, self.theta_q, covariance_qq, inverse.determines(a_mq), Reference(df), confidence)


def fit(x_nd: Any, target_n: Any, family: Family, *, standardize: bool = True, **more: Any) -> Fitted:
    """To the minimum, on standardised columns as a job's training has them."""
    x_nd = torch.as_tensor(np.array(x_nd, dtype=float))
    has_intercept = more.get("has_intercept", True)
    centre_d, scale_d = torch.zeros(x_nd.shape[1]).double(), torch.ones(x_nd.shape[1]).double()
    if standardize:
        scale_d = x_nd.std(0)
        centre_d = x_nd.mean(0) if has_intercept else centre_d
    target_n = torch.as_tensor(np.array(target_n))
    n_classes = int(target_n.max()) + 1 if family.is_classification else 2
    target_n = target_n.long() if family.is_classification else target_n.double()
    problem = make_problem((x_nd - centre_d) / scale_d, target_n, family, n_classes, **more)
    own_pp = torch.diag(torch.cat((1 / scale_d, torch.ones(int(has_intercept)).double())))
    if has_intercept:
        own_pp[-1, :-1] = -centre_d / scale_d
    likelihood = Likelihood(problem)
    unit = 1.0 if family != Family.GAUSSIAN else float(problem.y_nk.var())
    minimum = minimise(likelihood, torch.zeros(1, likelihood.q, dtype=torch.float64), unit=unit)
    assert bool(minimum.is_converged_b.all())
    return Fitted(problem, own_pp, likelihood, minimum)


def rotated(values: Any) -> Any:
    """statsmodels' order, with the constant first, to ours, with it last."""
    values = np.asarray(values)
    return np.concatenate((values[1:], values[:1]))
