"""The data of a fit: features, targets and the weights of rows.

Shapes: n rows, d features, p = d columns of x plus the column of ones, k outputs (1 for two classes, else one a class).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be fitted, on one device and in one dtype."""

    x_np: Tensor
    """The features, followed by a column of ones where the model has an intercept."""
    y_nk: Tensor
    """Binomial (k = 1): 1 for class 1, else 0. Multinomial: one column a class, 1 in the row's own."""
    has_intercept: bool
    weight_n: Tensor | None = None
    """Non-negative; a row of weight 2 counts as that row twice. None: every row counts once."""

    @property
    def n(self) -> int:
        return len(self.x_np)

    @property
    def d(self) -> int:
        return int(self.x_np.shape[1]) - self.has_intercept

    @property
    def k(self) -> int:
        return int(self.y_nk.shape[1])

    @cached_property
    def share_n1(self) -> Tensor:
        """Each row's share of the whole weight: they add up to 1."""
        if self.weight_n is None:
            return self.x_np.new_full((1, 1), 1 / self.n).expand(self.n, 1)
        return (self.weight_n / self.weight_n.sum()).unsqueeze(1)

    @cached_property
    def class_n(self) -> Tensor:
        """The index of each row's class."""
        return self.y_nk[:, 0].long() if self.k == 1 else self.y_nk.argmax(1)

    def rows(self, index_r: Tensor) -> "Problem":
        weight_r = None if self.weight_n is None else self.weight_n[index_r]
        return Problem(self.x_np[index_r], self.y_nk[index_r], self.has_intercept, weight_r)


def make_problem(
    x_nd: Tensor,
    class_n: Tensor,
    n_classes: int,
    *,
    is_binomial: bool,
    has_intercept: bool = True,
    weight_n: Tensor | None = None,
) -> Problem:
    """A problem from features and class indices; binomial wants two classes."""
    if is_binomial and n_classes != 2:
        raise ValueError(f"a binomial problem has 2 classes, not {n_classes}")
    if is_binomial:
        y_nk = class_n.unsqueeze(1).to(x_nd.dtype)
    else:
        y_nk = torch.zeros(len(class_n), n_classes, dtype=x_nd.dtype, device=x_nd.device)
        y_nk.scatter_(1, class_n.unsqueeze(1), 1.0)
    x_np = torch.cat((x_nd, x_nd.new_ones(len(x_nd), 1)), 1) if has_intercept else x_nd.contiguous()
    return Problem(x_np, y_nk, has_intercept, weight_n)
