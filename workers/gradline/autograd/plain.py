"""What Python's own values can do, and the bounds under which they do it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradline.autograd.limits import Budget
from gradline.programs.allowed import METHODS
from gradline.programs.formats import check_percent

PLAIN_METHODS: dict[str, dict[str, Callable[..., Any]]] = {
    kind: {name: getattr(owner, name) for name in METHODS[kind] if hasattr(owner, name)}
    for kind, owner in {
        "list": list, "tuple": tuple, "dict": dict, "str": str, "float": float, "size": torch.Size, "array": np.ndarray,
        "module": torch.nn.Module,
    }.items()
}  # fmt: skip
CONVERSIONS: dict[str, Callable[[Any], Any]] = {"": lambda value: value, "r": repr, "s": str, "a": ascii}
"""What `!r`, `!s` and `!a` do before formatting."""


def bound_plain(budget: Budget, sign: str, left: Any, right: Any) -> None:
    """Refuses what Python's own types would let grow without bound."""
    if sign == "%" and isinstance(left, str):
        check_percent(left)
        return
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        budget.check_elements(float(np.size(left)) * float(np.size(right)))
    if sign == "**" and isinstance(left, int) and isinstance(right, int):
        budget.check_integer(left.bit_length() * abs(right) if abs(left) > 1 else 0)
    elif sign == "*" and isinstance(left, int) and isinstance(right, int):
        budget.check_integer(left.bit_length() + right.bit_length())
    elif sign == "*":
        budget.check_items(_length(left, right) * max(_factor(left), _factor(right), 0))
    elif sign == "+" and isinstance(left, str | list | tuple):
        budget.check_items(_length(left) + _length(right))


def _length(*values: Any) -> int:
    return max((len(value) for value in values if isinstance(value, str | list | tuple)), default=0)


def _factor(value: Any) -> int:
    return value if isinstance(value, int) else 0
