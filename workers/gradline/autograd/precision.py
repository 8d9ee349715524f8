"""Values in float64, for comparing gradients with finite differences."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_DOUBLE = {torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64}


def double(value: Any) -> Any:
    """The value in float64; what is not of a lower precision stays."""
    if isinstance(value, Tensor):
        return value.double() if value.dtype in _DOUBLE else value
    if isinstance(value, torch.dtype):
        return _DOUBLE.get(value, value)
    if type(value) in (list, tuple):
        return doubled(value)
    return value


def doubled(values: Sequence[Any]) -> Any:
    return type(values)(double(value) for value in values)  # type: ignore[call-arg]
