# ruff: noqa: ARG001  every special function has the one signature of the registry
"""What training loops use beside modules: batches, schedules of the step size, calls with other parameters."""

from typing import Any

import torch
import torch.utils.checkpoint

from gradline.autograd.calls.modules import bound_module, has_program_module
from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import Operation
from gradline.autograd.record.network import LOOKING
from gradline.autograd.registry import SPECIAL_FUNCTIONS, as_list, by_name, function, method, passing


@function("torch.utils.data.DataLoader")
def _loader(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """In this process: further ones would change nothing but the time."""
    dataset, size = (by_name(args, kwargs, "dataset", "batch_size")[name] for name in ("dataset", "batch_size"))
    it.budget.check_items(len(dataset), "a data set")
    it.budget.check_items(size or 1, "a batch")
    given = {key: value for key, value in kwargs.items() if key not in ("num_workers", "pin_memory")}
    return torch.utils.data.DataLoader(*args, **given)


@function("torch.utils.data.TensorDataset")
def _tensors(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return torch.utils.data.TensorDataset(*args)


SPECIAL_FUNCTIONS["torch.utils.data.random_split"] = passing(torch.utils.data.random_split)


@function("torch.utils.data.Dataset", "torch.nn.Module")
def _abstract(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    raise TypeError("it says nothing by itself: derive a class from it")


@function("torch.func.functional_call")
def _functional_call(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "module", "parameter_and_buffer_dicts", "args", "kwargs")
    module, named = given["module"], given["parameter_and_buffer_dicts"]
    inputs = given["args"] if isinstance(given["args"], tuple) else (given["args"],)

    def call(named: Any, inputs: Any, more: Any) -> Any:
        return torch.func.functional_call(module, named, inputs, more)

    if has_program_module(module):
        return call(named, inputs, given["kwargs"])
    merged = {key: value for one in as_list(named) for key, value in one.items()}
    keys = list(merged)
    again = Operation(
        "functional_call",
        lambda values, inputs: call(dict(zip(keys, values, strict=True)), inputs, given["kwargs"]),
        is_bounded=True,
    )
    bound_module(it, module, list(inputs))
    return it.apply(again, (list(merged.values()), inputs), {})


@function("torch.utils.checkpoint.checkpoint")
def _checkpoint(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Runs the function; that it is run again in the backward pass would change no number."""
    return it.call_value(args[0], args[1:], {})


@function("torch.autograd.graph.saved_tensors_hooks")
def _saved_hooks(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    pack, unpack = (by_name(args, kwargs, "pack_hook", "unpack_hook")[name] for name in ("pack_hook", "unpack_hook"))

    def unpacked(packed: Any) -> Any:
        if getattr(LOOKING, "now", False):
            raise RuntimeError("unpacked for the program only")
        return it.call_value(unpack, [packed], {})

    return torch.autograd.graph.saved_tensors_hooks(lambda tensor: it.call_value(pack, [tensor], {}), unpacked)


@function("torch.autograd.graph.save_on_cpu")
def _save_on_cpu(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return torch.autograd.graph.save_on_cpu()


@function("torch.optim.lr_scheduler.LambdaLR")
def _lambda(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = by_name(args, kwargs, "optimizer", "lr_lambda")
    factors = [lambda epoch, one=one: it.call_value(one, [epoch], {}) for one in as_list(given["lr_lambda"])]
    return torch.optim.lr_scheduler.LambdaLR(given["optimizer"], factors if len(factors) > 1 else factors[0])


@method("scheduler", "get_last_lr")
def _last(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0].get_last_lr()


@method("scheduler", "state_dict")
@method("optimizer", "state_dict")
def _state(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0].state_dict()


@method("optimizer", "add_param_group")
def _add_group(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    args[0].add_param_group(args[1])


for _name in ("manual_seed", "initial_seed", "seed"):
    method("generator", _name)(passing(getattr(torch.Generator, _name)))


@function("torch.Generator")
def _generator(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> torch.Generator:
    return torch.Generator()
