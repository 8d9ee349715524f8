"""What one pass over the rows can tell about parameters.

Shapes: b members, k outputs, p columns of x, q = k * p.
"""

from enum import Enum, auto
from typing import Any, NamedTuple

from torch import Tensor


class Want(Enum):
    """What is asked for besides value and gradient."""

    GRADIENT = auto()
    """Nothing."""
    HESSIAN = auto()
    PRODUCTS = auto()
    """The means to multiply with the Hessian, without ever making it."""
    GRADIENT_AT_ZERO = auto()
    """The gradient at parameters of zero."""


class Derivatives(NamedTuple):
    """What one pass over the rows tells about theta, in float64."""

    value_b: Tensor
    gradient_bkp: Tensor
    hessian_bqq: Tensor | None
    """None where it was not asked for."""
    weights: Any = None
    """What `curvature_product` needs to know of z, where that was asked for."""
    drift_b: Tensor | None = None
    """Largest change of any row's z (multinomial: range of changes over classes) since the last Hessian, where that is
    followed: curvatures have changed by at most a factor exp(drift)."""
    right_b: Tensor | None = None
    """Rows whose class is the predicted one, or with weights their shares added up; None where nobody counted."""
    reach_b: Tensor | None = None
    """w^-1/2 with w the least share_n d2 loss / dz2, where a pass for the Hessian H tells it: H is nowhere below
    w x_n' x_n, so that no row's z moves by more than this times a step's length in the norm of H."""
    length_b: Tensor | None = None
    """The largest length of a row of x, where a pass for the Hessian tells it."""
    gradient_at_zero_bkp: Tensor | None = None
    """None where it was not asked for."""
