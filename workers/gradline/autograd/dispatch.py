"""What calls and attributes do, by the kind of value they are used on."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.library import (
    DERIVED,
    OPERATIONS,
    READERS,
    TENSOR_METHODS,
    VALUES,
    Operation,
)
from gradline.autograd.objects import (
    MISSING,
    BoundMethod,
    Instance,
    Parent,
    ProgramModule,
    UserClass,
    member,
    type_name,
)
from gradline.autograd.operations import Operations
from gradline.autograd.plain import PLAIN_METHODS, check_shown, check_whole
from gradline.autograd.precision import double
from gradline.autograd.registry import SPECIAL_FUNCTIONS, SPECIAL_METHODS
from gradline.autograd.values import Context, FunctionClass, Method, Native, UserFunction, kind_of
from gradline.programs.allowed import FUNCTIONS, METHODS


class Dispatch(Operations):
    """Entries, calls and attributes of values."""

    def entry(self, name: str) -> Any:
        """A function or constant of the table as a value."""
        if name in _TYPES:
            return _TYPES[name]
        if name in SPECIAL_FUNCTIONS or name in OPERATIONS:
            shown = name if name in SPECIAL_FUNCTIONS else OPERATIONS[name].name
            return Native(shown, lambda *args, **kwargs: self.call_entry(name, list(args), kwargs))
        return double(VALUES[name]) if self.is_double else VALUES[name]

    def call_entry(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if kwargs and name in FUNCTIONS:
            check_keywords(name, FUNCTIONS[name], kwargs)
        special = SPECIAL_FUNCTIONS.get(name)
        if special is not None:
            return special(self, args, kwargs)
        operation = OPERATIONS.get(name)
        if operation is not None and kwargs.get("inplace"):
            operation = replace(operation, mutates=True)
        if operation is not None:
            return self.apply(operation, args, kwargs) if "out" not in kwargs else self._into(operation, args, kwargs)
        if name.startswith("math."):
            return VALUES[name](*args, **kwargs)
        return self.call_value(VALUES[name], args, kwargs)

    def _into(self, operation: Operation, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """`out=`: the result is written into a tensor that is there."""
        out = kwargs.pop("out")
        if torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in [*args, out]):
            operation.function(*args, **kwargs, out=out)  # says that it cannot be differentiated
        return self.apply(TENSOR_METHODS["copy_"], (out, self.apply(operation, args, kwargs)), {})

    def call_value(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Calls what a name or an expression stands for, if it is one of ours to call."""
        if isinstance(function, UserFunction | Native | BoundMethod):
            return function(*args, **kwargs)
        if isinstance(function, UserClass):
            return self.instance(function, args, kwargs)
        if isinstance(function, Instance):
            return self.call_method(function, "__call__", args, kwargs)
        if isinstance(function, torch.nn.Module):
            return SPECIAL_METHODS["module"]["forward"](self, [function, *args], kwargs)
        if isinstance(function, Method):
            return self.call_method(function.receiver, function.name, args, kwargs)
        if isinstance(function, type) and function in _ENTRY_OF:
            return self.call_entry(_ENTRY_OF[function], args, kwargs)
        if isinstance(function, type) and issubclass(function, Exception):
            check_shown(self.budget, *args)
            return function(*args)
        raise TypeError(f"'{type_name(function)}' object is not callable")

    def instance(self, kind: UserClass, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A new object of a class of the program."""
        made = ProgramModule(kind) if kind.root is torch.nn.Module else Instance(kind)
        init = kind.find("__init__")
        if init is not MISSING:
            init(made, *args, **kwargs)
        elif kind.fields is not None:
            fill_fields(made, kind, args, kwargs)
        elif isinstance(made, ProgramModule):
            made.is_ready = True
        elif args or kwargs:
            raise TypeError(f"{kind.name}() takes no arguments")
        return made

    def set_attribute(self, receiver: Any, name: str, value: Any) -> None:
        raise NotImplementedError

    def call_method(self, receiver: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        kind = kind_of(receiver)
        if kind in _OBJECTS and (own := member(receiver, name)) is not MISSING:
            return self.call_value(own, args, kwargs)
        if kwargs and name in METHODS.get(kind, {}):
            check_keywords(f".{name}", METHODS[kind][name], kwargs)
        special = SPECIAL_METHODS.get(kind, {}).get(name)
        if special is not None:
            return special(self, [receiver, *args], kwargs)
        if kind == "tensor" and name in TENSOR_METHODS:
            return self.apply(TENSOR_METHODS[name], (receiver, *args), kwargs)
        if name in METHODS.get(kind, {}):
            return self._plain_method(kind, receiver, name, args, kwargs)
        if kind in ("context", "super") or name in READERS.get(kind, {}):
            return self.call_value(self.attribute(receiver, name), args, kwargs)
        raise _no_attribute(receiver, name)

    def _plain_method(self, kind: str, receiver: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of Python's own types; those that could grow without bound are bounded."""
        if name in ("index", "count", "add", "remove", "discard", "sort"):
            check_whole(self.budget, receiver, *args)
        if kind in ("list", "set", "dict") and name in ("extend", "update") and args:
            args = [args[0] if isinstance(args[0], dict) else self.items(args[0]), *args[1:]]
            self.budget.check_items(len(receiver) + len(args[0]))
        if kind == "str":
            self.budget.check_items(
                len(receiver) + sum(a if isinstance(a, int) else len(str(a)) for a in args), "a text"
            )
        made = PLAIN_METHODS[kind][name](receiver, *args, **kwargs)
        return list(made) if name in _LISTED else made

    def attribute(self, receiver: Any, name: str) -> Any:
        """An attribute out of the table, by the kind of value that it is asked of."""
        kind = kind_of(receiver)
        if kind in _OBJECTS and (own := member(receiver, name)) is not MISSING:
            return double(own) if self.is_double else own
        if isinstance(receiver, Parent):
            return self._of_parent(receiver, name)
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
        if isinstance(receiver, UserFunction | UserClass) and name == "__name__":
            return receiver.name
        if name in METHODS.get(kind, {}):
            return Method(receiver, name)
        raise _no_attribute(receiver, name)

    def _of_parent(self, parent: Parent, name: str) -> Any:
        """`super().name` where the class above is not the program's own."""
        receiver = parent.receiver
        if name == "__init__":
            return Native("__init__", lambda *_args, **_kwargs: _mark_ready(receiver))
        if isinstance(receiver, torch.nn.Module) and name in METHODS["module"]:
            special = SPECIAL_METHODS["module"].get(name)
            plain = PLAIN_METHODS["module"].get(name)
            call = special or (lambda _it, args, kwargs: plain(*args, **kwargs) if plain is not None else None)
            return Native(name, lambda *args, **kwargs: call(self, [receiver, *args], kwargs))
        raise AttributeError(f"'super' object has no attribute '{name}'")


def _mark_ready(receiver: Any) -> None:
    if isinstance(receiver, ProgramModule):
        receiver.is_ready = True


def fill_fields(made: Any, kind: UserClass, args: list[Any], kwargs: dict[str, Any]) -> None:
    """What the `__init__` of a dataclass does."""
    fields = kind.fields or ()
    given = dict(zip(fields, args, strict=False)) | kwargs
    if len(args) > len(fields) or not set(given) <= set(fields):
        raise TypeError(f"{kind.name}.__init__() takes the fields {', '.join(fields)}")
    for name in fields:
        value = given.get(name, kind.members.get(name, MISSING))
        if value is MISSING:
            raise TypeError(f"{kind.name}.__init__() missing 1 required positional argument: '{name}'")
        made.attributes[name] = value
    if kind.find("__post_init__") is not MISSING:
        kind.find("__post_init__")(made)


def check_keywords(name: str, allowed: frozenset[str], kwargs: dict[str, Any]) -> None:
    """Only the table's keyword arguments, also where a call names them by `**` or through a variable."""
    if "*" not in allowed and (unknown := next((key for key in kwargs if key not in allowed), None)):
        raise TypeError(f"{name.lstrip('.')}() got an unexpected keyword argument '{unknown}'")


def _no_attribute(receiver: Any, name: str) -> AttributeError:
    if isinstance(receiver, FunctionClass | UserClass | type):
        of = receiver.__name__ if isinstance(receiver, type) else receiver.name
        return AttributeError(f"type object '{of}' has no attribute '{name}'")
    return AttributeError(f"'{type_name(receiver)}' object has no attribute '{name}'")


def _context_attribute(context: Context, name: str) -> Any:
    if name == "saved_tensors":
        return context.real.saved_tensors
    if name == "needs_input_grad":
        return context.real.needs_input_grad
    if name in METHODS["context"]:
        return Method(context, name)
    raise AttributeError(f"'FunctionCtx' object has no attribute '{name}'")


_CLASSES = ("torch.nn.", "torch.optim.", "torch.utils.", "torch.autograd.Function")
_TYPES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict, "range": range,
    "type": type, "torch.device": torch.device, "torch.Size": torch.Size, "torch.nn.Parameter": torch.nn.Parameter,
    "torch.Tensor": torch.Tensor, "torch.FloatTensor": torch.FloatTensor, "set": set, "object": object,
    "torch.Generator": torch.Generator,
    **{
        name: operation.function
        for name, operation in OPERATIONS.items()
        if isinstance(operation.function, type) and name.startswith(_CLASSES)
    },
}  # fmt: skip
"""Entries that are types: they can be compared and passed to `isinstance`."""
_ENTRY_OF = {kind: name for name, kind in _TYPES.items()}
_OBJECTS = frozenset({"module", "instance", "class", "super"})
"""Kinds of value whose attributes are the program's own."""
_LISTED = frozenset(
    [
        *("items", "keys", "values", "parameters", "named_parameters", "buffers", "named_buffers"),
        *("modules", "named_modules", "children", "named_children"),
    ]
)
"""Methods whose views and iterators are given as lists."""
