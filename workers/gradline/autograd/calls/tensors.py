# ruff: noqa: ARG001  every special function has the one signature of the registry
"""Tensors made, moved, flagged, hooked, and taken out of the graph."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import OPERATIONS, TENSOR_METHODS, Operation
from gradline.autograd.limits import LARGE
from gradline.autograd.operations import check_device
from gradline.autograd.plain import bounded_print_options
from gradline.autograd.registry import SPECIAL_METHODS, Special, by_name, function, method


def _cutting(name: str) -> Special:
    def cut(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.cut(f".{name}()", args[0])
        if args[0].numel() > LARGE:
            it.budget.check_memory()
        if name == "detach":
            return it.apply(TENSOR_METHODS["detach"], args, kwargs)
        return TENSOR_METHODS[name].function(*args, **kwargs)

    return cut


SPECIAL_METHODS["tensor"].update({name: _cutting(name) for name in ("item", "tolist", "numpy", "detach")})


@function("torch.from_numpy")
def _from_numpy(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if not isinstance(args[0], np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(args[0]).__name__})")
    return it.apply(OPERATIONS["torch.from_numpy"], args, kwargs)


def _moving(name: str) -> Special:
    def move(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        for arg in args[1:]:
            if isinstance(arg, str | torch.device):
                check_device(arg)
        return it.apply(TENSOR_METHODS[name], args, kwargs)

    return move


SPECIAL_METHODS["tensor"].update({name: _moving(name) for name in ("to", "cuda")})


@function("torch.device")
def _device(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> torch.device:
    check_device(args[0] if args else kwargs.get("type"))
    return torch.device(*args, **kwargs)


# --- flags of a tensor, and hooks ---


def _flagging(name: str) -> Special:
    def flag(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.changed()
        made = TENSOR_METHODS[name].function(*args, **kwargs)
        if name == "retain_grad":
            it.recorder.retained(args[0])
        return made

    return flag


SPECIAL_METHODS["tensor"].update({name: _flagging(name) for name in ("requires_grad_", "retain_grad", "detach_")})


def _hooking(name: str) -> Special:
    def hook(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        tensor, function = args
        it.recorder.hooked(tensor)
        return TENSOR_METHODS[name].function(tensor, lambda *got: it.call_value(function, list(got), {}))

    return hook


SPECIAL_METHODS["tensor"].update(
    {name: _hooking(name) for name in ("register_hook", "register_post_accumulate_grad_hook")}
)


@method("node", "register_hook", "register_prehook")
def _node_hook(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    node, function = args
    return node.register_hook(lambda *got: it.call_value(function, list(got), {}))


@method("node", "name")
def _node_name(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0].name()


@method("handle", "remove")
def _remove(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    args[0].remove()


@function("torch.Tensor", "torch.FloatTensor")
def _tensor_class(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
    """`torch.Tensor([1., 2.])`; with sizes it holds zeros, not whatever was in memory."""
    if all(isinstance(arg, int) for arg in args):
        return it.apply(OPERATIONS["torch.zeros"], args or [0], kwargs)
    return it.apply(_OLD_TENSOR, args, kwargs)


_OLD_TENSOR = Operation("Tensor", torch.Tensor)


# --- random numbers ---


@function("torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "torch.cuda.synchronize", "torch.cuda.empty_cache")
def _nothing_here(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    """`torch.manual_seed` seeds every device; the rest is done at the end of a program."""


@function("torch.set_default_device")
def _default_device(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    """The processor is the default already."""
    device = by_name(args, kwargs, "device")["device"]
    check_device(device)
    if device is not None and torch.device(device).type != "cpu":
        torch.set_default_device(device)


@function("torch.set_num_threads", "torch.use_deterministic_algorithms")
def _as_it_is(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Programs run deterministically, on one thread."""


@function("torch.set_printoptions")
def _set_printoptions(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    """As torch does it, as far as it can be printed."""
    given = by_name(args, kwargs, "precision", "threshold", "edgeitems", "linewidth")
    torch.set_printoptions(**bounded_print_options(given))


@function("torch.manual_seed")
def _manual_seed(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> torch.Generator:
    """As torch does it, but without the compiler that `torch.manual_seed` loads, for seconds, on first use."""
    seed = int(by_name(args, kwargs, "seed")["seed"])
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    return torch.default_generator.manual_seed(seed)
