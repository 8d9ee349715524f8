"""What a `with` may enter and a decorator may do: torch's gradient modes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from gradline.autograd.values import Native

MODES = (
    torch.no_grad,
    torch.enable_grad,
    torch.inference_mode,
    torch.set_grad_enabled,
    torch.autograd.set_detect_anomaly,
    torch.autograd.detect_anomaly,
    torch.autograd.forward_ad.dual_level,
)


def as_context(value: Any) -> AbstractContextManager[Any]:
    """What a `with` may enter."""
    if isinstance(value, MODES):
        entered: AbstractContextManager[Any] = value
        return entered
    raise TypeError(f"'{type(value).__name__}' object does not support the context manager protocol")


def decorator(value: Any) -> Callable[[], AbstractContextManager[Any]]:
    """What a decorator does around each call of the function under it."""
    if isinstance(value, Native):
        return lambda: as_context(value())
    return lambda: as_context(type(value)())
