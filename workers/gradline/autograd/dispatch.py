"""What operators, calls and attributes do, by the kind of value they are used on."""

from collections.abc import Iterable, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.library import (
    BINARY,
    DERIVED,
    GET_ITEM,
    IN_PLACE,
    OPERATIONS,
    READERS,
    TENSOR_METHODS,
    VALUES,
    Operation,
)
from gradline.autograd.limits import Budget
from gradline.autograd.plain import PLAIN_METHODS, bound_plain
from gradline.autograd.precision import double, doubled
from gradline.autograd.record.recorder import Recorder
from gradline.autograd.registry import SPECIAL_FUNCTIONS, SPECIAL_METHODS
from gradline.autograd.sizes import SizeGuard
from gradline.autograd.values import Context, FunctionClass, Method, Native, UserFunction, kind_of
from gradline.programs.allowed import METHODS

_ITERABLE = (list, tuple, dict, str, range, torch.Size)


class Dispatch:
    """Operations on values, each within the limits and on record."""

    def __init__(self, budget: Budget, recorder: Recorder) -> None:
        self.budget = budget
        self.guard = SizeGuard(budget)
        self.recorder = recorder
        self.is_double = False
        """Whether everything is computed in float64, for comparing with finite differences."""

    def apply(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The result of an operation, within the limits and on record."""
        if kwargs and "device" in kwargs:
            check_device(kwargs["device"])
        if self.is_double:
            args, kwargs = doubled(args), {name: double(value) for name, value in kwargs.items()}
        self.guard.check(operation.name, operation.function, args, kwargs)
        if operation.mutates:
            self.recorder.before_mutation(args)
        made = operation.function(*args, **kwargs)
        self.recorder.operation(operation, args, kwargs, made)
        return made

    def binary(self, sign: str, left: Any, right: Any) -> Any:
        """`left sign right`."""
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self.apply(BINARY[sign], (left, right), {})
        if sign in ("in", "not in"):
            found = left in self.iterable(right)
            return found if sign == "in" else not found
        bound_plain(self.budget, sign, left, right)
        return BINARY[sign].function(left, right)

    def in_place(self, sign: str, left: Any, right: Any) -> Any:
        """`left sign= right`: changes a tensor or a list, gives a new value for the rest."""
        if isinstance(left, Tensor):
            return self.apply(IN_PLACE[sign], (left, right), {})
        if isinstance(left, list) and sign in "+*":
            bound_plain(self.budget, sign, left, right)
            return IN_PLACE[sign].function(left, right)
        return self.binary(sign, left, right)

    def truth(self, value: Any) -> bool:
        return bool(value)

    def iterable(self, value: Any) -> Iterable[Any]:
        """What a loop runs over; the rows of a tensor are an operation like any other."""
        if isinstance(value, Tensor):
            return self.apply(OPERATIONS["torch.unbind"], (value,), {})  # type: ignore[no-any-return]
        if isinstance(value, np.ndarray):
            return list(value)
        if not isinstance(value, _ITERABLE):
            raise TypeError(f"'{type(value).__name__}' object is not iterable")
        return value

    def items(self, value: Any) -> list[Any]:
        """All of an iterable at once, bounded."""
        iterable = self.iterable(value)
        if isinstance(iterable, Sized):
            self.budget.check_items(len(iterable))
        return list(iterable)

    def get_item(self, receiver: Any, index: Any) -> Any:
        if isinstance(receiver, Tensor):
            return self.apply(GET_ITEM, (receiver, index), {})
        if isinstance(receiver, list | tuple | dict | str | range | np.ndarray | torch.nn.Sequential):
            return receiver[index]
        raise TypeError(f"'{type(receiver).__name__}' object is not subscriptable")

    def entry(self, name: str) -> Any:
        """A function or constant of the table as a value."""
        if name in SPECIAL_FUNCTIONS:
            special = SPECIAL_FUNCTIONS[name]
            return _TYPES.get(name) or Native(name, lambda *args, **kwargs: special(self, list(args), kwargs))
        if name in OPERATIONS:
            operation = OPERATIONS[name]
            return Native(operation.name, lambda *args, **kwargs: self.apply(operation, args, kwargs))
        return double(VALUES[name]) if self.is_double else VALUES[name]

    def call_entry(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        special = SPECIAL_FUNCTIONS.get(name)
        if special is not None:
            return special(self, args, kwargs)
        operation = OPERATIONS.get(name)
        if operation is not None:
            return self.apply(operation, args, kwargs)
        if name.startswith("math."):
            return VALUES[name](*args, **kwargs)
        return self.call_value(VALUES[name], args, kwargs)

    def call_value(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Calls what a name or an expression stands for, if it is one of ours to call."""
        if isinstance(function, UserFunction | Native):
            return function(*args, **kwargs)
        if isinstance(function, torch.nn.Module):
            return SPECIAL_METHODS["module"]["forward"](self, [function, *args], kwargs)
        if isinstance(function, Method):
            return self.call_method(function.receiver, function.name, args, kwargs)
        for name, kind in _TYPES.items():
            if function is kind:
                return self.call_entry(name, args, kwargs)
        if isinstance(function, type) and issubclass(function, Exception):
            return function(*args)
        raise TypeError(f"'{type(function).__name__}' object is not callable")

    def call_method(self, receiver: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        kind = kind_of(receiver)
        special = SPECIAL_METHODS.get(kind, {}).get(name)
        if special is not None:
            return special(self, [receiver, *args], kwargs)
        if kind == "tensor" and name in TENSOR_METHODS:
            return self.apply(TENSOR_METHODS[name], (receiver, *args), kwargs)
        if name in METHODS.get(kind, {}):
            return self._plain_method(kind, receiver, name, args, kwargs)
        if kind == "context" or name in READERS.get(kind, {}):
            return self.call_value(self.attribute(receiver, name), args, kwargs)
        raise _no_attribute(receiver, name)

    def _plain_method(self, kind: str, receiver: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Python's own types; those that could grow without bound are bounded."""
        if kind == "list" and name == "extend":
            self.budget.check_items(len(receiver) + len(self.items(args[0])))
        if kind == "str":
            self.budget.check_items(
                len(receiver) + sum(a if isinstance(a, int) else len(str(a)) for a in args), "a text"
            )
        made = PLAIN_METHODS[kind][name](receiver, *args, **kwargs)
        return list(made) if name in ("items", "keys", "values", "parameters", "named_parameters") else made

    def attribute(self, receiver: Any, name: str) -> Any:
        """An attribute out of the table, by the kind of value that it is asked of."""
        kind = kind_of(receiver)
        if kind == "tensor" and name in DERIVED:
            if name == "data":
                self.recorder.cut(".data", receiver)
            return self.apply(DERIVED[name], (receiver,), {})
        if isinstance(receiver, Context):
            return receiver.attributes[name] if name in receiver.attributes else _context_attribute(receiver, name)
        reader = READERS.get(kind, {}).get(name)
        if reader is not None:
            if name == "grad":
                self.recorder.grad_read(receiver)
            return reader(receiver)
        if isinstance(receiver, UserFunction) and name == "__name__":
            return receiver.name
        if name in METHODS.get(kind, {}):
            return Method(receiver, name)
        raise _no_attribute(receiver, name)


def check_device(device: Any) -> None:
    """Only the processor and CUDA devices hold values."""
    name = str(device)
    if device is not None and not isinstance(device, int) and name.split(":", maxsplit=1)[0] not in ("cpu", "cuda"):
        raise RuntimeError(f"device {name[:20]!r} is not available to a program: use 'cpu' or 'cuda'")


def _no_attribute(receiver: Any, name: str) -> AttributeError:
    kind = type(receiver)
    if isinstance(receiver, FunctionClass | type):
        return AttributeError(f"type object '{getattr(receiver, 'name', kind.__name__)}' has no attribute '{name}'")
    return AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")


def _context_attribute(context: Context, name: str) -> Any:
    if name == "saved_tensors":
        return context.real.saved_tensors
    if name == "needs_input_grad":
        return context.real.needs_input_grad
    if name in METHODS["context"]:
        return Method(context, name)
    raise AttributeError(f"'FunctionCtx' object has no attribute '{name}'")


_TYPES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict, "range": range,
    "type": type, "torch.device": torch.device, "torch.Size": torch.Size, "torch.nn.Parameter": torch.nn.Parameter,
    "torch.Tensor": torch.Tensor, "torch.FloatTensor": torch.FloatTensor,
}  # fmt: skip
"""Entries that are types: they can be compared and passed to `isinstance`."""
