"""Directions along which a likelihood never falls: where there is one, it has no maximum.

For classes, theta is such a direction if every row's own class gains on every other, a_i' theta >= 0 for each
difference a_i (Albert and Anderson 1984); for poisson, if no row with a positive target moves and none with 0 rises.
Of all such directions the one that moves most rows solves a linear program (after Konis 2007):

    maximise sum_i t_i    subject to    a_i' theta >= t_i,  0 <= t_i <= 1

Rows enter the program only once a direction found without them violates them. The program runs on the columns divided
by their root mean square, and is solved by HiGHS.

Shapes: n rows, r some of them, p columns of x, f free outputs, q = f * p, i differences.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.inference.parameters import n_free_outputs
from gradline.inference.rows import blocks_of, rows_at, rows_between
from gradline.training import Family, Problem

_MOVED = 1e-6
"""A row counts as moved from here on; the program makes it 1 where it can."""
_MAX_ROUNDS = 40
_TIME_LIMIT_S = 20.0
_IN_DIFFICULTIES = 4
"""scipy's status of a program that rounding left without an answer."""
_MAX_PARAMETERS = 600
"""Of a program that ends in seconds."""
_BLOCK_ROWS = 65_536


class Recession(NamedTuple):
    """The direction that moves most rows."""

    direction_q: Tensor
    n_moved: int
    """Rows whose likelihood rises along it."""
    is_complete: bool
    """Every row gains strictly on every other class."""
    null_qz: Tensor
    """What the rows that move determine, and those that do not leave undetermined."""
    flat_qq: Tensor
    """Projects on what no row determines, on any scale of the columns."""


class Unsolved(Exception):
    """The linear program did not end in time, or its rows did not settle."""


def find_recession(problem: Problem, theta_q: Tensor, open_2q: Tensor | None = None) -> Recession | None:
    """None where the likelihood has a maximum. `theta_q`: where a fit ended, which says which rows to look at first.

    `open_2q`: whether each parameter may fall for ever, and whether it may rise, where bounds keep some from it (None:
    all may); theta is then to go where it may.
    """
    rows = _Rows(problem)
    least = float(rows.least_margins(theta_q).min())
    if problem.family.is_classification and 0 < least < torch.inf:
        return rows.recession(theta_q / least)
    rows.refuse_many()
    active_r = rows.first(theta_q)
    for _ in range(_MAX_ROUNDS):
        direction_q = _widest(rows.differences(active_r), rows.scale_q, open_2q)
        margin_n = rows.least_margins(direction_q)
        wrong_r = (margin_n < -_MOVED).nonzero().squeeze(1)
        if len(wrong_r) == 0:
            wrong_r = rows.outside_span(active_r, direction_q)
        if len(wrong_r) == 0:
            found = rows.recession(direction_q)
            return found if found.n_moved else None
        worst_r = wrong_r[margin_n[wrong_r].argsort()[: max(200, 4 * rows.q)]]
        active_r = torch.cat((active_r, worst_r)).unique()
    raise Unsolved("rows kept violating the directions found")


def sparsest_direction(problem: Problem, recession: Recession) -> Tensor:
    """A direction that moves the same rows with few features: the least sum of absolute entries on scaled columns."""
    rows = _Rows(problem)
    rows.refuse_many()
    active_r = rows.first(recession.direction_q)
    for _ in range(_MAX_ROUNDS):
        a_iq = rows.differences(active_r)
        is_moved_i = (a_iq @ recession.direction_q) > _MOVED
        direction_q = _least_sum(a_iq, is_moved_i, rows.scale_q)
        margin_n = rows.least_margins(direction_q)
        wrong_r = (margin_n < -_MOVED).nonzero().squeeze(1)
        if len(wrong_r) == 0:
            return direction_q
        worst_r = wrong_r[margin_n[wrong_r].argsort()[: max(200, 4 * rows.q)]]
        active_r = torch.cat((active_r, worst_r)).unique()
    raise Unsolved("rows kept violating the directions found")


