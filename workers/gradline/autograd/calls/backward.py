"""Backward passes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.record.recorder import Backward
from gradline.autograd.registry import as_list, by_name, function, method


@method("tensor", "backward")
def _tensor_backward(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "self", "gradient", "retain_graph", "create_graph", "inputs")
    return _backward(it, given, [given["self"]], [given["gradient"]], lambda: Tensor.backward(*args, **kwargs))


@function("torch.autograd.backward")
def _autograd_backward(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "tensors", "grad_tensors", "retain_graph", "create_graph", "_", "inputs")
    roots = as_list(given["tensors"])
    weights = as_list(given["grad_tensors"]) or [None] * len(roots)
    return _backward(it, given, roots, weights, lambda: torch.autograd.backward(*args, **kwargs))


def _backward(it: Dispatch, given: dict[str, Any], roots: Any, weights: Any, call: Callable[[], Any]) -> Any:
    creates = bool(given["create_graph"])
    keeps = creates if given["retain_graph"] is None else bool(given["retain_graph"])
    inputs = None if given["inputs"] is None else as_list(given["inputs"])
    return it.recorder.backward(Backward(roots, weights, inputs, keeps, creates, True, call, it.budget.check_memory))  # noqa: FBT003


@function("torch.autograd.grad")
def _autograd_grad(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "outputs", "inputs", "grad_outputs", "retain_graph", "create_graph")
    roots, creates = as_list(given["outputs"]), bool(given["create_graph"])
    keeps = creates if given["retain_graph"] is None else bool(given["retain_graph"])
    weights = as_list(given["grad_outputs"]) or [None] * len(roots)
    inputs = as_list(given["inputs"])
    call = lambda: torch.autograd.grad(*args, **kwargs)  # noqa: E731
    return it.recorder.backward(Backward(roots, weights, inputs, keeps, creates, False, call, it.budget.check_memory))  # noqa: FBT003
