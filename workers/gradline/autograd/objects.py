"""Objects of the classes that a program defines: plain ones and modules.

Their attributes live in dictionaries of ours; nothing of Python's own is read or set by a name out of a program.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from gradline.autograd.values import KINDS, Native, UserFunction

MISSING = object()
"""Stands for an attribute that is not there."""


@dataclass(slots=True, eq=False)
class UserClass:
    """A class of the program."""

    name: str
    base: "UserClass | type"
    members: dict[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] | None = None
    """Of a dataclass, in order."""

    def find(self, name: str) -> Any:
        """The member of that name, also of the classes it derives from; MISSING where there is none."""
        kind: UserClass | type = self
        while isinstance(kind, UserClass):
            if name in kind.members:
                return kind.members[name]
            kind = kind.base
        return MISSING

    @property
    def root(self) -> type:
        """The class of Python or torch at the bottom."""
        return self.base.root if isinstance(self.base, UserClass) else self.base

    def derives_from(self, kind: Any) -> bool:
        """Whether it is the class, or one below it."""
        return self is kind or (self.base.derives_from(kind) if isinstance(self.base, UserClass) else self.base is kind)

    def __repr__(self) -> str:
        return f"<class '__main__.{self.name}'>"

    def __deepcopy__(self, _memo: Any) -> "UserClass":
        return self


@dataclass(slots=True, eq=False)
class BoundMethod:
    """A method with the object that it is called on."""

    receiver: Any
    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self.receiver, *args, **kwargs)

    def __repr__(self) -> str:
        name = self.function.name if isinstance(self.function, UserFunction) else "method"
        return f"<bound method {type_name(self.receiver)}.{name} of {self.receiver!r}>"


@dataclass(slots=True, eq=False)
class Parent:
    """`super()`: the object, seen as one of the class above."""

    receiver: Any
    kind: UserClass | type


class Instance:
    """An object of a plain class. The methods below are what Python itself asks of it, answered by the program's."""

    __slots__ = ("attributes", "user_class")

    def __init__(self, user_class: UserClass) -> None:
        self.user_class = user_class
        self.attributes: dict[str, Any] = {}

    def answer(self, name: str, *args: Any) -> Any:
        """What the method of that name gives; MISSING where the class has none."""
        found = self.user_class.find(name)
        return MISSING if found is MISSING else found(self, *args)

    def __repr__(self) -> str:
        text = self.answer("__repr__")
        if text is MISSING and self.user_class.fields is not None:
            shown = ", ".join(f"{name}={self.attributes[name]!r}" for name in self.user_class.fields)
            return f"{self.user_class.name}({shown})"
        return f"<__main__.{self.user_class.name} object at 0x{id(self):x}>" if text is MISSING else _text(text)

    def __str__(self) -> str:
        text = self.answer("__str__")
        return repr(self) if text is MISSING else _text(text)

    def __len__(self) -> int:
        length = self.answer("__len__")
        if length is MISSING:
            raise TypeError(f"object of type '{self.user_class.name}' has no len()")
        return int(length)

    def __bool__(self) -> bool:
        for name in ("__bool__", "__len__"):
            if (truth := self.answer(name)) is not MISSING:
                return bool(truth)
        return True

    def __float__(self) -> float:
        number = self.answer("__float__")
        if number is MISSING:
            raise TypeError(f"float() argument must be a string or a real number, not '{self.user_class.name}'")
        return float(number)

    def __getitem__(self, index: Any) -> Any:
        item = self.answer("__getitem__", index)
        if item is MISSING:
            raise TypeError(f"'{self.user_class.name}' object is not subscriptable")
        return item

    def __iter__(self) -> Iterator[Any]:
        found = self.answer("__iter__")
        if found is MISSING:
            return self._by_index()
        return iter(found) if found is not self else self._by_next()

    def _by_index(self) -> Iterator[Any]:
        index = 0
        while True:
            try:
                item = self[index]
            except IndexError:
                return
            yield item
            index += 1

    def _by_next(self) -> Iterator[Any]:
        while True:
            try:
                item = self.answer("__next__")
            except StopIteration:
                return
            yield item


class ProgramModule(torch.nn.Module):  # type: ignore[misc]
    """A module of a class of the program; its parameters, buffers and modules are torch's own."""

    def __init__(self, user_class: UserClass) -> None:
        super().__init__()
        self.user_class = user_class
        self.attributes: dict[str, Any] = {}
        self.is_ready = False
        """Whether `super().__init__()` was called."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The program's `forward`."""
        found = self.user_class.find("forward")
        if found is MISSING:
            name = self.user_class.name
            raise NotImplementedError(f'Module [{name}] is missing the required "forward" function')
        return found(self, *args, **kwargs)

    def _get_name(self) -> str:
        return self.user_class.name

    def extra_repr(self) -> str:
        """The program's, if it has one."""
        found = self.user_class.find("extra_repr")
        return "" if found is MISSING else _text(found(self))

    def __repr__(self) -> str:
        found = self.user_class.find("__repr__")
        return super().__repr__() if found is MISSING else _text(found(self))


