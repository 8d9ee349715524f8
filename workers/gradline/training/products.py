"""What is computed of the features alone, for dense and for sparse ones: x theta, r' x, x' diag(c) x.

Sparse features are kept twice, by rows and by columns (CSR of x and of its transpose): each product then reads its
matrix in order, and no two rows write to the same sum. Indices of 32 bits make them three times as fast as 64. Where
such a matrix lies in a file that is mapped into memory, both are read some rows at a time: every sum is over one row,
so that it has the same bits.

Shapes: n rows, d features, p = d + 1 with the column of ones, m columns of parameters, r rows of a block.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

BLOCK_BYTES = 2 * 2**20
"""Of the rows whose weighted copy stays in the cache until the product has read it."""
RANGE_BYTES = 16 * 2**20
"""Of indices and values of sparse rows that are looked at together."""
WRITTEN_AT_ONCE = 2**13
"""Entries of a transpose: each may bring a page of its own into memory."""

Part = TypeVar("Part")
LetGo = Callable[[], None]
Entries = Callable[[int, torch.dtype, torch.dtype], tuple[Tensor, Tensor]]
"""Makes room for so many column numbers and values of these types."""


class Products(ABC):
    """Of one matrix of features, the column of ones included."""

    @abstractmethod
    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        """out = x theta."""

    @abstractmethod
    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        """out = r' x."""

    @abstractmethod
    def gram(self, c_n1: Tensor) -> Tensor:
        """x' diag(c) x in float64: the sum of products of blocks of rows."""

    @abstractmethod
    def block(self, start: int, stop: int) -> Tensor:
        """Rows from start to stop, dense."""

    @abstractmethod
    def highest(self) -> Tensor:
        """The largest absolute entry of each column, float64."""

    @abstractmethod
    def highest_of_all(self) -> Tensor:
        """The same with the largest of them for all columns: one look at the entries, in any order."""

    @abstractmethod
    def radius(self) -> float:
        """The largest length of a row."""

    @abstractmethod
    def squares(self, c_n1: Tensor) -> Tensor:
        """The diagonal of x' diag(c) x, float64."""


