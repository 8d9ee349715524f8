"""How large the result of an operation would be, known before it is run."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.limits import Budget

MANY = 64


class SizeGuard:
    """Refuses an operation whose result would have too many elements, before it is run.

    No operation of the table gives more elements than the product of its operands' and of its whole-number arguments,
    but for those of SIZES; where that bound is too high, torch itself says the shape, on its `meta` device.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.share = 1
        """Of how many copies at once, inside a vectorised transform."""

    def check(self, name: str, function: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Raises LimitReached for a result that would be too large."""
        limit = self._budget.limits.tensor_elements // self.share
        size = SIZES.get(name)
        if size is not None:
            try:
                self._budget.check_elements(size(*args, **kwargs) * self.share)
            except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
                return  # a wrong call says so itself
        elif _bound(args) * (_bound(kwargs.values()) if kwargs else 1) > limit:
            self._budget.check_elements(self._size(function, args, kwargs) * self.share)

    def _size(self, function: Any, args: Any, kwargs: dict[str, Any]) -> float:
        tensors = [value for value in _flat(args) if isinstance(value, Tensor)]
        if len(tensors) > MANY:  # only `cat` and its like take so many, and they put them one behind the other
            return float(sum(tensor.numel() for tensor in tensors))
        return self._meta_elements(function, args, kwargs)

    def _meta_elements(self, function: Any, args: Any, kwargs: dict[str, Any]) -> float:
        meta_kwargs = {name: _to_meta(value) for name, value in kwargs.items() if name != "device"}
        if not any(isinstance(value, Tensor) for value in _flat([*args, *kwargs.values()])):
            meta_kwargs["device"] = "meta"
        try:
            with torch.no_grad():
                made = function(*_to_meta(args), **meta_kwargs)
        except Exception:  # noqa: BLE001  any error of the program counts
            return 0.0
        return float(max((value.numel() for value in _flat([made]) if isinstance(value, Tensor)), default=0))


def _bound(values: Iterable[Any]) -> float:
    product = 1.0
    for value in values:
        kind = type(value)
        if kind is Tensor:
            product *= value.numel() or 1
        elif kind is int:
            product *= abs(value) or 1
        elif kind is list or kind is tuple or kind is torch.Size:
            product *= _bound(value)
    return product


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _to_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(map(_to_meta, value)) if not hasattr(value, "_fields") else tuple(map(_to_meta, value))
    return value


def _nested(data: Any, *_: Any, **__: Any) -> float:
    """Numbers in nested lists, which torch takes to be as long as their first ones."""
    n = 1.0
    while isinstance(data, list | tuple) and data:
        n *= len(data)
        data = data[0]
    return float(n * (data.numel() if isinstance(data, Tensor) else 1))


def _range(start: Any, end: Any = None, step: Any = 1, **_: Any) -> float:
    start, end = (0, start) if end is None else (start, end)
    return abs(float(end) - float(start)) / abs(float(step) or 1e-300)


def _steps(_start: Any = 0, _end: Any = 0, steps: int = 100, *_: Any, **__: Any) -> float:
    return float(steps)


def _binned(tensor: Tensor, _weights: Any = None, minlength: int = 0) -> float:
    return float(max(int(tensor.max()) + 1, minlength))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> float:
    return float(tensor.numel() * (num_classes if num_classes > 0 else int(tensor.max()) + 1))


def _repeated(tensor: Tensor, repeats: Any = None, dim: Any = None, **_: Any) -> float:
    if repeats is None:
        return float(tensor.sum())
    if isinstance(repeats, Tensor):
        rows = 1 if dim is None else tensor.numel() / max(tensor.shape[dim], 1)
        return float(repeats.double().sum() * rows * (tensor.numel() if repeats.numel() == 1 else 1))
    return float(tensor.numel() * float(repeats))


def _contracted(equation: str, *operands: Any) -> float:
    """A contraction of two operands never holds more than its result; of more, an upper bound for what lies between."""
    tensors = list(operands[0]) if operands and isinstance(operands[0], list | tuple) else list(operands)
    left, _, right = equation.replace(" ", "").partition("->")
    sizes = {
        c: n for term, t in zip(left.split(","), tensors, strict=False) for c, n in zip(term, t.shape, strict=False)
    }
    if len(tensors) <= 2:
        return float(math.prod(sizes.get(c, 1) for c in right))
    return float(math.prod(sizes.values())) / 10


def _convolved(tensor: Tensor, weight: Tensor, *_: Any, **__: Any) -> float:
    """By its work, which is what a convolution has too much of first."""
    return float(tensor.numel() * weight.numel() / 1_000)


SIZES: dict[str, Callable[..., float]] = {
    "tensor": _nested,
    "as_tensor": _nested,
    "Tensor": _nested,
    "arange": _range,
    "linspace": _steps,
    "logspace": _steps,
    "eye": lambda n, m=None, **_: float(n) * float(n if m is None else m),
    "diag": lambda tensor, *_, **__: float(tensor.numel() ** 2 if tensor.dim() == 1 else tensor.numel()),
    "diag_embed": lambda tensor, *_, **__: float(tensor.numel() * tensor.shape[-1]),
    "one_hot": _one_hot,
    "repeat_interleave": _repeated,
    "bincount": _binned,
    "einsum": _contracted,
    "conv1d": _convolved,
    "conv2d": _convolved,
}
"""Elements of the result of operations for which the product of their operands says too little or far too much."""
