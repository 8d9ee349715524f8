# ruff: noqa: ARG001  every special function has the one signature of the registry
"""Functions with a backward of the program's own."""

from collections.abc import Callable
from typing import Any

import torch

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import Operation
from gradline.autograd.registry import SPECIAL_METHODS, Special, method
from gradline.autograd.values import Context, FunctionClass, UserFunction


def function_class(name: str, methods: dict[str, UserFunction]) -> type[torch.autograd.Function]:
    """A subclass of torch's Function whose methods are interpreted."""
    return type(name, (torch.autograd.Function,), {key: staticmethod(_static(m)) for key, m in methods.items()})


def _static(method: UserFunction) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if not args or not isinstance(args[0], torch.autograd.function.FunctionCtx):
            return method(*args)
        real = args[0]
        context = real.__dict__.setdefault("gradline_context", Context(real))
        return method(context, *args[1:])

    return call


@method("function class", "apply")
def _apply(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    made: FunctionClass = args[0]
    return it.apply(Operation(made.name, made.real.apply), args[1:], kwargs)


def _context_method(name: str) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return getattr(args[0].real, name)(*args[1:], **kwargs)

    return call


SPECIAL_METHODS["context"] = {
    name: _context_method(name)
    for name in ("save_for_backward", "mark_non_differentiable", "mark_dirty", "set_materialize_grads")
}
