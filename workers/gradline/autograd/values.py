"""What a program's names can stand for beside tensors, numbers and lists."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gradline.programs import statements as s

UNSET = object()
"""Stands for a default that a parameter does not have."""


@dataclass(slots=True)
class Frame:
    """Names and what they stand for; a function's frame looks further in the one it was defined in."""

    names: dict[str, Any]
    parent: "Frame | None" = None
    globals: frozenset[str] = frozenset()
    function: "UserFunction | None" = None
    """Whose call it is."""

    def root(self) -> "Frame":
        frame = self
        while frame.parent is not None:
            frame = frame.parent
        return frame


@dataclass(slots=True, eq=False)
class UserFunction:
    """A `def` or `lambda` of the program; torch calls it as it would any function."""

    name: str
    parameters: s.Parameters
    defaults: tuple[Any, ...]
    body: s.Block | s.Expression
    frame: Frame
    call: Callable[["UserFunction", tuple[Any, ...], dict[str, Any]], Any]
    by_name: tuple[tuple[str, Any], ...] = ()
    """Parameters only passed by name, with their defaults or UNSET."""
    globals: frozenset[str] = frozenset()
    decorators: tuple[Callable[[], Any], ...] = ()
    nonlocals: frozenset[str] = frozenset()
    is_generator: bool = False
    binding: str = ""
    """How it is a member of its class: `staticmethod`, `classmethod`, `property`, or as a method."""
    owner: Any = None
    """The class it is defined in."""

    def __deepcopy__(self, _memo: Any) -> "UserFunction":
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<function {self.name} at 0x{id(self):x}>"


@dataclass(slots=True, eq=False)
class Native:
    """A function that torch made for the program, such as the one `vjp` returns, or one of ours over torch."""

    name: str
    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.name} at 0x{id(self):x}>"


@dataclass(slots=True, eq=False)
class Method:
    """A method not yet called: `f = x.sin`."""

    receiver: Any
    name: str


@dataclass(slots=True, eq=False)
class FunctionClass:
    """A subclass of torch.autograd.Function that the program defines."""

    name: str
    real: type[torch.autograd.Function]

    def __repr__(self) -> str:
        return f"<class '__main__.{self.name}'>"


@dataclass(slots=True, eq=False)
class Context:
    """The `ctx` of such a class: torch's own, and the attributes that the program gives it."""

    real: Any
    attributes: dict[str, Any] = field(default_factory=dict)


KINDS: dict[type, str] = {
    torch.Tensor: "tensor",
    torch.nn.Parameter: "tensor",
    torch.Size: "size",
    list: "list",
    tuple: "tuple",
    dict: "dict",
    OrderedDict: "dict",
    str: "str",
    float: "float",
    complex: "complex",
    torch.device: "device",
    torch.dtype: "dtype",
    Context: "context",
    FunctionClass: "function class",
    set: "set",
    torch.Generator: "generator",
    UserFunction: "function",
    np.ndarray: "array",
}

_FAMILIES: tuple[tuple[type, str], ...] = (
    (torch.Tensor, "tensor"),
    (torch.autograd.graph.Node, "node"),
    (torch.nn.Module, "module"),
    (torch.optim.Optimizer, "optimizer"),
    (torch.optim.lr_scheduler.LRScheduler, "scheduler"),
    (torch.utils.hooks.RemovableHandle, "handle"),
    (np.random.Generator, "numpy generator"),
    (dict, "dict"),
    (BaseException, "error"),
    (type, "type"),
    (np.generic, "array"),
)


def kind_of(value: Any) -> str:
    """The kind of value under which the table keeps its methods and attributes; empty where it has none."""
    kind = KINDS.get(type(value))
    if kind is not None:
        return kind
    if (isinstance(value, tuple) and hasattr(value, "_fields")) or type(value).__module__ == "torch.return_types":
        return "named"
    return next((name for family, name in _FAMILIES if isinstance(value, family)), "")
