# ruff: noqa: ARG001  every special function has the one signature of the registry
"""Functions with a backward of the program's own."""

from collections.abc import Callable
from typing import Any

import torch

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import Operation
from gradline.autograd.objects import UserClass
from gradline.autograd.registry import SPECIAL_METHODS, Special, method
from gradline.autograd.values import Context, FunctionClass, UserFunction
from gradline.programs import statements as s


def make_class(node: s.DefineClass, base: Any, members: dict[str, Any]) -> UserClass | FunctionClass:
    """The class that a `class` statement defines."""
    if base is torch.autograd.Function:
        return FunctionClass(node.name, _function_class(node.name, members))
    if not isinstance(base, UserClass) and base not in _BASES:
        raise TypeError(f"a class cannot derive from {base!r} here")
    inherited = (base.fields or ()) if isinstance(base, UserClass) else ()
    fields = None if node.fields is None else tuple(dict.fromkeys((*inherited, *node.fields)))
    made = UserClass(node.name, base, members, fields)
    for member in members.values():
        if isinstance(member, UserFunction) and member.owner is None:
            member.owner = made
    return made


_BASES = (object, torch.nn.Module, torch.utils.data.Dataset)


def _function_class(name: str, members: dict[str, Any]) -> type[torch.autograd.Function]:
    """A subclass of torch's Function whose methods are interpreted."""
    methods = {key: members[key] for key in _METHODS if isinstance(members.get(key), UserFunction)}
    return type(name, (torch.autograd.Function,), {key: staticmethod(_static(m)) for key, m in methods.items()})


_METHODS = ("forward", "backward", "setup_context", "vmap", "jvp")
"""What torch calls in a Function; nothing else of the program's class reaches it."""


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
    return it.apply(Operation(made.name, made.real.apply, is_bounded=True), args[1:], kwargs)


def _context_method(name: str) -> Special:
    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return getattr(args[0].real, name)(*args[1:], **kwargs)

    return call


SPECIAL_METHODS["context"] = {
    name: _context_method(name)
    for name in ("save_for_backward", "mark_non_differentiable", "mark_dirty", "set_materialize_grads")
}
