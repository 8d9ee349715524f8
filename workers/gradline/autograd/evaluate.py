"""Evaluates the language's expressions on real torch tensors, through the table and under the limits."""

from collections.abc import Callable, Iterable, Sequence, Sized
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
    UNARY,
    VALUES,
    Operation,
)
from gradline.autograd.limits import Budget, SizeGuard
from gradline.autograd.recorder import Recorder
from gradline.autograd.values import Context, Frame, FunctionClass, Method, Native, UserFunction, kind_of
from gradline.programs import statements as s
from gradline.programs.allowed import METHODS
from gradline.programs.formats import check_percent, check_spec

Special = Callable[["Evaluator", list[Any], dict[str, Any]], Any]

SPECIAL_FUNCTIONS: dict[str, Special] = {}
"""Functions of the table that are more than one operation, by full name; filled by `calls`."""
SPECIAL_METHODS: dict[str, dict[str, Special]] = {}
"""The same for methods, by kind of value; the receiver is the first argument."""

_PLAIN_METHODS: dict[str, dict[str, Callable[..., Any]]] = {
    kind: {name: getattr(owner, name) for name in METHODS[kind] if hasattr(owner, name)}
    for kind, owner in {
        "list": list, "tuple": tuple, "dict": dict, "str": str, "float": float, "size": torch.Size, "array": np.ndarray,
        "module": torch.nn.Module,
    }.items()
}  # fmt: skip
CONVERSIONS: dict[str, Callable[[Any], Any]] = {"": lambda value: value, "r": repr, "s": str, "a": ascii}
"""What `!r`, `!s` and `!a` do before formatting."""

_ITERABLE = (list, tuple, dict, str, range, torch.Size)


