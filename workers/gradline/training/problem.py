"""The data of a fit: features, targets and the weights of rows.

Shapes: n rows, d features, p = d columns of x plus the column of ones, k outputs (1, but one a class for multinomial),
b members.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from gradline.training.family import Family
from gradline.training.products import (
    DenseProducts,
    Entries,
    ImpliedOnes,
    LetGo,
    Products,
    SparseProducts,
    letting_go,
    row_ranges,
    rows_between,
    sparse_rows,
    with_ones,
)
from gradline.training.streaming import StreamedProducts, Window

CHUNK_BYTES = 16 * 2**20
"""Of features: products of this many stay in one sum of their dtype; larger problems add float64 sums of such."""
CUDA_CHUNK_BYTES = 256 * 2**20
"""The same on a CUDA device, which adds up many parts of a product side by side, and waits for each call."""
ROWS_AT_ONCE = 512
"""Of those picked from features in a file: each may bring many of its neighbours into memory."""
FITTED = 1e-12
"""Share of the mean count that a loss of counts may be wrong by; below it all of them are fitted."""
MAX_COPIED = 2**18
"""Entries of features that are copied to stand beside a column of ones: one product then does for all columns."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be fitted, on one device and in one dtype."""

    x_np: Tensor
    """The features, followed by a column of ones where the model has an intercept; dense, or sparse by rows (CSR)."""
    y_nk: Tensor
    """Multinomial: one column a class, 1 in the row's own. Else one column: 1 for class 1 and 0 for class 0, or the
    number itself."""
    family: Family
    has_intercept: bool
    weight_nb: Tensor | None = None
    """Non-negative; a row of weight 2 counts as that row twice. One column, or one a member where members weigh rows
    differently, as folds and bootstrap replicates do. None: every row counts once."""
    offset_n1: Tensor | None = None
    """Added to the linear predictor with a coefficient of 1. Not for multinomial."""
    implies_ones: bool = False
    """Whether the column of ones is left out of x_np and only thought of, so that large features need no copy."""
    let_go: LetGo | None = None
    """Called where a part of the features has been read; given where they lie in a file that is mapped into memory."""
    entries: Entries | None = None
    """Where the transpose of such features is put, if they are sparse."""

    @property
    def n(self) -> int:
        return int(self.x_np.shape[0])

    @property
    def p(self) -> int:
        """With the column of ones, implied or not."""
        return int(self.x_np.shape[1]) + self.implies_ones

    @property
    def d(self) -> int:
        return self.p - self.has_intercept

    @property
    def k(self) -> int:
        return int(self.y_nk.shape[1])

    @property
    def is_sparse(self) -> bool:
        return bool(self.x_np.layout == torch.sparse_csr)

    @property
    def is_streamed(self) -> bool:
        """Whether the features stay on the host while all else is on the device."""
        return bool(self.x_np.device != self.y_nk.device)

    @cached_property
    def window(self) -> Window:
        """Through which features that stay on the host pass over the device."""
        return Window(self.x_np, self.y_nk.device)

    @cached_property
    def products(self) -> Products:
        """x theta and r' x; of sparse features the transpose is made once and kept."""
        if self.is_streamed:
            features: Products = StreamedProducts(self.x_np, self.window)
        else:
            features = self._sparse_products() if self.is_sparse else DenseProducts(self.x_np)
        return ImpliedOnes(features) if self.implies_ones else features

    def _sparse_products(self) -> SparseProducts:
        return SparseProducts(self.x_np) if self.x_np.is_cuda else SparseProducts(self.x_np, self.let_go, self.entries)

    @cached_property
    def radius(self) -> float:
        """The largest length of a row, the one for the intercept included."""
        return self.products.radius()

    @cached_property
    def highest_of_all(self) -> Tensor:
        """At least the largest absolute entry of each column, from one look at them all together."""
        return self.products.highest_of_all()

    @cached_property
    def share_nb(self) -> Tensor:
        """Each row's share of the whole weight: every column adds up to 1."""
        if self.weight_nb is None:
            return self.y_nk.new_full((1, 1), 1 / self.n).expand(self.n, 1)
        return self.weight_nb / self.weight_nb.sum(0)

    @cached_property
    def separated_below_b(self) -> Tensor:
        """Below here the loss has no minimum. Of classes no row is on the wrong side: its own share of the loss would
        be more. Counts are all fitted but for rounding, those of 0 too, which takes a linear predictor without end."""
        share_nb = self.share_nb[:1] if self.weight_nb is None else self.share_nb
        if not self.family.is_classification:
            has_zero_b = ((self.y_nk == 0) & (share_nb > 0)).any(0) & (self.family == Family.POISSON)
            return has_zero_b * (self.share_nb * self.y_nk).sum(0) * FITTED
        return torch.where(share_nb > 0, share_nb, torch.inf).amin(0) * math.log(2)

    @cached_property
    def target_term(self) -> Tensor:
        """What the targets alone add to the loss, one number: for poisson the sum of share (y log(y) - y)."""
        if self.family != Family.POISSON:
            return self.share_nb.new_zeros((), dtype=torch.float64)
        y_n1 = self.y_nk.double()
        return (self.share_nb.double() * (torch.xlogy(y_n1, y_n1) - y_n1)).sum()

    def mean_of(self, value_nk: Tensor) -> Tensor:
        """Over the rows as the first member weighs them, [k] in float64."""
        if self.weight_nb is None:
            return value_nk.mean(0, dtype=torch.float64)
        return (self.share_nb[:, :1].double() * value_nk).sum(0)

    @cached_property
    def class_n(self) -> Tensor:
        """The index of each row's class."""
        return self.y_nk[:, 0].long() if self.k == 1 else self.y_nk.argmax(1)

    @cached_property
    def has_every_target(self) -> bool:
        """Whether each class has weight in every member, or some count is not 0; of numbers, always."""
        if self.family == Family.GAUSSIAN:
            return True
        if self.k == 1 and self.weight_nb is None:
            lowest, highest = torch.aminmax(self.y_nk)
            return bool(highest > 0) and (self.family == Family.POISSON or bool(lowest < 1))
        share_nb = self.share_nb.to(self.y_nk.dtype)
        is_there = share_nb.T @ self.y_nk > 0
        if self.family == Family.BINOMIAL:
            is_there = is_there & (share_nb.T @ (1 - self.y_nk) > 0)
        return bool(is_there.all())

    def rows(self, index_r: Tensor) -> "Problem":
        weight_rb = None if self.weight_nb is None else self.weight_nb.index_select(0, index_r)
        offset_r1 = None if self.offset_n1 is None else self.offset_n1.index_select(0, index_r)
        x_rp = sparse_rows(self.x_np, index_r) if self.is_sparse else self._dense_rows(index_r)
        y_rk = self.y_nk.index_select(0, index_r)
        return replace(self, x_np=x_rp, y_nk=y_rk, weight_nb=weight_rb, offset_n1=offset_r1)

    def _dense_rows(self, index_r: Tensor) -> Tensor:
        """On the device, also where the others are not."""
        index_r = index_r.to(self.x_np.device)
        if self.let_go is None:
            return self.x_np.index_select(0, index_r).to(self.y_nk.device)
        x_rp = self.x_np.new_empty(len(index_r), self.x_np.shape[1])
        parts = zip(x_rp.split(ROWS_AT_ONCE), index_r.split(ROWS_AT_ONCE), strict=True)
        for some_sp, some_s in letting_go(parts, self.let_go):
            torch.index_select(self.x_np, 0, some_s, out=some_sp)
        return x_rp.to(self.y_nk.device)

    def to(self, dtype: torch.dtype) -> "Problem":
        """The same numbers in another dtype."""
        offset_n1 = None if self.offset_n1 is None else self.offset_n1.to(dtype)
        weight_nb = None if self.weight_nb is None else self.weight_nb.to(dtype)
        return replace(
            self, x_np=self.x_np.to(dtype), y_nk=self.y_nk.to(dtype), weight_nb=weight_nb, offset_n1=offset_n1
        )

    def chunks(self) -> "list[Problem]":
        """Ranges of its rows in order, as long as one another; all at once where they are few, or sparse."""
        n_bytes = CUDA_CHUNK_BYTES if self.y_nk.is_cuda else CHUNK_BYTES
        n_chunks = math.ceil(self.n * self.p * self.y_nk.element_size() / n_bytes)
        if self.is_sparse or n_chunks <= 1:
            return [self]
        n_rows = math.ceil(self.n / n_chunks)
        return [self.between(start, start + n_rows) for start in range(0, self.n, n_rows)]

    def ranges(self) -> "list[Problem]":
        """As `chunks`, sparse rows too: for what copies the rows that it looks at."""
        return [self.between(r.start, r.stop) for r in row_ranges(self.x_np)] if self.is_sparse else self.chunks()

    def between(self, start: int, stop: int) -> "Problem":
        """Views of the rows from start to stop, each with its share of the whole problem's weight."""
        part = slice(start, stop)
        weight_rb = None if self.weight_nb is None else self.weight_nb[part]
        offset_r1 = None if self.offset_n1 is None else self.offset_n1[part]
        x_rp = rows_between(self.x_np, slice(start, min(stop, self.n))) if self.is_sparse else self.x_np[part]
        rows = replace(self, x_np=x_rp, y_nk=self.y_nk[part], weight_nb=weight_rb, offset_n1=offset_r1)
        rows.__dict__["share_nb"] = self.share_nb[part]
        if self.is_streamed:
            rows.__dict__["window"] = self.window
        return rows