KINDS.update({UserClass: "class", Instance: "instance", Parent: "super", BoundMethod: "function"})
RESERVED = frozenset(dir(ProgramModule(UserClass("", torch.nn.Module)))) - {"training"}
"""What torch itself keeps in a module under these names cannot be replaced."""


def type_name(value: Any) -> str:
    """The name of the value's type, as Python's messages say it."""
    if isinstance(value, Instance | ProgramModule):
        return value.user_class.name
    return "type" if isinstance(value, UserClass) else type(value).__name__


def member(receiver: Any, name: str) -> Any:
    """What an object of the program, or a module, itself has under a name; MISSING where nothing."""
    if isinstance(receiver, UserClass):
        return receiver.find(name)
    if isinstance(receiver, Parent):
        found = receiver.kind.find(name) if isinstance(receiver.kind, UserClass) else MISSING
        return found if found is MISSING else _bound(receiver.receiver, found)
    if isinstance(receiver, Instance | ProgramModule) and name in receiver.attributes:
        return receiver.attributes[name]
    if isinstance(receiver, torch.nn.Module):
        for kept in (receiver._parameters, receiver._buffers, receiver._modules):
            if name in kept:
                return kept[name]
    if isinstance(receiver, Instance | ProgramModule):
        found = receiver.user_class.find(name)
        return found if found is MISSING else _bound(receiver, found)
    return MISSING


def set_member(receiver: Any, name: str, value: Any) -> None:
    """Gives an object of the program, or a module, an attribute."""
    if isinstance(receiver, UserClass):
        receiver.members[name] = value
    elif isinstance(receiver, Instance):
        receiver.attributes[name] = value
    elif isinstance(receiver, torch.nn.Module):
        _set_in_module(receiver, name, value)


def _set_in_module(module: torch.nn.Module, name: str, value: Any) -> None:
    if name in RESERVED:
        raise AttributeError(f"'{name}' belongs to every module and cannot be replaced: use another name")
    is_registered = any(name in kept for kept in (module._parameters, module._buffers, module._modules))
    if isinstance(value, torch.nn.Parameter | torch.nn.Module) or is_registered:
        if isinstance(module, ProgramModule) and not module.is_ready:
            what = "parameters" if isinstance(value, torch.nn.Parameter) else "module"
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        torch.nn.Module.__setattr__(module, name, value)
        if isinstance(module, ProgramModule):
            module.attributes.pop(name, None)
    elif name == "training":
        module.training = bool(value)
    elif isinstance(module, ProgramModule):
        module.attributes[name] = value
    else:
        raise AttributeError(f"'{type_name(module)}' object takes only parameters and modules as new attributes")


def _bound(receiver: Any, found: Any) -> Any:
    """A member of a class as an attribute of an object."""
    if isinstance(found, Native):
        return BoundMethod(receiver, found)
    if not isinstance(found, UserFunction) or found.binding == "staticmethod":
        return found
    if found.binding == "property":
        return found(receiver)
    return BoundMethod(receiver.user_class if found.binding == "classmethod" else receiver, found)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"__repr__ returned non-string (type {type_name(value)})")
    return value


_SIGNS = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow", "@": "matmul",
}  # fmt: skip
_COMPARISONS = {
    "==": ("eq", "eq"), "!=": ("ne", "ne"), "<": ("lt", "gt"), "<=": ("le", "ge"), ">": ("gt", "lt"),
    ">=": ("ge", "le"),
}  # fmt: skip


def operate(sign: str, left: Any, right: Any) -> Any:
    """`left sign right`, where one of them is an object of the program."""
    if sign in _COMPARISONS:
        ways = tuple(f"__{name}__" for name in _COMPARISONS[sign])
    else:
        ways = (f"__{_SIGNS.get(sign, sign)}__", f"__r{_SIGNS.get(sign, sign)}__")
    for one, other, name in ((left, right, ways[0]), (right, left, ways[1])):
        if isinstance(one, Instance) and (made := one.answer(name, other)) is not MISSING:
            return made
    if sign in ("==", "!="):
        return _same(left, right) == (sign == "==")
    names = f"'{type_name(left)}' and '{type_name(right)}'"
    if sign in _COMPARISONS:
        raise TypeError(f"'{sign}' not supported between instances of {names}")
    raise TypeError(f"unsupported operand type(s) for {sign}: {names}")


def _same(left: Any, right: Any) -> bool:
    """Two objects of one dataclass are the same where their fields are."""
    if isinstance(left, Instance) and isinstance(right, Instance) and left.user_class is right.user_class:
        return left is right or (left.user_class.fields is not None and left.attributes == right.attributes)
    return left is right


def operate_in_place(sign: str, left: Instance, right: Any) -> Any:
    """`left sign= right`."""
    made = left.answer(f"__i{_SIGNS.get(sign, sign)}__", right)
    return operate(sign, left, right) if made is MISSING else made


def negative(value: Instance) -> Any:
    """`-value`."""
    made = value.answer("__neg__")
    if made is MISSING:
        raise TypeError(f"bad operand type for unary -: '{value.user_class.name}'")
    return made
