"""Transforms of functions: Jacobians, products, batches, and torch's own gradient checks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.limits import LimitReached
from gradline.autograd.record.recorder import Transform
from gradline.autograd.registry import SPECIAL_FUNCTIONS, Special, as_list, by_name, function
from gradline.autograd.values import Native

MAX_ORDER = 6
"""Transforms within one another: each may multiply the work by as much as the function has operations."""
MAX_TRANSFORMED = 1_024
"""Elements that a Jacobian, Hessian or batch transform is taken by."""


def _transforming(name: str, make: Callable[..., Any], multiplies: bool) -> Special:
    """`torch.func.name(f)`: a function that gives f's derivative."""

    def transform(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = args[0]
        argnums = kwargs.get("argnums", args[1] if len(args) > 1 else 0)
        real = make(_callback(it, function), *args[1:], **kwargs)

        def call(*given: Any, **named: Any) -> Any:
            by = argnums if isinstance(argnums, tuple) else (argnums,)
            batch = tuple(given[i] for i in by if i < len(given)) if multiplies else ()
            with _inside(it, batch, 1 + (name == "hessian")):
                made = real(*given, **named)
            gradient = made[0] if kwargs.get("has_aux") or name == "grad_and_value" else made
            if not named and not kwargs.get("has_aux"):
                it.recorder.transform(Transform(name, _callback(it, function), given, by, None, gradient))
            return made

        return Native(name, call)

    return transform


SPECIAL_FUNCTIONS.update(
    {
        f"torch.func.{name}": _transforming(name, getattr(torch.func, name), multiplies)
        for name, multiplies in {
            "grad": False, "grad_and_value": False, "jacrev": True, "jacfwd": True, "hessian": True,
        }.items()
    }
)  # fmt: skip


@function("torch.func.vmap", "torch.vmap")
def _vmap(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    real = torch.func.vmap(_callback(it, args[0]), *args[1:], **kwargs)

    def call(*given: Any, **named: Any) -> Any:
        with _inside(it, given):
            return real(*given, **named)

    return Native("vmap", call)


@function("torch.func.vjp")
def _vjp(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    function, *primals = args
    with _inside(it):
        value, pull, *more = torch.func.vjp(_callback(it, function), *primals, **kwargs)

    def call(*cotangents: Any) -> Any:
        made = pull(*cotangents)
        if not more:
            by = tuple(range(len(primals)))
            it.recorder.transform(Transform("vjp", _callback(it, function), tuple(primals), by, cotangents, made))
        return made

    return (value, Native("vjp_fn", call), *more)


@function("torch.func.jvp")
def _jvp(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "func", "primals", "tangents")
    named = {name: value for name, value in kwargs.items() if name == "has_aux"}
    function = _callback(it, given["func"])
    with _inside(it):
        made = torch.func.jvp(function, tuple(given["primals"]), tuple(given["tangents"]), **named)
    if not named:
        primals = tuple(given["primals"])
        by = tuple(range(len(primals)))
        it.recorder.transform(Transform("jvp", function, primals, by, tuple(given["tangents"]), made[1]))
    return made


def _functional(name: str) -> Special:
    """`torch.autograd.functional.name(f, inputs, v)`."""
    real = getattr(torch.autograd.functional, name)

    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = by_name(args, kwargs, "func", "inputs", "v")
        function, inputs = _callback(it, given["func"]), given["inputs"]
        primals = tuple(as_list(inputs))
        more = {key: value for key, value in kwargs.items() if key not in ("func", "inputs")}
        with _inside(it, primals if name in ("jacobian", "hessian") else (), 1 + name.startswith("h")):
            made = real(function, inputs, *args[2:], **more)
        directions = tuple(as_list(given["v"])) if given["v"] is not None else None
        gradient = made if name in ("jacobian", "hessian") else made[1]
        it.recorder.transform(Transform(name, function, primals, tuple(range(len(primals))), directions, gradient))
        return made

    return call


SPECIAL_FUNCTIONS.update(
    {
        f"torch.autograd.functional.{name}": _functional(name)
        for name in ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp")
    }
)


def _checking(real: Callable[..., Any]) -> Special:
    def check(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = by_name(args, kwargs, "func", "inputs")
        more = {key: value for key, value in kwargs.items() if key not in ("func", "inputs")}
        with _inside(it, tuple(as_list(given["inputs"]))):
            return real(_callback(it, given["func"]), given["inputs"], *args[2:], **more)

    return check


SPECIAL_FUNCTIONS.update(
    {
        "torch.autograd.gradcheck": _checking(torch.autograd.gradcheck),
        "torch.autograd.gradgradcheck": _checking(torch.autograd.gradgradcheck),
    }
)


def _callback(it: Dispatch, function: Any) -> Callable[..., Any]:
    """A function of the program, or one of the table, for torch to call."""
    return lambda *args, **kwargs: it.call_value(function, list(args), kwargs)


@contextmanager
def _inside(it: Dispatch, batch: tuple[Any, ...] = (), order: int = 1) -> Iterator[None]:
    """Inside a transform: nothing is recorded, and tensors may be as many at once as `batch` has elements."""
    n = max((value.numel() for value in batch if isinstance(value, Tensor)), default=1)
    if n > MAX_TRANSFORMED:
        it.budget.check_elements(float(n) * it.budget.limits.tensor_elements / MAX_TRANSFORMED)
    outer, it.guard.share = it.guard.share, max(it.guard.share * n, 1)
    it.guard.depth += order
    try:
        if it.guard.depth > MAX_ORDER:
            raise LimitReached("transforms", f"transforms of functions more than {MAX_ORDER} within one another")
        with it.recorder.suspended():
            yield
    finally:
        it.guard.share = outer
        it.guard.depth -= order