def make_problem(
    x_nd: Tensor,
    target_n: Tensor,
    family: Family,
    n_classes: int = 2,
    *,
    has_intercept: bool = True,
    weight_n: Tensor | None = None,
    offset_n: Tensor | None = None,
    implies_ones: bool = False,
) -> Problem:
    """A problem from features and targets: indices of classes, or numbers. Raises ValueError where they do not fit."""
    if family == Family.BINOMIAL and n_classes != 2:
        raise ValueError(f"a binomial problem has 2 classes, not {n_classes}")
    if family == Family.MULTINOMIAL and offset_n is not None:
        raise ValueError("a multinomial problem takes no offset")
    if family == Family.POISSON and bool((target_n < 0).any()):
        raise ValueError("a poisson problem has no negative targets")
    if family == Family.MULTINOMIAL:
        y_nk = torch.zeros(len(target_n), n_classes, dtype=x_nd.dtype, device=x_nd.device)
        y_nk.scatter_(1, target_n.unsqueeze(1), 1.0)
    else:
        y_nk = target_n.unsqueeze(1).to(x_nd.dtype)
    is_large = x_nd.numel() > MAX_COPIED
    implies_ones = implies_ones and has_intercept and is_large
    x_np = with_ones(x_nd) if has_intercept and not implies_ones else x_nd
    x_np = x_np if x_np.layout == torch.sparse_csr else x_np.contiguous()
    weight_nb = None if weight_n is None else weight_n.unsqueeze(1)
    offset_n1 = None if offset_n is None else offset_n.unsqueeze(1).to(x_nd.dtype)
    return Problem(x_np, y_nk, family, has_intercept, weight_nb, offset_n1, implies_ones)