class _Rows:
    """The differences a_i of the rows of a problem, made when they are asked for."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.p = problem.p
        self.q = n_free_outputs(problem) * self.p
        square_p = torch.zeros(self.p, dtype=torch.float64, device=problem.y_nk.device)
        for rows in blocks_of(problem, self.p):
            square_p += rows_between(problem, rows).square().sum(0)
        scale_p = (square_p / problem.n).sqrt()
        self.scale_q = torch.where(scale_p > 0, scale_p, 1.0).repeat(n_free_outputs(problem))

    def refuse_many(self) -> None:
        if self.q > _MAX_PARAMETERS:
            raise Unsolved(f"{self.q} parameters are too many for a linear program")

    def differences(self, index_r: Tensor) -> Tensor:
        """a_iq, every row's own class against each other one."""
        problem = self._problem
        x_rp = rows_at(problem, index_r)
        if problem.family == Family.POISSON:
            return torch.cat((-x_rp, x_rp[problem.y_nk[index_r, 0] > 0]))
        if problem.family == Family.BINOMIAL:
            return x_rp * (2 * problem.y_nk[index_r].double() - 1)
        own_rk = problem.y_nk[index_r].double()
        against_rkk = own_rk.unsqueeze(1) - torch.eye(problem.k, dtype=torch.float64, device=x_rp.device)
        a_rkq = (against_rkk[:, :, 1:].unsqueeze(3) * x_rp[:, None, None, :]).flatten(2)
        return a_rkq[own_rk == 0]

    def least_margins(self, direction_q: Tensor) -> Tensor:
        """The smallest a_i' direction of each row."""
        problem, direction_fp = self._problem, direction_q.view(-1, self.p)
        parts = []
        for rows in blocks_of(problem, self.p):
            z_rf, y_rk = rows_between(problem, rows) @ direction_fp.T, problem.y_nk[rows]
            if problem.family == Family.MULTINOMIAL:
                z_rk = torch.cat((torch.zeros_like(z_rf[:, :1]), z_rf), 1)
                own_r = (z_rk * y_rk).sum(1)
                parts.append(own_r - z_rk.masked_fill(y_rk == 1, -torch.inf).amax(1))
            elif problem.family == Family.BINOMIAL:
                parts.append((z_rf * (2 * y_rk - 1))[:, 0])
            else:
                parts.append(torch.where(y_rk[:, 0] > 0, -z_rf[:, 0].abs(), -z_rf[:, 0]))
        return torch.cat(parts)

    def first(self, theta_q: Tensor) -> Tensor:
        """The rows that fit worst, which separation is most likely to founder on, and some others."""
        size = max(200, 4 * self.q)
        if self._problem.n <= 2 * size:
            return torch.arange(self._problem.n, device=theta_q.device)
        worst_r = self.least_margins(theta_q).argsort()[:size]
        others_r = torch.linspace(0, self._problem.n - 1, size, device=theta_q.device).long()
        return torch.cat((worst_r, others_r)).unique()

    def outside_span(self, active_r: Tensor, direction_q: Tensor) -> Tensor:
        """Rows that might still move: they do not, but are no combination of the active rows that do not."""
        if len(active_r) == self._problem.n:
            return active_r[:0]
        null_qz = self._null(active_r, direction_q)
        if null_qz.shape[1] == 0:
            return active_r[:0]
        outside = []
        for start in range(0, self._problem.n, _BLOCK_ROWS):
            index_r = torch.arange(start, min(start + _BLOCK_ROWS, self._problem.n), device=active_r.device)
            still_r = self._still(index_r, direction_q)
            x_rp = rows_at(self._problem, still_r) / self.scale_q[: self.p]
            reach_r = (x_rp @ null_qz.view(-1, self.p, null_qz.shape[1])).square().sum((0, 2)).sqrt()
            outside.append(still_r[reach_r > 1e-7 * x_rp.norm(dim=1)])
        return torch.cat(outside)

    def recession(self, direction_q: Tensor) -> Recession:
        everything_r = torch.arange(self._problem.n, device=direction_q.device)
        n_still, is_complete = 0, True
        for index_r in everything_r.split(_BLOCK_ROWS):
            n_still += len(self._still(index_r, direction_q))
            margin_i = self.differences(index_r) @ direction_q
            is_complete = is_complete and bool((margin_i > _MOVED).all())
        n_moved = self._problem.n - n_still
        null_qz = self._null(everything_r, direction_q)
        flat_qz = self._null(everything_r, torch.zeros_like(direction_q))
        null_qz -= flat_qz @ (flat_qz.T @ null_qz)
        flat_qq = flat_qz / self.scale_q.unsqueeze(1) @ (flat_qz.T * self.scale_q)
        return Recession(direction_q, n_moved, is_complete, null_qz / self.scale_q.unsqueeze(1), flat_qq)

    def _still(self, index_r: Tensor, direction_q: Tensor) -> Tensor:
        """Those of the rows that gain on no other class along the direction."""
        z_rf = rows_at(self._problem, index_r) @ direction_q.view(-1, self.p).T
        return index_r[z_rf.abs().amax(1) <= _MOVED]

    def _null(self, index_r: Tensor, direction_q: Tensor) -> Tensor:
        """What the differences of these rows that do not move leave undetermined, on scaled columns."""
        gram_qq = direction_q.new_zeros(self.q, self.q)
        for part_r in index_r.split(max(64, _BLOCK_ROWS // self._problem.k)):
            a_iq = self.differences(part_r)
            a_iq = a_iq[(a_iq @ direction_q).abs() <= _MOVED] / self.scale_q
            gram_qq += a_iq.T @ a_iq
        value_q, vector_qq = torch.linalg.eigh(gram_qq)
        return vector_qq[:, value_q <= 1e-12 * value_q[-1].clamp(min=1e-300) * self.q]


def _widest(a_iq: Tensor, scale_q: Tensor, open_2q: Tensor | None) -> Tensor:
    """The direction that moves most of the differences; arbitrary where they do not look."""
    from scipy import sparse  # noqa: PLC0415  scipy.optimize takes half a second, and few fits need it

    n, q = a_iq.shape
    scaled_iq = (a_iq / scale_q).cpu().numpy()
    left = sparse.hstack([sparse.csr_array(-scaled_iq), sparse.eye_array(n)], format="csr")
    if open_2q is None:
        within = [(0.0, 0.0) if is_dependent else (-1e6, 1e6) for is_dependent in _dependent(scaled_iq)]
    else:
        within = [(-1e6 * falls, 1e6 * rises) for falls, rises in open_2q.T.tolist()]
    solution = _solve([0.0] * q + [-1.0] * n, left, [0.0] * n, within + [(0.0, 1.0)] * n)
    return torch.as_tensor(solution[:q]).to(a_iq.device) / scale_q


def _dependent(scaled_iq: Any) -> Any:
    """Columns that are combinations of others move nothing that those do not; with them HiGHS finds no vertex."""
    import numpy as np  # noqa: PLC0415
    from scipy.linalg import qr  # noqa: PLC0415

    triangle, order = qr(scaled_iq, mode="r", pivoting=True)
    size_s = np.abs(np.diagonal(triangle))
    is_dependent_q = np.ones(scaled_iq.shape[1], bool)
    is_dependent_q[order[: int((size_s > 1e-9 * size_s[0]).sum())]] = False
    return is_dependent_q


def _least_sum(a_iq: Tensor, is_moved_i: Tensor, scale_q: Tensor) -> Tensor:
    """min |theta|_1 with a_i' theta >= 1 for what is moved and >= 0 for what is not."""
    import numpy as np  # noqa: PLC0415

    scaled_iq, q = (a_iq / scale_q).cpu().numpy(), a_iq.shape[1]
    bound = (-is_moved_i.double()).tolist()
    solution = _solve([1.0] * (2 * q), np.hstack([-scaled_iq, scaled_iq]), bound, [(0.0, None)] * (2 * q))
    return torch.as_tensor(solution[:q] - solution[q:]).to(a_iq.device) / scale_q


def _solve(cost: list[float], left: Any, right: list[float], bounds: Sequence[tuple[float, float | None]]) -> Any:
    from scipy.optimize import linprog  # noqa: PLC0415

    for method in ("highs", "highs-ipm"):  # where the simplex method loses its footing, inner points may not
        answer = linprog(cost, left, right, bounds=bounds, method=method, options={"time_limit": _TIME_LIMIT_S})
        if answer.x is not None and answer.status == 0:
            return answer.x
        if answer.status != _IN_DIFFICULTIES:
            break
    raise Unsolved(answer.message)
