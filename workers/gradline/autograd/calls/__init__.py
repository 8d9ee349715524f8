"""Calls that mean more than one operation, each registered under its name in the table."""

from gradline.autograd.calls import backward, modules, python, tensors, transforms
from gradline.autograd.calls.binding import bind
from gradline.autograd.calls.functions import function_class
from gradline.autograd.calls.modes import as_context, decorator
from gradline.autograd.calls.python import write

__all__ = [
    "as_context",
    "backward",
    "bind",
    "decorator",
    "function_class",
    "modules",
    "python",
    "tensors",
    "transforms",
    "write",
]
