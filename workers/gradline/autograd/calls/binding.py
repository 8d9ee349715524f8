"""Arguments of a call bound to the parameters of a `def` or `lambda`, with Python's own messages."""

from typing import Any

from gradline.autograd.values import UNSET, UserFunction


def bind(function: UserFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The parameters' names with what they stand for in one call."""
    names, rest, more = function.parameters.names, function.parameters.rest, function.parameters.more
    by_name = dict(function.by_name)
    if len(args) > len(names) and rest is None:
        raise TypeError(_too_many(function, len(args)))
    bound = dict(zip(names, args, strict=False))
    extra: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name in by_name:
            by_name[name] = value
            continue
        if name not in names:
            if more is not None:
                extra[name] = value
                continue
            raise TypeError(f"{function.name}() got an unexpected keyword argument '{name}'")
        if name in bound:
            raise TypeError(f"{function.name}() got multiple values for argument '{name}'")
        bound[name] = value
    for name, value in zip(reversed(names), reversed(function.defaults), strict=False):
        bound.setdefault(name, value)
    missing = [name for name in names if name not in bound]
    if missing:
        raise TypeError(_missing(function, missing))
    if unset := [name for name, value in by_name.items() if value is UNSET]:
        raise TypeError(_missing(function, unset, "keyword-only"))
    bound |= by_name
    if rest is not None:
        bound[rest] = args[len(names) :]
    if more is not None:
        bound[more] = extra
    return bound


def _too_many(function: UserFunction, n: int) -> str:
    names, n_defaults = function.parameters.names, len(function.defaults)
    takes = f"from {len(names) - n_defaults} to {len(names)}" if n_defaults else str(len(names))
    plural = "" if takes == "1" else "s"
    return f"{function.name}() takes {takes} positional argument{plural} but {n} {'was' if n == 1 else 'were'} given"


def _missing(function: UserFunction, missing: list[str], kind: str = "positional") -> str:
    quoted = [f"'{name}'" for name in missing]
    listed = (
        quoted[0]
        if len(quoted) == 1
        else " and ".join(quoted)
        if len(quoted) == 2
        else (", ".join(quoted[:-1]) + f", and {quoted[-1]}")
    )
    plural = "s" if len(missing) > 1 else ""
    return f"{function.name}() missing {len(missing)} required {kind} argument{plural}: {listed}"
