"""An order of the columns in which those that lean on each other stand side by side, from some of the rows.

Pairs are taken by falling correlation, and what they stand in is joined, as single linkage does (Gower and Ross 1969),
end to end where the pair is. Shapes: r rows, d features, t columns looked at at a time.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

ROWS = 256
NOISE = 5.0
"""Standard deviations of a correlation of columns that have none: more is a sign of one."""
PARTNERS = 8
"""Of each column, those that it leans on most."""
LOOKED_AT = 64
LEAST_SHARE = 0.25
"""Of the columns looked at, whose strongest partner must stand in another block, for a new order to pay."""
COLUMNS_AT_ONCE = 512


def grouped(x_rd: Tensor, size: int) -> Tensor | None:
    """The order as indices [d]; None where blocks of `size` columns as they stand do as well."""
    d = x_rd.shape[1]
    unit_rd = x_rd - x_rd.mean(0)
    unit_rd /= unit_rd.norm(dim=0).clamp_(min=torch.finfo(x_rd.dtype).tiny)
    least = NOISE * len(x_rd) ** -0.5
    some_t = torch.linspace(0, d - 1, min(d, LOOKED_AT), device=x_rd.device).long()
    strength_t1, partner_t1 = _partners(unit_rd, some_t, unit_rd, 1)
    are_apart_t1 = (strength_t1 > least) & (partner_t1 // size != some_t.unsqueeze(1) // size)
    if are_apart_t1.sum() < LEAST_SHARE * len(some_t):
        return None
    chains = _Chains(d)
    for first, second in _pairs(unit_rd, least):
        chains.join(first, second)
    return torch.tensor(chains.in_order(), device=x_rd.device)


def _partners(unit_rd: Tensor, column_t: Tensor, among_rd: Tensor, n_partners: int) -> tuple[Tensor, Tensor]:
    """The largest absolute correlations of some columns with others among the last, and with which, [t, n_partners]."""
    n_before = unit_rd.shape[1] - among_rd.shape[1]
    correlation_td = (unit_rd[:, column_t].T @ among_rd).abs_()
    correlation_td.scatter_(1, column_t.unsqueeze(1) - n_before, 0.0)
    strength_tk, partner_tk = torch.topk(correlation_td, n_partners, dim=1)
    return strength_tk, partner_tk + n_before


def _pairs(unit_rd: Tensor, least: float) -> Iterator[tuple[int, int]]:
    """Columns and their partners, the strongest correlations first. Each looks among those of its part and after it."""
    column_d, parts = torch.arange(unit_rd.shape[1], device=unit_rd.device), []
    for column_t in column_d.split(COLUMNS_AT_ONCE):
        among_rd = unit_rd[:, int(column_t[0]) :]
        strength_tk, partner_tk = _partners(unit_rd, column_t, among_rd, min(PARTNERS, among_rd.shape[1]))
        parts.append(torch.stack((strength_tk, column_t.unsqueeze(1).expand_as(partner_tk), partner_tk)).flatten(1))
    strength_e, first_e, second_e = torch.cat(parts, 1)
    order_e = strength_e.argsort(descending=True)[: int((strength_e > least).sum())]
    yield from zip(first_e[order_e].int().tolist(), second_e[order_e].int().tolist(), strict=True)


class _Chains:
    """Columns in chains, at first each in one of its own."""

    def __init__(self, d: int) -> None:
        self._chain_of = [[column] for column in range(d)]

    def join(self, first: int, second: int) -> None:
        """The chains of both, turned so that these two come as near to each other as they can."""
        ahead, behind = self._chain_of[first], self._chain_of[second]
        if ahead is behind:
            return
        if len(ahead) < len(behind):
            first, second, ahead, behind = second, first, behind, ahead
        if 2 * ahead.index(first) < len(ahead) - 1:
            ahead.reverse()
        if 2 * behind.index(second) > len(behind) - 1:
            behind.reverse()
        ahead += behind
        for column in behind:
            self._chain_of[column] = ahead

    def in_order(self) -> list[int]:
        """One after another, long ones first."""
        chains = {id(chain): chain for chain in self._chain_of}
        return [column for chain in sorted(chains.values(), key=len, reverse=True) for column in chain]
