# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Numpy as far as lessons beside autograd use it, Python's random numbers, clocks and copies."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.plain import bounded_print_options, check_whole
from gradline.autograd.registry import SPECIAL_FUNCTIONS, SPECIAL_METHODS, Special, by_name, function
from gradline.programs.allowed import FUNCTIONS, METHODS

_SIZED_BY_ARGUMENTS = frozenset(
    [
        *("zeros", "ones", "full", "eye", "identity", "arange", "linspace", "logspace"),
        *("random.rand", "random.randn", "random.random", "random.standard_normal", "random.random_sample"),
        *("random.normal", "random.uniform", "random.randint", "random.choice", "random.permutation"),
    ]
)
_PRODUCTS = frozenset({"outer"})
_KINDS = (float, int, bool, np.float32, np.float64, np.int32, np.int64, np.bool_, None)
"""What an array can be made of."""


def _elements(name: str, args: list[Any], kwargs: dict[str, Any]) -> float:
    """How many elements the result has at most."""
    values = [*args, *kwargs.values()]
    if name == "arange":
        given = by_name(args, kwargs, "start", "stop", "step")
        start, stop = (0, given["start"]) if given["stop"] is None else (given["start"], given["stop"])
        return abs(float(stop) - float(start)) / abs(float(given["step"] or 1))
    if name in _SIZED_BY_ARGUMENTS:
        whole = [abs(float(value)) or 1.0 for value in _flat(values) if isinstance(value, int) and value is not True]
        if name in ("linspace", "logspace"):
            return float(kwargs.get("num", args[2] if len(args) > 2 else 50))
        sized = [np.size(value) for value in values if isinstance(value, np.ndarray | list)]
        if name in ("random.randint", "random.normal", "random.uniform", "random.choice", "full"):
            size = kwargs.get("size", args[0] if name == "full" else args[2:] if name != "random.choice" else args[1:2])
            whole = [abs(float(value)) or 1.0 for value in _flat([size]) if isinstance(value, int)]
        if name in ("eye", "identity"):
            whole = whole * 2 if len(whole) == 1 else whole
        return math.prod(whole) * max(sized, default=1)
    sizes = [float(_size(value)) for value in values]
    if name in _PRODUCTS:
        return math.prod(max(size, 1.0) for size in sizes)
    if name in ("dot", "matmul", "inner") and len(args) > 1:
        inner = np.shape(args[0])[-1:] or (1,)
        return sizes[0] * sizes[1] / max(inner[0], 1) ** (2 if np.ndim(args[1]) else 0)
    if all(isinstance(value, np.ndarray | float | int) for value in args) and args:
        return float(math.prod(np.broadcast_shapes(*map(np.shape, args)))) if len(args) < 4 else sum(sizes)
    return max(sum(sizes), 1.0) * (math.prod(sizes) if name == "diag" else 1.0)


def _size(value: Any) -> float:
    """Elements of an array, or of nested lists."""
    if isinstance(value, np.ndarray | Tensor):
        return float(value.size if isinstance(value, np.ndarray) else value.numel())
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return 1.0


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _check_kind(kwargs: dict[str, Any]) -> None:
    kind = kwargs.get("dtype")
    if not any(kind is known for known in _KINDS) and not (isinstance(kind, str) and kind in _NAMES):
        raise TypeError(f"dtype {kind!r} is not available to a program: use np.float32 or np.float64")


_NAMES = ("float32", "float64", "int32", "int64", "bool", "float", "int")


def _array_function(name: str, real: Callable[..., Any]) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        _check_kind(kwargs)
        with suppress(TypeError, ValueError, IndexError, ZeroDivisionError):  # a wrong call says so itself
            check_whole(it.budget, *args)
            it.budget.check_elements(_elements(name, args, kwargs))
        return _known(real(*args, **kwargs))

    return call


def _known(made: Any) -> Any:
    """Only arrays of numbers: one of objects would keep anything."""
    if isinstance(made, np.ndarray) and made.dtype.kind not in "biufcU":
        raise TypeError("an array may only hold numbers here")
    return made


def _numpy(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    return getattr(np.linalg if module == "linalg" else np, name)  # type: ignore[no-any-return]


def _drawing(name: str) -> Special:
    """A function of `np.random`, on the program's own state."""

    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return _array_function(f"random.{name}", getattr(it.numpy_random, name))(it, args, kwargs)

    return call


for _entry in FUNCTIONS:
    _path = _entry.removeprefix("numpy.")
    if _entry.startswith("numpy.random."):
        SPECIAL_FUNCTIONS[_entry] = _drawing(_path.removeprefix("random."))
    elif _entry.startswith("numpy."):
        SPECIAL_FUNCTIONS[_entry] = _array_function(_path, _numpy(_path))


@function("numpy.random.default_rng")
def _default_rng(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> np.random.Generator:
    return np.random.default_rng(*args, **kwargs)


@function("numpy.set_printoptions")
def _print_options(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    np.set_printoptions(**bounded_print_options(kwargs))


def _array_method(name: str) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if name == "astype":
            _check_kind({"dtype": args[1] if len(args) > 1 else kwargs.get("dtype")})
        elif name == "dot":
            it.budget.check_elements(_elements("dot", args, kwargs))
        return _known(getattr(args[0], name)(*args[1:], **kwargs))

    return call


SPECIAL_METHODS["array"].update({name: _array_method(name) for name in METHODS["array"]})


def _generator_method(name: str) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        drawn = _array_function(f"random.{_LIKE.get(name, name)}", getattr(args[0], name))
        return drawn(it, args[1:], kwargs)

    return call


_LIKE = {"integers": "randint"}
SPECIAL_METHODS["numpy generator"].update({name: _generator_method(name) for name in METHODS["numpy generator"]})


# --- Python's own random numbers, clocks, copies ---


def _python_drawing(name: str) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if name == "sample":
            it.budget.check_items(int(kwargs.get("k", args[1] if len(args) > 1 else 1)))
        return getattr(it.random, name)(*args, **kwargs)

    return call


SPECIAL_FUNCTIONS.update(
    {name: _python_drawing(name.removeprefix("random.")) for name in FUNCTIONS if name.startswith("random.")}
)
SPECIAL_FUNCTIONS.update(
    {
        "time.time": lambda it, args, kwargs: time.time(),
        "time.perf_counter": lambda it, args, kwargs: time.perf_counter(),
        "time.monotonic": lambda it, args, kwargs: time.monotonic(),
        "time.process_time": lambda it, args, kwargs: time.process_time(),
        "copy.copy": lambda it, args, kwargs: copy.copy(*args),
        "copy.deepcopy": lambda it, args, kwargs: _deep(it, args[0]),
    }
)


def _deep(it: Dispatch, value: Any) -> Any:
    it.recorder.changed()
    it.budget.check_memory()
    return copy.deepcopy(value)
