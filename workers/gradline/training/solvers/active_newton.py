"""Proximal Newton within a few columns, for l1 penalties on many columns of few rows.

At the minimum few coefficients differ from 0: no more than there are rows, where columns are in general position. Each
step is that of `proximal_newton` within the columns whose coefficients differ from 0 now and those at 0 that pull the
most beyond the penalty (working sets, Massias, Gramfort and Salmon 2018). A few enter at a step: far from the minimum
many pull, and of columns more than rows the model is flat. The gap is that of all columns.

Shapes: b members, k outputs, d features, p columns, c of them that a step is within, n rows.
"""

from dataclasses import replace

import torch
from torch import Tensor

from gradline.training.objective import Objective
from gradline.training.solvers.proximal_newton import Look, ProximalNewton

LEAST_ENTERING = 64
"""Columns that may enter at a step where few are in."""
ENTERING_SHARE = 8
"""Where many are in, one for so many of them."""
BLOCK_ENTRIES = 2**22


class ActiveNewton(ProximalNewton):
    """Needs an l1 penalty in every member. Steps are computed in float64 whatever the features: few are copied."""

    def __init__(self, objective: Objective, theta_bkp: Tensor) -> None:
        if not bool((objective.l1_b > 0).all()):
            raise ValueError("steps within a few columns need an l1 penalty in every member")
        super().__init__(objective, theta_bkp)

    def _evaluate(self) -> Look:
        self.n_passes += 1
        index_c = self._columns(self._objective.derivatives(self.theta_bkp).gradient_bkp)
        within = on_columns(self._objective, index_c).in_float64()
        look = ProximalNewton(within, self.theta_bkp[:, :, index_c]).look()
        step_bkp = torch.zeros_like(self.theta_bkp)
        step_bkp[:, :, index_c] = look.step_bq.view(*step_bkp.shape[:2], -1).to(step_bkp.dtype)
        return look._replace(step_bq=step_bkp.flatten(1))

    def _columns(self, gradient_bkp: Tensor) -> Tensor:
        """Those that the next step is within, in order: the intercept's is the last."""
        d = self._objective.problem.d
        is_in_p = (self.theta_bkp != 0).flatten(0, 1).any(0)
        pull_bkp = self._objective.least_subgradient(self.theta_bkp.double(), gradient_bkp)
        excess_d = pull_bkp[:, :, :d].abs().amax((0, 1)).masked_fill_(is_in_p[:d], 0.0)
        most_c, index_c = excess_d.topk(min(d, max(LEAST_ENTERING, int(is_in_p.sum()) // ENTERING_SHARE)))
        is_in_p[index_c[most_c > 0]] = True
        is_in_p[d:] = True
        return is_in_p.nonzero()[:, 0]


def on_columns(objective: Objective, index_c: Tensor) -> Objective:
    """The same penalties and bounds over some of the columns, the intercept's among them if there is one."""
    problem = objective.problem
    n_rows = max(1, BLOCK_ENTRIES // problem.p)
    x_nc = torch.cat([problem.products.block(r, r + n_rows)[:, index_c] for r in range(0, problem.n, n_rows)])
    part = replace(problem, x_np=x_nc, implies_ones=False, let_go=None, entries=None)
    scale_bd = (objective.l1_b1d / objective.l1_b.view(-1, 1, 1)).squeeze(1).expand(-1, problem.d)
    scale_bd = scale_bd[:, index_c[: part.d]]
    box = None if objective.box is None else objective.box.of(index_c[: part.d])
    return Objective(part, objective.l1_b, objective.l2_b, n_members=len(scale_bd), scale_bd=scale_bd, box=box)
