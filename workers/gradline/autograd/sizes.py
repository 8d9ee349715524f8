"""Refuses operations that would give or do too much, before they are run: nothing can interrupt one."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.costs import ELEMENTWISE, PIECES, SIZES, WORK, flat, upper_bound
from gradline.autograd.limits import LARGE, Budget, LimitReached
from gradline.autograd.plain import check_whole, length_of

MANY = 64
MAX_WORK = 1e10
"""Multiplications of one operation: nothing can interrupt it, so it may take a few seconds at most."""


class SizeGuard:
    """Refuses an operation whose result would have too many elements, before it is run.

    No operation of the table gives more elements than the product of its operands' and of its whole-number arguments,
    but for those of SIZES; where that bound is too high, torch itself says the shape, on its `meta` device.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.share = 1
        """Of how many copies at once, inside a vectorised transform."""
        self.depth = 0
        """Of transforms within one another."""

    def check(self, name: str, function: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Raises LimitReached for a result that would be too large."""
        limit = self._budget.limits.tensor_elements // self.share
        size = SIZES.get(name)
        bound = self._bound(args) * (self._bound(kwargs.values()) if kwargs else 1)
        if bound > LARGE:
            self._budget.check_time()
            self._budget.check_memory()
        if name in WORK:
            self._check_work(_known(WORK[name], args, kwargs) * self.share)
        if name in PIECES:
            self._budget.check_items(_known(PIECES[name], args, kwargs), "as many tensors as")
        if size is not None:
            self.check_elements(_known(size, args, kwargs))
        elif bound > limit:
            n = upper_bound(name, args, kwargs)
            self.check_elements(
                self._size(function, args, kwargs) if n is None or (n > limit and name not in ELEMENTWISE) else n
            )

    def check_elements(self, n: float) -> None:
        """Raises LimitReached for so many elements, of each copy inside a transform."""
        self._budget.check_elements(n * self.share)

    def _check_work(self, n: float) -> None:
        if n > MAX_WORK:
            raise LimitReached("work", f"one operation of {n:.0e} multiplications; the limit is {MAX_WORK:.0e}")

    def _bound(self, values: Iterable[Any]) -> float:
        """The product of all elements and whole numbers; of lists only after a look at how much they hold."""
        product = 1.0
        for value in values:
            kind = type(value)
            if kind is Tensor:
                product *= value.numel() or 1
            elif kind is int:
                product *= abs(value) or 1
            elif kind is range:
                self._budget.check_items(length_of(value))
            elif kind is list or kind is tuple or kind is torch.Size:
                check_whole(self._budget, value)
                product *= _product(value)
        return product

    def _size(self, function: Any, args: Any, kwargs: dict[str, Any]) -> float:
        tensors = [value for value in flat(args) if isinstance(value, Tensor)]
        if len(tensors) > MANY:  # only `cat` and its like take so many, and they put them one behind the other
            return float(sum(tensor.numel() for tensor in tensors))
        return self._meta_elements(function, args, kwargs)

    def _meta_elements(self, function: Any, args: Any, kwargs: dict[str, Any]) -> float:
        meta_kwargs = {name: _to_meta(value) for name, value in kwargs.items() if name != "device"}
        if not any(isinstance(value, Tensor) for value in flat([*args, *kwargs.values()])):
            meta_kwargs["device"] = "meta"
        try:
            with torch.no_grad():
                made = function(*_to_meta(args), **meta_kwargs)
        except Exception:  # noqa: BLE001  any error of the program counts
            return 0.0
        return float(max((value.numel() for value in flat([made]) if isinstance(value, Tensor)), default=0))


def _known(size: Callable[..., float], args: Any, kwargs: dict[str, Any]) -> float:
    """Nothing for a wrong call, which says so itself."""
    try:
        return size(*args, **kwargs)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, OverflowError, ZeroDivisionError):
        return 0.0


def _product(values: Iterable[Any]) -> float:
    product = 1.0
    for value in flat(values):
        if isinstance(value, Tensor):
            product *= value.numel() or 1
        elif type(value) is int:
            product *= abs(value) or 1
    return product


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(map(_to_meta, value)) if not hasattr(value, "_fields") else tuple(map(_to_meta, value))
    return value
