"""Functions and methods of the table that are more than one operation, by name; the modules of `calls` fill it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Special = Callable[[Any, list[Any], dict[str, Any]], Any]
"""Takes the interpreter, the arguments (of a method: first the receiver) and the keyword arguments."""

SPECIAL_FUNCTIONS: dict[str, Special] = {}
"""By full name."""
SPECIAL_METHODS: defaultdict[str, dict[str, Special]] = defaultdict(dict)
"""By kind of value and name."""


def function(*names: str) -> Callable[[Special], Special]:
    def register(special: Special) -> Special:
        SPECIAL_FUNCTIONS.update(dict.fromkeys(names, special))
        return special

    return register


def method(kind: str, *names: str) -> Callable[[Special], Special]:
    def register(special: Special) -> Special:
        SPECIAL_METHODS[kind].update(dict.fromkeys(names, special))
        return special

    return register


def by_name(args: list[Any], kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    """Arguments by name; those not given are None."""
    return dict.fromkeys(names) | dict(zip(names, args, strict=False)) | kwargs


def as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def passing(real: Callable[..., Any]) -> Special:
    """The real function as it is: what it takes has been checked, and it makes no tensors."""
    return lambda _it, args, kwargs: real(*args, **kwargs)
