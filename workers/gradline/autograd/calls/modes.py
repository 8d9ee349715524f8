"""What a `with` may enter and a decorator may do: torch's gradient modes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from gradline.autograd.objects import MISSING, Instance
from gradline.autograd.values import Native

MODES = (
    torch.no_grad,
    torch.enable_grad,
    torch.inference_mode,
    torch.set_grad_enabled,
    torch.autograd.set_detect_anomaly,
    torch.autograd.detect_anomaly,
    torch.autograd.forward_ad.dual_level,
    torch.autograd.graph.saved_tensors_hooks,
    nullcontext,
)


def as_context(value: Any) -> AbstractContextManager[Any]:
    """What a `with` may enter."""
    if isinstance(value, MODES):
        entered: AbstractContextManager[Any] = value
        return entered
    if isinstance(value, Instance) and value.user_class.find("__enter__") is not MISSING:
        return _entering(value)
    if value == ():  # what a module that draws gives
        return nullcontext()
    raise TypeError(f"'{type(value).__name__}' object does not support the context manager protocol")


@contextmanager
def _entering(value: Instance) -> Iterator[Any]:
    """An object of the program in a `with`; it is left without being told of errors."""
    try:
        yield value.answer("__enter__")
    finally:
        value.answer("__exit__", None, None, None)


def decorator(value: Any) -> Callable[[], AbstractContextManager[Any]]:
    """What a decorator does around each call of the function under it."""
    if isinstance(value, Native):
        return lambda: as_context(value())
    return lambda: as_context(type(value)())
