"""Named tensors watched for changes: of values in place, of gradients, of `requires_grad`."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.record.snapshots import Snapshot, keeps_gradient, values_of
from gradline.autograd.values import Frame

MAX_IN_CONTAINER = 20
"""Tensors of a list or module that are watched."""


class State:
    """What was last seen of a tensor; a change in place shows against it."""

    __slots__ = ("data", "grad", "requires_grad", "tensor", "version")

    def __init__(self, tensor: Tensor, shot: Snapshot) -> None:
        self.tensor = tensor
        self.version = shot.version
        self.data = shot.data
        self.requires_grad = shot.requires_grad
        grad = grad_of(tensor)
        self.grad: Any = None if grad is None else values_of(grad)
        """Values of its gradient."""

    def still_holds(self) -> bool:
        """Whether nothing has changed; looks at no more than it must."""
        tensor = self.tensor
        return (
            self.grad is None
            and not tensor.is_inference()
            and tensor._version == self.version
            and tensor.requires_grad == self.requires_grad
            and grad_of(tensor) is None
            and bool(values_of(tensor) == self.data)
        )


def grad_of(tensor: Tensor) -> Tensor | None:
    """`.grad`, without torch's warning where there cannot be one."""
    return tensor.grad if keeps_gradient(tensor) else None


def named_tensors(frame: Frame) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a name leads to, innermost frame first."""
    inner: Frame | None = frame
    while inner is not None:
        for name, value in inner.names.items():
            if isinstance(value, Tensor):
                yield name, value
            elif isinstance(value, list | tuple | dict | torch.nn.Module):
                yield from tensors_inside(name, value)
        inner = inner.parent


def tensors_inside(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, torch.nn.Module):
        inner = [(f"{name}.{key}", tensor) for key, tensor in value.named_parameters()]
    elif isinstance(value, dict):
        inner = [(f"{name}[{key!r}]", tensor) for key, tensor in value.items()]
    else:
        inner = [(f"{name}[{i}]", tensor) for i, tensor in enumerate(value[:MAX_IN_CONTAINER])]
    yield from ((key, tensor) for key, tensor in inner[:MAX_IN_CONTAINER] if isinstance(tensor, Tensor))


def differences(name: str, before: State, now: State, shot: Snapshot) -> Iterator[dict[str, Any]]:
    if before.version != now.version or not _same(before.data, now.data):
        yield {"kind": "changed in place", "name": name, "tensor": shot, "version_before": before.version}
    if before.requires_grad != now.requires_grad:
        yield {"kind": "requires_grad", "name": name, "before": before.requires_grad, "after": now.requires_grad}
    if not _same(before.grad, now.grad):
        yield {"kind": "grad", "name": name, "before": before.grad, "after": now.grad}


def _same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)  # nan is the same as nan here
