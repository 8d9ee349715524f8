"""The table's entries as torch's own functions, looked up once, by the table's names."""

import builtins
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradline.programs.allowed import ATTRIBUTES, CONSTANTS, EXCEPTIONS, FUNCTIONS, METHODS

_RANDOM = frozenset(
    [
        "rand",
        "randn",
        "randint",
        "randperm",
        "rand_like",
        "randn_like",
        "normal",
        "bernoulli",
        "dropout",
        "normal_",
        "uniform_",
        "random_",
        "bernoulli_",
        "exponential_",
        "multinomial",
        "gumbel_softmax",
        "Dropout",
    ]
)

_KEEPS_VALUES = frozenset({"requires_grad_", "detach_"})
"""Methods with an underscore that leave the values as they are."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A function of torch that makes tensors out of tensors."""

    name: str
    """As the table spells it, without its module."""
    function: Callable[..., Any]
    mutates: bool = False
    """Changes its first argument in place."""
    is_random: bool = False
    is_bounded: bool = False
    """Whether the size of its result is known to be within the limits before it is called."""

    def __repr__(self) -> str:
        return repr(self.function)


def _operation(name: str, function: Callable[..., Any]) -> Operation:
    short = name.rpartition(".")[2]
    mutates = short.endswith("_") and short not in _KEEPS_VALUES
    return Operation(short, function, mutates, short in _RANDOM)


def _in_torch(path: str) -> Any:
    return functools.reduce(getattr, path.split(".")[1:], torch)


OPERATIONS = {
    name: _operation(name, _in_torch(name))
    for name in FUNCTIONS
    if name.startswith("torch.") and callable(_in_torch(name))
}
"""Functions of torch by full name; the interpreter puts its own in front where a call means more than an operation."""

TENSOR_METHODS = {name: _operation(name, getattr(torch.Tensor, name)) for name in METHODS["tensor"]}

BINARY = {
    sign: Operation(sign, function)
    for sign, function in {
        "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
        "%": operator.mod, "**": operator.pow, "@": operator.matmul, "&": operator.and_, "|": operator.or_,
        "^": operator.xor,
        "<<": operator.lshift, ">>": operator.rshift, "==": operator.eq, "!=": operator.ne,
        "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
        "is": operator.is_, "is not": operator.is_not,
    }.items()
}  # fmt: skip

UNARY = {
    "-": Operation("-", operator.neg),
    "+": Operation("+", operator.pos),
    "~": Operation("~", operator.invert),
}

IN_PLACE = {
    sign: Operation(f"{sign}=", function, mutates=True)
    for sign, function in {
        "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
        "%": operator.imod, "**": operator.ipow, "@": operator.imatmul, "&": operator.iand, "|": operator.ior,
        "^": operator.ixor, "<<": operator.ilshift, ">>": operator.irshift,
    }.items()
}  # fmt: skip

GET_ITEM = Operation("[]", operator.getitem)
SET_ITEM = Operation("[]=", operator.setitem, mutates=True)
SET_DATA = Operation(".data=", lambda tensor, value: setattr(tensor, "data", value), mutates=True)

_BUILTIN_VALUES = {"__name__": "__main__", "torch.__version__": torch.__version__, "...": ..., "numpy.newaxis": None}

VALUES: dict[str, Any] = {
    **{name: getattr(math, name[5:]) for name in [*FUNCTIONS, *CONSTANTS] if name.startswith("math.")},
    **{name: _in_torch(name) for name in CONSTANTS if name.startswith("torch.")},
    **{name: getattr(builtins, name) for name in EXCEPTIONS},
    **{name: getattr(np, name[6:]) for name in CONSTANTS if name.startswith("numpy.")},
    **_BUILTIN_VALUES,
}
"""Constants, dtypes, kinds of error, and the functions of `math`, by full name."""

READERS = {
    kind: {name: operator.attrgetter(name) for name in names} for kind, names in ATTRIBUTES.items() if kind != "context"
}
"""How each attribute of the table is read."""

DERIVED = {name: Operation(f".{name}", operator.attrgetter(name)) for name in ("T", "mT", "H", "real", "imag", "data")}
"""Attributes that make a tensor out of a tensor."""
