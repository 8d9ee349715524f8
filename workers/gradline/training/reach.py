"""How far a step of unit length, in the norm of the Hessian, can move the linear predictor of any row.

    reach >= max over rows of |x_n|_{H^-1} = |R x_n|,    R' R = H^-1,    so that |x_n v| <= reach |v|_H for every v

For multinomial what counts is the range of the move over the classes: at most twice the largest move of (e_i - 1 / k).
For gaussian it is 0, because the curvature of a row does not depend on its linear predictor.
Shapes: b members, n rows, r rows of a chunk, k outputs, p columns, q = k * p.
"""

from functools import cached_property

import torch
from torch import Tensor

from gradline.training.factor import Factor
from gradline.training.family import Family
from gradline.training.problem import Problem

MAX_EXACT_COST = 1e11
"""Products that looking at every row may cost."""
CHUNK_ENTRIES = 2**22


class Reach:
    """Of the rows of one problem, for whatever Hessian."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    @property
    def rows_are_cheap(self) -> bool:
        problem = self._problem
        return not problem.is_sparse and problem.n * (problem.k * problem.p) ** 2 <= MAX_EXACT_COST

    @cached_property
    def _highest_p(self) -> Tensor:
        """Largest absolute entry of each column."""
        return self._problem.products.highest()

    def by_columns(self, factor: Factor) -> Tensor:
        """reach_b from the largest entry of each column alone: |R x_n| <= ||R| max_n |x_n||."""
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        move_bqk = self._moves(factor).abs() @ self._highest_p
        return self._range(torch.linalg.vector_norm(move_bqk, dim=1).amax(1))

    def by_rows(self, factor: Factor) -> Tensor:
        """reach_b itself; costs as much as the Hessian."""
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        moves_bqkp = self._moves(factor)
        b, q, k, _ = moves_bqkp.shape
        reach_b = torch.zeros_like(factor.scale_bq[:, 0])
        n_rows = max(1, CHUNK_ENTRIES // q)
        for start in range(0, self._problem.n, n_rows):
            x_rp = self._problem.products.block(start, start + n_rows).double()
            for member in range(b):
                for output in range(k):
                    move_rq = x_rp @ moves_bqkp[member, :, output].T
                    length = torch.linalg.vector_norm(move_rq, dim=1).amax()
                    reach_b[member] = torch.maximum(reach_b[member], length)
        return self._range(reach_b)

    def _moves(self, factor: Factor) -> Tensor:
        """R (e_i - 1 / k) as [b, q, k, p]."""
        k, p = self._problem.k, self._problem.p
        moves_bqkp = factor.inverse_root().view(-1, k * p, k, p)
        return moves_bqkp if k == 1 else moves_bqkp - moves_bqkp.mean(2, keepdim=True)

    def _range(self, reach_b: Tensor) -> Tensor:
        return reach_b if self._problem.k == 1 else 2 * reach_b
