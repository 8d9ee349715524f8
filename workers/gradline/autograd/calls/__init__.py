"""Calls that mean more than one operation, each registered under its name in the table."""

from gradline.autograd.calls import backward, modules, numeric, python, tensors, training, transforms
from gradline.autograd.calls.binding import bind
from gradline.autograd.calls.functions import make_class
from gradline.autograd.calls.modes import as_context, decorator
from gradline.autograd.calls.python import show

__all__ = [
    "as_context",
    "backward",
    "bind",
    "decorator",
    "make_class",
    "modules",
    "numeric",
    "python",
    "show",
    "tensors",
    "training",
    "transforms",
]
