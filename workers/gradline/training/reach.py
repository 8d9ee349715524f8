"""How far a step of unit length, in the norm of the Hessian, can move the linear predictor of any row.

    reach >= max over rows of |x_n|_{H^-1} = |R x_n|,    R' R = H^-1,    so that |x_n v| <= reach |v|_H for every v

For multinomial what counts is the range of the move over the classes: at most twice the largest move of (e_i - 1 / k).
For gaussian it is 0, because the curvature of a row does not depend on its linear predictor.
Shapes: b members, n rows, r rows of a chunk, k outputs, p columns, q = k * p.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from gradline.training.bounds import newton_bound
from gradline.training.factor import Factor
from gradline.training.family import Family
from gradline.training.problem import Problem

MAX_EXACT_COST = 1e11
"""Products that looking at every row may cost."""
CHUNK_ENTRIES = 2**22
ROUNDED_SHARE = 0.1
"""Of a reach computed in float32 may be what is added for its rounding; where it is more, it is done in float64."""


class Reach:
    """Of the rows of one problem, for whatever Hessian."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._factor: Factor | None = None
        self._known: dict[str, Tensor] = {}
        """What has been asked for of this factor."""

    def bound(self, factor: Factor, decrement_b: Tensor, stretch_b: Tensor) -> Tensor:
        """The Newton bound, `stretch_b` being how much longer a step may be in the factor's norm than in that of the
        Hessian. From the cheapest reach that tells it within a factor of two."""
        decrement_b = decrement_b * stretch_b
        looks = (self.by_weight, self.by_length, self.by_largest, self.by_columns, self.by_rows)
        for look in looks if self.rows_are_cheap else looks[:-1]:
            bound_b = newton_bound(decrement_b, self._once(look, factor) * stretch_b)
            if not bool((bound_b > decrement_b.square()).any()):
                break
        return bound_b

    def _once(self, look: Callable[[Factor], Tensor], factor: Factor) -> Tensor:
        if factor is not self._factor:
            self._factor, self._known = factor, {}
        if look.__name__ not in self._known:
            self._known[look.__name__] = look(factor)
        return self._known[look.__name__]

    @property
    def rows_are_cheap(self) -> bool:
        problem = self._problem
        return not problem.is_sparse and problem.n * problem.k * problem.p**2 <= MAX_EXACT_COST

    @cached_property
    def _highest_p(self) -> Tensor:
        """Largest absolute entry of each column."""
        return self._problem.products.highest()

    def by_weight(self, factor: Factor) -> Tensor:
        """reach_b from the rows' weights in the Hessian: w_n x_n' x_n is no more than it, so |R x_n|^2 <= 1 / w_n."""
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        return torch.full_like(factor.scale_bq[:, 0], torch.inf) if factor.reach_b is None else factor.reach_b

    def by_length(self, factor: Factor) -> Tensor:
        """reach_b from the longest row: |R x_n| <= |R|_F |x_n|; serves where columns are on one scale."""
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        if factor.length_b is None:
            return torch.full_like(factor.scale_bq[:, 0], torch.inf)
        return torch.linalg.vector_norm(self._once(self._moves, factor), dim=(1, 2, 3)) * factor.length_b

    def by_largest(self, factor: Factor) -> Tensor:
        """reach_b from the largest entry of all: the same where no pass has told how long rows are."""
        return self._by_entries(factor, self._problem.highest_of_all)

    def by_columns(self, factor: Factor) -> Tensor:
        """reach_b from the largest entry of each column alone: |R x_n| <= ||R| max_n |x_n||."""
        return self._by_entries(factor, self._highest_p)

    def _by_entries(self, factor: Factor, highest_p: Tensor) -> Tensor:
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        return self._range(torch.linalg.vector_norm(self._once(self._moves, factor).abs() @ highest_p, dim=1).amax(1))

    def by_rows(self, factor: Factor) -> Tensor:
        """reach_b itself; costs k p^2 for each row. From float32 with what that may have rounded off, if little.

        Products of p terms, of rounded R and x_n, and the length of p of them are off by at most gamma ||R| |x_n||,
        gamma = (2 p + 5) eps (Higham 2002, section 3.1), and by what is too small for float32.
        """
        if self._problem.family == Family.GAUSSIAN:
            return torch.zeros_like(factor.scale_bq[:, 0])
        moves_bpkp, p, single = self._once(self._moves, factor), self._problem.p, torch.finfo(torch.float32)
        rounded_b = self._longest(moves_bpkp.float())
        slack_b = (2 * p + 5) * single.eps * self._once(self.by_columns, factor)
        slack_b += single.tiny * p * p * (self._highest_p.sum() + moves_bpkp.abs().amax())
        if bool((rounded_b.isfinite() & (slack_b <= ROUNDED_SHARE * rounded_b)).all()):
            return rounded_b + slack_b
        return self._longest(moves_bpkp)

    def _longest(self, moves_bpkp: Tensor) -> Tensor:
        """The largest move of any row, computed in the dtype of the moves."""
        b, p, k, _ = moves_bpkp.shape
        reach_b = moves_bpkp.new_zeros(b)
        n_rows = max(1, CHUNK_ENTRIES // p)
        for start in range(0, self._problem.n, n_rows):
            x_rp = self._problem.products.block(start, start + n_rows).to(moves_bpkp.dtype)
            for member in range(b):
                for output in range(k):
                    move_rp = x_rp @ moves_bpkp[member, :, output].T
                    length = torch.linalg.vector_norm(move_rp, dim=1).amax()
                    reach_b[member] = torch.maximum(reach_b[member], length)
        return self._range(reach_b.double())

    def _moves(self, factor: Factor) -> Tensor:
        """R (e_i - 1 / k) as [b, p, k, p]: of its q rows, the triangle that gives the same lengths (QR)."""
        k, p = self._problem.k, self._problem.p
        moves_bqkp = factor.inverse_root().view(-1, k * p, k, p)
        if k == 1:
            return moves_bqkp
        centred_bkqp = (moves_bqkp - moves_bqkp.mean(2, keepdim=True)).transpose(1, 2)
        return torch.linalg.qr(centred_bkqp, mode="r").R.transpose(1, 2)

    def _range(self, reach_b: Tensor) -> Tensor:
        return reach_b if self._problem.k == 1 else 2 * reach_b
