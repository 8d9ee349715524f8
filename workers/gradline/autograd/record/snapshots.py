"""Values of tensors as they were at one moment, cheap to take, and safe to write as JSON."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.autograd.objects import type_name

MAX_WHOLE = 64
"""Elements up to which a tensor is shown whole; of a larger one its first HEAD elements are."""
HEAD = 16
MAX_TEXT = 200
UNREADABLE = "unreadable"


class Snapshot(NamedTuple):
    """A tensor at one moment."""

    data: Any
    shape: tuple[int, ...]
    dtype: torch.dtype
    requires_grad: bool
    is_leaf: bool
    grad_fn: Any
    version: int | None


def snapshot(tensor: Tensor) -> Snapshot:
    """The tensor's values and flags now."""
    version = None if tensor.is_inference() else tensor._version
    node = grad_fn_of(tensor)
    leaf = node is None and is_leaf(tensor)
    return Snapshot(values_of(tensor), tuple(tensor.shape), tensor.dtype, tensor.requires_grad, leaf, node, version)


def values_of(tensor: Tensor) -> Any:
    """Nested lists, or the first elements of a large tensor in one flat list."""
    try:
        if tensor.numel() <= MAX_WHOLE:
            return tensor.tolist()
        return tensor.detach().flatten()[:HEAD].tolist()
    except RuntimeError:  # one that was carried out of the transform it was made in
        return UNREADABLE


def grad_fn_of(tensor: Tensor) -> Any:
    """The node that made a tensor; None also for a view that torch no longer lets be looked at."""
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def is_leaf(tensor: Tensor) -> bool:
    """Whether it is a leaf; such a view is none."""
    try:
        return bool(tensor.is_leaf)
    except RuntimeError:
        return False


def keeps_gradient(tensor: Tensor) -> bool:
    """Whether backward leaves a gradient in `.grad`."""
    try:
        return bool(tensor.is_leaf or tensor.retains_grad)
    except RuntimeError:
        return False


def grad_fn_name(node: Any) -> str | None:
    return None if node is None else node.name().rpartition("::")[2]


def as_json(shot: Snapshot) -> dict[str, Any]:
    """A snapshot for the result."""
    shown: dict[str, Any] = {
        "data": finite(shot.data),
        "shape": list(shot.shape),
        "dtype": str(shot.dtype).removeprefix("torch."),
        "requires_grad": shot.requires_grad,
        "is_leaf": shot.is_leaf,
        "grad_fn": grad_fn_name(shot.grad_fn),
        "version": shot.version,
    }
    if math.prod(shot.shape) > MAX_WHOLE:
        shown["is_head"] = True
    return shown


def finite(data: Any) -> Any:
    """The same with what JSON has no number for as text: "nan", "inf", "-inf", and complex numbers."""
    if isinstance(data, float):
        return data if math.isfinite(data) else str(data)
    if isinstance(data, list | tuple):
        return [finite(item) for item in data]
    if isinstance(data, complex):
        return str(data)
    return data


def is_finite(data: Any) -> bool:
    """Whether every number in nested lists is finite."""
    if isinstance(data, float):
        return math.isfinite(data)
    return all(is_finite(item) for item in data) if isinstance(data, list) else True


def plain(value: Any) -> dict[str, Any]:
    """A value that is no tensor, for the result."""
    if value is None or isinstance(value, bool | int | float):
        return {"type": type(value).__name__, "value": finite(value) if not _is_huge(value) else _huge(value)}
    if isinstance(value, str):
        return {"type": "str", "value": value[:MAX_TEXT]}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return {"type": type(value).__name__, "length": len(value)}
    name = getattr(value, "name", None)
    return {"type": type_name(value), **({"value": name} if isinstance(name, str) else {})}


def _huge(value: Any) -> str:
    return f"{value:.6e}" if value.bit_length() < 1_000 else f"about 2**{value.bit_length() - 1}"


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 53
