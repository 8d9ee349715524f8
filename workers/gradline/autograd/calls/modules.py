# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Modules and optimizers."""

import builtins
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import OPERATIONS, Operation
from gradline.autograd.objects import RESERVED, ProgramModule
from gradline.autograd.registry import SPECIAL_FUNCTIONS, SPECIAL_METHODS, Special, by_name, method, passing


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
    if type(module) is torch.nn.Sequential or has_program_module(module):
        return _run_parts(it, module, inputs, kwargs)
    bound_module(it, module, inputs)
    call = ModuleCall(module)
    return it.apply(Operation(type(module).__name__, call, is_bounded=True), (call.own, *inputs), kwargs)


def bound_module(it: Dispatch, module: torch.nn.Module, inputs: list[Any]) -> None:
    """Refuses a call whose result would be too large; most modules give as many elements as they take."""
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    n = float(max((tensor.numel() for tensor in tensors), default=1))
    for part in module.modules():
        numbers = [
            abs(value)
            for name in _GROWING
            for value in _flat([part.__dict__.get(name)])
            if isinstance(value, int) and not isinstance(value, bool)
        ]
        spread = prod(1.0 + 2.0 * value for value in _flat([part.__dict__.get("padding")]) if isinstance(value, int))
        n *= max(max(numbers, default=1), 1) * spread / max(_taken(part), 1)
    it.guard.check_elements(n)


_GROWING = ("out_features", "out_channels", "embedding_dim", "hidden_size", "scale_factor")


def _taken(part: torch.nn.Module) -> int:
    """How many elements of its input one output of a module uses up at least."""
    return int(part.__dict__.get("in_features") or part.__dict__.get("in_channels") or 1)


def has_program_module(module: torch.nn.Module) -> bool:
    """Whether some of it is a class of the program, whose operations are recorded one by one."""
    return any(isinstance(part, ProgramModule) for part in module.modules())


def _run_parts(it: Dispatch, module: torch.nn.Module, inputs: list[Any], kwargs: dict[str, Any]) -> Any:
    has_hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    if isinstance(module, torch.nn.Sequential) and not has_hooks and not kwargs:
        for part in module:
            inputs = [it.call_value(part, inputs, {})]
        return inputs[0]
    return module(*inputs, **kwargs)


def _hooking(name: str) -> Special:
    register = getattr(torch.nn.Module, name)

    def hook(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        module, function = args

        def call(*got: Any) -> Any:
            return None if it.has_ended else it.call_value(function, list(got), {})

        return register(module, call)

    return hook


SPECIAL_METHODS["module"].update(
    {
        name: _hooking(name)
        for name in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook")
    }
)


def _registering(name: str) -> Special:
    register = getattr(torch.nn.Module, name)

    def call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        key = args[1] if len(args) > 1 else kwargs.get("name")
        if key in RESERVED or str(key).startswith("_"):
            raise KeyError(f"attribute '{key}' already exists")
        it.recorder.changed()
        return register(*args, **kwargs)

    return call


SPECIAL_METHODS["module"].update(
    {name: _registering(name) for name in ("register_buffer", "register_parameter", "add_module", "register_module")}
)


@method("module", "apply")
def _apply(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    it.recorder.changed()
    return args[0].apply(lambda module: it.call_value(args[1], [module], {}))


def _changing(name: str) -> Special:
    """A method that changes what a module or an optimizer holds."""

    def change(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.changed()
        return getattr(args[0], name)(*args[1:], **kwargs)

    return change


SPECIAL_METHODS["module"].update(
    {
        name: _changing(name)
        for name in ("requires_grad_", "train", "eval", "double", "float", "load_state_dict", "zero_grad")
    }
)
SPECIAL_METHODS["optimizer"]["zero_grad"] = _changing("zero_grad")
SPECIAL_METHODS["scheduler"]["step"] = _changing("step")


def _making_module(real: type[torch.nn.Module]) -> Special:
    def make(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        numbers = [abs(value) or 1 for value in _flat([*args, *kwargs.values()]) if isinstance(value, int)]
        if 8.0 * prod(map(float, numbers)) * max(numbers, default=1) > it.budget.limits.tensor_elements:
            with torch.device("meta"):
                it.budget.check_elements(sum(p.numel() for p in real(*args, **kwargs).parameters()))
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


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


SPECIAL_FUNCTIONS.update(
    {
        name: passing(operation.function)
        for name, operation in OPERATIONS.items()
        if name.startswith("torch.optim.") and name != "torch.optim.lr_scheduler.LambdaLR"
    }
)

_STEP = Operation("optimizer.step", lambda parameters, step: step(), mutates=True)


@method("optimizer", "step")
def _step(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "self", "closure")
    optimizer, closure = given["self"], given["closure"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    new = [p for p in parameters if p.grad is not None and p not in optimizer.state]
    it.budget.check_memory(2 * sum(p.nbytes for p in new))  # Adam keeps two moments of each
    if closure is None:
        return it.apply(_STEP, (parameters, optimizer.step), {})
    with it.recorder.suspended():  # the parameters change between the backward passes of one step
        made = optimizer.step(lambda: it.call_value(closure, [], {}))
    it.recorder.changed()
    return made