class DenseProducts(Products):
    """x holds its column of ones, where there is one."""

    def __init__(self, x_np: Tensor) -> None:
        self._x_np = x_np
        self._n_block_rows = max(1, BLOCK_BYTES // max(1, x_np.shape[1] * x_np.element_size()))

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        torch.mm(self._x_np, theta_pm, out=out_nm)

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        torch.mm(r_nm.T, self._x_np, out=out_mp)

    def gram(self, c_n1: Tensor) -> Tensor:
        if len(self._x_np) <= self._n_block_rows:
            return ((self._x_np * c_n1).T @ self._x_np).double()
        total_pp = None
        for x_rp, c_r1 in zip(self._x_np.split(self._n_block_rows), c_n1.split(self._n_block_rows), strict=True):
            gram_pp = ((x_rp * c_r1).T @ x_rp).double()
            total_pp = gram_pp if total_pp is None else total_pp.add_(gram_pp)
        assert total_pp is not None  # noqa: S101  there are rows
        return total_pp

    def block(self, start: int, stop: int) -> Tensor:
        return self._x_np[start:stop]

    def radius(self) -> float:
        return float(torch.linalg.vector_norm(self._x_np, dim=1).amax())

    def squares(self, c_n1: Tensor) -> Tensor:
        total_p = torch.zeros(self._x_np.shape[1], dtype=torch.float64, device=c_n1.device)
        for x_rp, c_r1 in zip(self._x_np.split(self._n_block_rows), c_n1.split(self._n_block_rows), strict=True):
            total_p += (c_r1.T @ x_rp.square())[0]
        return total_p

    def highest(self) -> Tensor:
        """Of rows laid side by side first: many short columns take ten times as long."""
        p = self._x_np.shape[1]
        n_beside = max(1, 1024 // max(1, p))
        highest_p = self._x_np.new_zeros(p)
        for x_rp in self._x_np.split(self._n_block_rows):
            rest = len(x_rp) % n_beside
            for part_rp, beside in ((x_rp[: len(x_rp) - rest], n_beside), (x_rp[len(x_rp) - rest :], 1)):
                if len(part_rp):
                    wide_sw = part_rp.reshape(-1, beside * p)
                    extreme_w = torch.maximum(wide_sw.amax(0), -wide_sw.amin(0))
                    torch.maximum(highest_p, extreme_w.view(beside, p).amax(0), out=highest_p)
        return highest_p.double()

    def highest_of_all(self) -> Tensor:
        return _extreme(self._x_np).expand(self._x_np.shape[1])


class ImpliedOnes(Products):
    """Features as the caller has them; the column of ones is only thought of, so that nothing is copied."""

    def __init__(self, features: Products) -> None:
        self._features = features

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        self._features.predict(theta_pm[:-1], out_nm)
        out_nm.add_(theta_pm[-1:])

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        self._features.collect(r_nm, out_mp[:, :-1])
        out_mp[:, -1] = r_nm.sum(0)

    def gram(self, c_n1: Tensor) -> Tensor:
        gram_dd = self._features.gram(c_n1)
        d = len(gram_dd)
        gram_pp, edge_1d = gram_dd.new_empty(d + 1, d + 1), c_n1.new_empty(1, d)
        self._features.collect(c_n1, edge_1d)
        gram_pp[:d, :d], gram_pp[d, :d], gram_pp[:d, d] = gram_dd, edge_1d[0], edge_1d[0]
        gram_pp[d, d] = c_n1.sum(dtype=torch.float64)
        return gram_pp

    def block(self, start: int, stop: int) -> Tensor:
        return with_ones(self._features.block(start, stop))

    def radius(self) -> float:
        return math.hypot(self._features.radius(), 1.0)

    def squares(self, c_n1: Tensor) -> Tensor:
        return torch.cat((self._features.squares(c_n1), c_n1.sum(0, dtype=torch.float64)))

    def highest(self) -> Tensor:
        return _and_one(self._features.highest())

    def highest_of_all(self) -> Tensor:
        return _and_one(self._features.highest_of_all())


class SparseProducts(Products):
    """CSR, its column of ones included."""

    def __init__(self, x_np: Tensor, let_go: LetGo | None = None, entries: Entries | None = None) -> None:
        """`let_go`: called once some rows have been read, where they lie in a mapped file; `entries` has room there."""
        self._x_np = with_short_indices(x_np)
        self._let_go, self._entries = let_go, entries

    @cached_property
    def _xt_pn(self) -> Tensor:
        """Most that only predicts needs none."""
        if self._entries is None:
            return transposed(self._x_np)
        return _transposed_in(self._entries, self._x_np, self._let_go)

    def _parts(self, x_np: Tensor) -> Iterable[tuple[slice, Tensor]]:
        return [(slice(0, x_np.shape[0]), x_np)] if self._let_go is None else parts_of(x_np, self._let_go)

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        theta_pm = theta_pm.contiguous()
        for rows, x_rp in self._parts(self._x_np):
            torch.mm(x_rp, theta_pm, out=out_nm[rows])

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        for columns, xt_cn in self._parts(self._xt_pn):
            out_mp[:, columns] = (xt_cn @ r_nm).T

    def gram(self, c_n1: Tensor) -> Tensor:
        n, p = self._x_np.shape
        n_block_rows = max(1, 8 * BLOCK_BYTES // (p * self._x_np.element_size()))
        total_pp = c_n1.new_zeros(p, p, dtype=torch.float64)
        for start in range(0, n, n_block_rows):
            x_rp = self.block(start, start + n_block_rows)
            total_pp += (x_rp * c_n1[start : start + n_block_rows]).T @ x_rp
        return total_pp

    def block(self, start: int, stop: int) -> Tensor:
        stop = min(stop, self._x_np.shape[0])
        sparse_rp = rows_between(self._x_np, slice(start, stop))
        x_rp = sparse_rp.values().new_zeros(sparse_rp.shape)
        x_rp[_row_numbers(sparse_rp), sparse_rp.col_indices().long()] = sparse_rp.values()
        if self._let_go is not None:
            self._let_go()
        return x_rp

    def radius(self) -> float:
        one_p1 = self._x_np.values().new_ones(self._x_np.shape[1], 1)
        return max(float((_squared(x_rp) @ one_p1).amax().sqrt()) for _, x_rp in self._parts(self._x_np))

    def squares(self, c_n1: Tensor) -> Tensor:
        c_n1 = c_n1.contiguous()
        return torch.cat([(_squared(xt_cn) @ c_n1)[:, 0].double() for _, xt_cn in self._parts(self._xt_pn)])

    def highest(self) -> Tensor:
        highest_p = self._x_np.values().new_zeros(self._x_np.shape[1])
        for _, x_rp in self._parts(self._x_np):
            highest_p.scatter_reduce_(0, x_rp.col_indices().long(), x_rp.values().abs(), "amax")
        return highest_p.double()

    def highest_of_all(self) -> Tensor:
        highest = torch.stack([_extreme(x_rp.values()) for _, x_rp in self._parts(self._x_np)]).amax()
        return highest.expand(self._x_np.shape[1])


def parts_of(x_np: Tensor, let_go: LetGo | None) -> Iterator[tuple[slice, Tensor]]:
    """Ranges of rows of a CSR matrix, and these rows."""
    return letting_go(((rows, rows_between(x_np, rows)) for rows in row_ranges(x_np)), let_go)


def letting_go(parts: Iterable[Part], let_go: LetGo | None) -> Iterator[Part]:
    """The same, with what each part has brought into memory let go before the next."""
    for part in parts:
        yield part
        if let_go is not None:
            let_go()


def row_ranges(x_np: Tensor) -> list[slice]:
    """Of a CSR matrix, in order: each of some 16 MiB, or of one row with more."""
    crow, column, value = x_np.crow_indices(), x_np.col_indices(), x_np.values()
    n_entries = RANGE_BYTES // (column.element_size() + value.element_size())
    ranges, start, n = [], 0, x_np.shape[0]
    while start < n:
        last = min(int(crow[start]) + n_entries, int(crow[-1]))
        full = int(torch.searchsorted(crow, last, right=True)) - 1
        stop = min(n, max(start + 1, full))
        ranges.append(slice(start, stop))
        start = stop
    return ranges


def rows_between(x_np: Tensor, rows: slice) -> Tensor:
    """Some rows of a CSR matrix side by side, as a view of their entries."""
    crow = x_np.crow_indices()[rows.start : rows.stop + 1]
    part = slice(int(crow[0]), int(crow[-1]))
    parts = crow - crow[0], x_np.col_indices()[part], x_np.values()[part]
    return torch.sparse_csr_tensor(*parts, (rows.stop - rows.start, x_np.shape[1]), check_invariants=False)


def _row_numbers(x_np: Tensor) -> Tensor:
    """Of each entry of a CSR matrix."""
    row = torch.arange(x_np.shape[0], device=x_np.device)
    return torch.repeat_interleave(row, x_np.crow_indices().diff())


def _extreme(entries: Tensor) -> Tensor:
    """The largest absolute entry; 0 of none."""
    lowest, highest = torch.aminmax(entries) if entries.numel() else (entries.sum(), entries.sum())
    return torch.maximum(-lowest, highest).double()


def _and_one(highest_d: Tensor) -> Tensor:
    return torch.cat((highest_d, highest_d.new_ones(1)))


def with_short_indices(x_np: Tensor) -> Tensor:
    """CSR with 32 bit indices, where they can count its entries."""
    if len(x_np.values()) >= 2**31 or x_np.crow_indices().dtype == torch.int32:
        return x_np
    crow, column = x_np.crow_indices().int(), x_np.col_indices().int()
    return torch.sparse_csr_tensor(crow, column, x_np.values(), x_np.shape, check_invariants=False)


def _squared(x_np: Tensor) -> Tensor:
    values = x_np.values().square()
    return torch.sparse_csr_tensor(x_np.crow_indices(), x_np.col_indices(), values, x_np.shape, check_invariants=False)


def transposed(x_np: Tensor) -> Tensor:
    """The transpose of a CSR matrix as CSR."""
    parts = (x_np.crow_indices(), x_np.col_indices(), x_np.values())
    if x_np.device.type == "cpu":
        from scipy import sparse  # noqa: PLC0415  few fits need it, and it takes a twentieth of torch's time

        crow, column, values = (part.numpy() for part in parts)
        csc = sparse.csr_matrix((values, column, crow), x_np.shape).tocsc()
        parts = (torch.from_numpy(csc.indptr), torch.from_numpy(csc.indices), torch.from_numpy(csc.data))
    else:
        by_column = x_np.to_sparse_csc()
        parts = (by_column.ccol_indices(), by_column.row_indices(), by_column.values())
    return torch.sparse_csr_tensor(*parts, (x_np.shape[1], x_np.shape[0]), check_invariants=False)


def _transposed_in(entries: Entries, x_np: Tensor, let_go: LetGo | None) -> Tensor:
    """The same, of one part of the rows after another, each of which has its entries of a column side by side: most
    pages are written once a part, not once an entry."""
    n, p = x_np.shape
    crow = x_np.crow_indices()
    count_p = crow.new_zeros(p, dtype=torch.long)
    for _, x_rp in parts_of(x_np, let_go):
        count_p += torch.bincount(x_rp.col_indices(), minlength=p)
    next_p = count_p.cumsum(0) - count_p
    ccol = torch.cat((next_p, next_p[-1:] + count_p[-1:])).to(crow.dtype)
    row_e, value_e = entries(len(x_np.values()), crow.dtype, x_np.dtype)
    for rows, x_rp in parts_of(x_np, let_go):
        xt_pr = transposed(x_rp)
        count_p = xt_pr.crow_indices().long().diff()
        at_e = torch.repeat_interleave(next_p - xt_pr.crow_indices()[:-1], count_p)
        at_e += torch.arange(len(at_e))
        written = at_e, (xt_pr.col_indices() + rows.start).to(row_e.dtype), xt_pr.values()
        pieces = zip(*(some.split(WRITTEN_AT_ONCE) for some in written), strict=True)
        for at_w, row_w, value_w in letting_go(pieces, let_go):
            row_e[at_w], value_e[at_w] = row_w, value_w
        next_p += count_p
    return torch.sparse_csr_tensor(ccol, row_e, value_e, (p, n), check_invariants=False)


def with_ones(x_nd: Tensor) -> Tensor:
    """A column of ones after the last; sparse where x is."""
    n, d = x_nd.shape
    if x_nd.layout != torch.sparse_csr:
        return torch.cat((x_nd, x_nd.new_ones(n, 1)), 1)
    crow, values = x_nd.crow_indices(), x_nd.values()
    is_one = torch.zeros(len(values) + n, dtype=torch.bool, device=values.device)
    is_one[crow[1:].long() + torch.arange(n, device=crow.device)] = True
    column = torch.full_like(is_one, d, dtype=crow.dtype)
    value = torch.ones_like(is_one, dtype=values.dtype)
    column[~is_one], value[~is_one] = x_nd.col_indices(), values
    crow_with = crow + torch.arange(n + 1, dtype=crow.dtype, device=crow.device)
    return torch.sparse_csr_tensor(crow_with, column, value, (n, d + 1), check_invariants=False)


def sparse_rows(x_np: Tensor, index_r: Tensor) -> Tensor:
    """Some rows of a CSR matrix, in the order of their indices."""
    crow = x_np.crow_indices().long()
    start_r, count_r = crow[index_r], crow[index_r + 1] - crow[index_r]
    crow_r = torch.cat((count_r.new_zeros(1), count_r.cumsum(0)))
    at = torch.arange(int(crow_r[-1]), device=crow.device) + torch.repeat_interleave(start_r - crow_r[:-1], count_r)
    indices = crow_r.to(x_np.crow_indices().dtype), x_np.col_indices()[at]
    return torch.sparse_csr_tensor(*indices, x_np.values()[at], (len(index_r), x_np.shape[1]), check_invariants=False)