class Evaluator:
    """Values of expressions. `spot` is the piece being computed, for pointing at it when it fails."""

    def __init__(self, budget: Budget, recorder: Recorder) -> None:
        self.budget = budget
        self.guard = SizeGuard(budget)
        self.recorder = recorder
        self.frame = Frame({})
        self.spot: s.Node | None = None
        self.is_double = False
        """Whether everything is computed in float64, for comparing with finite differences."""
        self.call_depth = 0

    def value(self, node: s.Expression) -> Any:
        """What an expression stands for."""
        return _EVALUATE[type(node)](self, node)

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
        _bound_plain(self.budget, sign, left, right)
        return BINARY[sign].function(left, right)

    def in_place(self, sign: str, left: Any, right: Any) -> Any:
        """`left sign= right`: changes a tensor or a list, gives a new value for the rest."""
        if isinstance(left, Tensor):
            return self.apply(IN_PLACE[sign], (left, right), {})
        if isinstance(left, list) and sign in "+*":
            _bound_plain(self.budget, sign, left, right)
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

    def lookup(self, name: str, fallback: str | None = None) -> Any:
        frame: Frame | None = self.frame
        while frame is not None:
            if name in frame.names:
                found = frame.names[name]
                return double(found) if self.is_double else found
            frame = frame.parent
        if fallback is not None:
            return self.entry(fallback)
        raise NameError(f"name '{name}' is not defined")

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
        made = _PLAIN_METHODS[kind][name](receiver, *args, **kwargs)
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

    def arguments(self, node: s.Call) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        for argument in node.arguments:
            if type(argument) is s.Star:
                args.extend(self.items(self.value(argument.value)))
            else:
                args.append(self.value(argument))
        return args, {name: self.value(value) for name, value in node.keywords} if node.keywords else {}

    def _constant(self, node: s.Constant) -> Any:
        return node.value

    def _name(self, node: s.Name) -> Any:
        return self.lookup(node.name, node.fallback)

    def _entry(self, node: s.Entry) -> Any:
        return self.entry(node.name)

    def _call(self, node: s.Call) -> Any:
        function = node.function
        kind = type(function)
        if kind is s.Entry:
            args, kwargs = self.arguments(node)
            self.spot = node
            return self.call_entry(function.name, args, kwargs)  # type: ignore[attr-defined]
        if kind is s.Attribute:
            receiver = self.value(function.object)  # type: ignore[attr-defined]
            args, kwargs = self.arguments(node)
            self.spot = node
            return self.call_method(receiver, function.name, args, kwargs)  # type: ignore[attr-defined]
        callee = self.value(function)
        args, kwargs = self.arguments(node)
        self.spot = node
        return self.call_value(callee, args, kwargs)

    def _attribute(self, node: s.Attribute) -> Any:
        receiver = self.value(node.object)
        self.spot = node
        return self.attribute(receiver, node.name)

    def _sequence(self, node: s.Sequence) -> Any:
        items: list[Any] = []
        for item in node.items:
            if type(item) is s.Star:
                items.extend(self.items(self.value(item.value)))
            else:
                items.append(self.value(item))
        return items if node.kind == "list" else tuple(items)

    def _mapping(self, node: s.Mapping) -> Any:
        return {self.value(key): self.value(value) for key, value in node.items}

    def _subscript(self, node: s.Subscript) -> Any:
        receiver, index = self.value(node.object), self.value(node.index)
        self.spot = node
        return self.get_item(receiver, index)

    def get_item(self, receiver: Any, index: Any) -> Any:
        if isinstance(receiver, Tensor):
            return self.apply(GET_ITEM, (receiver, index), {})
        if isinstance(receiver, list | tuple | dict | str | range | np.ndarray | torch.nn.Sequential):
            return receiver[index]
        raise TypeError(f"'{type(receiver).__name__}' object is not subscriptable")

    def _slice(self, node: s.Slice) -> Any:
        return slice(*(None if part is None else self.value(part) for part in (node.start, node.stop, node.step)))

    def _binary(self, node: s.Binary) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        self.spot = node
        return self.binary(node.operator, left, right)

    def _unary(self, node: s.Unary) -> Any:
        operand = self.value(node.operand)
        self.spot = node
        if node.operator == "not":
            return not self.truth(operand)
        if isinstance(operand, Tensor):
            return self.apply(UNARY[node.operator], (operand,), {})
        return UNARY[node.operator].function(operand)

    def _compare(self, node: s.Compare) -> Any:
        left: Any = self.value(node.operands[0])
        result: Any = True
        for i, operator in enumerate(node.operators):
            right = self.value(node.operands[i + 1])
            self.spot = node
            result = (
                self.binary(operator, left, right) if operator[:2] != "is" else BINARY[operator].function(left, right)
            )
            if i + 1 < len(node.operators) and not self.truth(result):
                return result
            left = right
        return result

    def _logical(self, node: s.Logical) -> Any:
        result: Any = None
        for operand in node.operands:
            result = self.value(operand)
            if self.truth(result) == (node.operator == "or"):
                break
        return result

    def _conditional(self, node: s.Conditional) -> Any:
        return self.value(node.then if self.truth(self.value(node.test)) else node.otherwise)

    def _lambda(self, node: s.Lambda) -> Any:
        return self.function("<lambda>", node.parameters, node.body)

    def _text(self, node: s.Text) -> str:
        text = "".join([str(self.value(part)) for part in node.parts])
        self.budget.check_items(len(text), "a text")
        return text

    def _field(self, node: s.Field) -> str:
        value = self.value(node.value)
        if node.conversion:
            value = CONVERSIONS[node.conversion](value)
        return format(value, check_spec(self._text(node.spec)) if node.spec else "")

    def _comprehension(self, node: s.Comprehension) -> Any:
        outer = self.frame
        made: list[tuple[Any, Any]] = []
        self.frame = Frame({}, outer)
        try:
            for _ in self._turns(node.generators):
                self.budget.check_items(len(made))
                made.append((self.value(node.key) if node.key else None, self.value(node.value)))
        finally:
            self.frame = outer
        return dict(made) if node.kind == "dict" else [value for _, value in made]

    def _turns(self, generators: tuple[s.Generator, ...]) -> Iterable[None]:
        """Every turn of nested comprehension loops."""
        if not generators:
            yield
            return
        first, *rest = generators
        for item in self.iterable(self.value(first.iterable)):
            self.budget.step()
            self.assign(first.target, item)
            if all(self.truth(self.value(condition)) for condition in first.conditions):
                yield from self._turns(tuple(rest))

    def assign(self, target: s.Expression, value: Any) -> None:
        raise NotImplementedError

    def function(self, name: str, parameters: s.Parameters, body: s.Block | s.Expression, **more: Any) -> UserFunction:
        defaults = tuple(self.value(default) for default in parameters.defaults)
        return UserFunction(name, parameters, defaults, body, self.frame, self.call_function, **more)

    def call_function(self, function: UserFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


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


def _bound_plain(budget: Budget, sign: str, left: Any, right: Any) -> None:
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


_TYPES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict, "range": range,
    "type": type, "torch.device": torch.device, "torch.Size": torch.Size, "torch.nn.Parameter": torch.nn.Parameter,
    "torch.Tensor": torch.Tensor, "torch.FloatTensor": torch.FloatTensor,
}  # fmt: skip
"""Entries that are types: they can be compared and passed to `isinstance`."""

_E = Evaluator
_EVALUATE: dict[type, Callable[[Evaluator, Any], Any]] = {
    s.Constant: _E._constant, s.Name: _E._name, s.Entry: _E._entry, s.Call: _E._call, s.Attribute: _E._attribute,
    s.Sequence: _E._sequence, s.Mapping: _E._mapping, s.Subscript: _E._subscript, s.Slice: _E._slice,
    s.Binary: _E._binary, s.Unary: _E._unary, s.Compare: _E._compare, s.Logical: _E._logical,
    s.Conditional: _E._conditional, s.Lambda: _E._lambda, s.Text: _E._text, s.Field: _E._field,
    s.Comprehension: _E._comprehension,
}  # fmt: skip
