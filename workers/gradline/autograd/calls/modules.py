# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Modules and optimizers."""

import builtins
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import OPERATIONS, Operation
from gradline.autograd.registry import SPECIAL_FUNCTIONS, SPECIAL_METHODS, Special, method


class ModuleCall:
    """A module as a function of its parameters and inputs, so that it can be differentiated by either."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.names = [name for name, _ in module.named_parameters()]
        self.own = tuple(module.parameters())

    def __call__(self, parameters: tuple[Tensor, ...], *args: Any, **kwargs: Any) -> Any:
        if all(a is b for a, b in builtins.zip(parameters, self.own, strict=True)):
            return self.module(*args, **kwargs)
        return torch.func.functional_call(
            self.module, dict(builtins.zip(self.names, parameters, strict=True)), args, kwargs
        )


@method("module", "forward")
def _module_forward(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    module, *inputs = args
    call = ModuleCall(module)
    return it.apply(Operation(type(module).__name__, call), (call.own, *inputs), kwargs)


@method("module", "zero_grad")
def _module_zero(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    it.recorder.changed()
    return args[0].zero_grad(*args[1:], **kwargs)


def _changing(name: str) -> Special:
    method = getattr(torch.nn.Module, name)

    def change(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.changed()
        return method(*args, **kwargs)

    return change


SPECIAL_METHODS["module"].update(
    {name: _changing(name) for name in ("requires_grad_", "train", "eval", "double", "float")}
)


def _making_module(real: type[torch.nn.Module]) -> Special:
    def make(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        n = 1.0
        for value in [*args, *kwargs.values()]:
            n *= abs(value) or 1 if isinstance(value, int) else 1
        it.budget.check_elements(n)
        made = real(*args, **kwargs)
        return made.double() if it.is_double else made

    return make


SPECIAL_FUNCTIONS.update(
    {
        name: _making_module(operation.function)
        for name, operation in OPERATIONS.items()
        if isinstance(operation.function, type) and issubclass(operation.function, torch.nn.Module)
    }
)


def _making_optimizer(real: type[torch.optim.Optimizer]) -> Special:
    def make(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return real(*args, **kwargs)

    return make


SPECIAL_FUNCTIONS.update(
    {
        name: _making_optimizer(operation.function)  # type: ignore[arg-type]
        for name, operation in OPERATIONS.items()
        if name.startswith("torch.optim.")
    }
)

_STEP = Operation("optimizer.step", lambda parameters, step: step(), mutates=True)


@method("optimizer", "step")
def _step(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    optimizer = args[0]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return it.apply(_STEP, (parameters, optimizer.step), {})


@method("optimizer", "zero_grad")
def _optimizer_zero(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    it.recorder.changed()
    return args[0].zero_grad(*args[1:], **kwargs)
