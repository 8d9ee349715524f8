"""What Python's own values can do, and the bounds under which they do it."""

import math
from collections.abc import Callable, Iterable, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.limits import Budget, LimitReached
from gradline.programs.allowed import METHODS
from gradline.programs.formats import check_percent

PLAIN_METHODS: dict[str, dict[str, Callable[..., Any]]] = {
    kind: {name: getattr(owner, name) for name in METHODS[kind] if hasattr(owner, name)}
    for kind, owner in {
        "list": list, "tuple": tuple, "dict": dict, "str": str, "float": float, "size": torch.Size, "array": np.ndarray,
        "module": torch.nn.Module, "set": set,
    }.items()
}  # fmt: skip
CONVERSIONS: dict[str, Callable[[Any], Any]] = {"": lambda value: value, "r": repr, "s": str, "a": ascii}
"""What `!r`, `!s` and `!a` do before formatting."""

ROOM = 10
"""Characters to an item of a list."""
MAX_NESTING = 60
"""Of containers within one another."""


def check_whole(budget: Budget, *values: Any) -> None:
    """Refuses values that Python would walk through whole, to compare them for one, for too long.

    A list may hold another one many times: sixty lines of `x = [x, x]` would print more than any memory holds.
    """
    for value in values:
        if isinstance(value, _HOLDERS):
            _Measure(budget, lambda _: 1).of(value)


def check_shown(budget: Budget, *values: Any) -> None:
    """The same for values that are about to be made text."""
    for value in values:
        if isinstance(value, (*_HOLDERS, Tensor, np.ndarray)):
            _Measure(budget, _shown_elements).of(value)


_HOLDERS = (list, tuple, dict, set, str, BaseException)


class _Measure:
    """About how many characters would show a value; refuses more than ROOM times the items that a list may have."""

    def __init__(self, budget: Budget, of_tensor: Callable[[Tensor], int]) -> None:
        self._budget = budget
        self._of_tensor = of_tensor
        self._known: dict[int, int] = {}
        """By id of a container: met again, it counts as much as the first time."""

    def of(self, value: Any, depth: int = 0) -> int:
        if isinstance(value, str):
            return len(value)
        if isinstance(value, int):
            return 1 + value.bit_length() // 3
        if isinstance(value, Tensor):
            return self._of_tensor(value)
        if isinstance(value, np.ndarray):
            return int(value.size) if value.size <= np.get_printoptions()["threshold"] else 1_000
        return self._of_container(value, depth) if isinstance(value, _HOLDERS) else 1

    def _of_container(self, value: Any, depth: int) -> int:
        if depth > MAX_NESTING:
            raise LimitReached("nesting", f"lists more than {MAX_NESTING} deep within one another")
        if id(value) not in self._known:
            self._known[id(value)] = total = 1  # what holds itself is shown as `[...]`
            for item in _held(value):
                total += self.of(item, depth + 1)
                if total > ROOM * self._budget.limits.list_items:
                    self._budget.check_items(total, "a value, with all that it holds,")
            self._known[id(value)] = total
        return self._known[id(value)]


def _held(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value.args if isinstance(value, BaseException) else value


def _shown_elements(tensor: Tensor) -> int:
    """Elements that torch shows of a tensor: all, or the edges of each dimension."""
    options = torch._tensor_str.PRINT_OPTS
    if tensor.numel() <= int(options.threshold):
        return int(tensor.numel())
    return int(min(tensor.numel(), (2 * options.edgeitems) ** tensor.dim()))


def length_of(sized: Sized) -> int:
    """Also of a range that is longer than `len` can say."""
    try:
        return len(sized)
    except OverflowError:
        return 1 << 63


def bound_plain(budget: Budget, sign: str, left: Any, right: Any) -> None:
    """Refuses what Python's own types would let grow, or be walked through, without bound."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        budget.check_elements(_broadcast(sign, left, right))
    if sign == "%" and isinstance(left, str):
        _bound_percent(budget, left, right)
    elif sign == "**" and isinstance(left, int) and isinstance(right, int):
        budget.check_integer(left.bit_length() * abs(right) if abs(left) > 1 else 0)
    elif sign == "<<" and isinstance(left, int) and isinstance(right, int):
        budget.check_integer(left.bit_length() + right)
    elif sign == "*" and isinstance(left, int) and isinstance(right, int):
        budget.check_integer(left.bit_length() + right.bit_length())
    elif sign == "*":
        budget.check_items(_length(left, right) * max(_factor(left), _factor(right), 0))
    elif sign == "+" and isinstance(left, str | list | tuple):
        budget.check_items(_length(left) + _length(right))
    elif sign in _COMPARISONS and isinstance(left, list | tuple | dict):
        check_whole(budget, left, right)


_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def _bound_percent(budget: Budget, text: str, values: Any) -> None:
    check_percent(text)
    check_shown(budget, values)
    held = values if isinstance(values, tuple) else (values,)
    budget.check_items(len(text) + sum(_Measure(budget, _shown_elements).of(value) for value in held), "a text")


def _broadcast(sign: str, left: Any, right: Any) -> float:
    """Elements of the result of an operator on arrays."""
    if sign == "@" and np.ndim(left) and np.ndim(right):
        return float(np.size(left) * np.size(right) / max(np.shape(left)[-1], 1) ** 2)
    try:
        return float(math.prod(np.broadcast_shapes(np.shape(left), np.shape(right))))
    except ValueError:
        return 0.0  # numpy says itself that they do not fit


def _length(*values: Any) -> int:
    return max((len(value) for value in values if isinstance(value, str | list | tuple)), default=0)


def _factor(value: Any) -> int:
    return value if isinstance(value, int) else 0


_PRINT_LIMITS = {"precision": 30, "threshold": 10_000, "edgeitems": 100, "linewidth": 1_000}


def bounded_print_options(given: dict[str, Any]) -> dict[str, Any]:
    """Those that are given, as far as it can be printed: torch prints a million numbers for half a minute."""
    return {name: min(value, _PRINT_LIMITS.get(name, value)) for name, value in given.items() if value is not None}
