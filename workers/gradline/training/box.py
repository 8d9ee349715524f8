"""Bounds on the coefficients: lower_j <= w_j <= upper_j, the same for every output and member; the intercept has none.

Each is on the scale of the features as they are fitted. Shapes: d features, c of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

ROUNDING = 4
"""Units in the last place by which a step that ends at a bound may miss it."""


class Box(NamedTuple):
    lower_d: Tensor
    """-inf where nothing bounds it."""
    upper_d: Tensor

    @property
    def is_closed(self) -> bool:
        """Whether every coefficient has both bounds, so that any continuous objective has a minimum."""
        return bool((self.lower_d.isfinite() & self.upper_d.isfinite()).all())

    def of(self, index_c: Tensor) -> "Box":
        """Of some of the features."""
        return Box(self.lower_d[index_c], self.upper_d[index_c])

    def like(self, tensor: Tensor) -> "Box":
        """In its dtype and on its device."""
        return Box(self.lower_d.to(tensor), self.upper_d.to(tensor))

    def clamp_(self, w_bkd: Tensor) -> Tensor:
        """In place: the nearest coefficients within the bounds."""
        return torch.clamp(w_bkd, *self.like(w_bkd), out=w_bkd)

    def snap_(self, w_bkd: Tensor) -> Tensor:
        """In place: the same, and at a bound what differs from it by no more than rounding."""
        self.clamp_(w_bkd)
        for bound_d in self.like(w_bkd):
            is_there_bkd = (w_bkd - bound_d).abs() <= ROUNDING * torch.finfo(w_bkd.dtype).eps * bound_d.abs()
            w_bkd.copy_(torch.where(is_there_bkd & bound_d.isfinite(), bound_d, w_bkd))
        return w_bkd

    def at(self, w_bkd: Tensor) -> tuple[Tensor, Tensor]:
        """Which coefficients are at their lower bound, and which at their upper one."""
        lower_d, upper_d = self.like(w_bkd)
        return w_bkd <= lower_d, w_bkd >= upper_d

    def open_2d(self) -> Tensor:
        """Whether each coefficient may fall for ever, and whether it may rise."""
        return torch.stack((self.lower_d.isinf(), self.upper_d.isinf()))
