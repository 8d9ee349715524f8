# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Python's own functions and methods: printing, conversions, sequences, text."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import OPERATIONS
from gradline.autograd.plain import CONVERSIONS
from gradline.autograd.registry import SPECIAL_FUNCTIONS, Special, function, method
from gradline.programs.formats import fields_of


def write(it: Dispatch, text: str) -> None:
    """Prints, within the limit."""
    it.budget.check_printed(len(text))
    it.recorder.printed(text)


@function("print")
def _print(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    separator, end = (" " if kwargs.get("sep") is None else kwargs["sep"]), kwargs.get("end", "\n")
    write(it, str(separator).join(str(arg) for arg in args) + ("\n" if end is None else str(end)))


@function("len")
def _len(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> int:
    return len(*args, **kwargs)


@function("range")
def _range(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> range:
    return range(*args, **kwargs)


def _converter(kind: type) -> Special:
    def convert(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if args and isinstance(args[0], Tensor):
            it.recorder.cut(f"{kind.__name__}()", args[0])
        return kind(*args, **kwargs)

    return convert


SPECIAL_FUNCTIONS.update({kind.__name__: _converter(kind) for kind in (float, int, bool)})
SPECIAL_FUNCTIONS.update(
    {
        "id": lambda it, args, kwargs: id(*args, **kwargs),
        "type": lambda it, args, kwargs: (
            type(*args, **kwargs) if len(args) == 1 else _refuse("type() takes 1 argument")
        ),
        "str": lambda it, args, kwargs: str(*args, **kwargs),
        "repr": lambda it, args, kwargs: repr(*args, **kwargs),
        "isinstance": lambda it, args, kwargs: isinstance(*args, **kwargs),
        "list": lambda it, args, kwargs: it.items(args[0]) if args else [],
        "tuple": lambda it, args, kwargs: tuple(it.items(args[0])) if args else (),
        "dict": lambda it, args, kwargs: dict(it.items(args[0])) if args else dict(**kwargs),
        "reversed": lambda it, args, kwargs: it.items(args[0])[::-1],
        "zip": lambda it, args, kwargs: list(zip(*map(it.items, args), strict=False)),
        "map": lambda it, args, kwargs: [
            it.call_value(args[0], list(row), {}) for row in zip(*map(it.items, args[1:]), strict=False)
        ],
        "enumerate": lambda it, args, kwargs: list(enumerate(it.items(args[0]), *args[1:], **kwargs)),
        "sorted": lambda it, args, kwargs: sorted(it.items(args[0]), **kwargs),
        "any": lambda it, args, kwargs: any(map(it.truth, it.items(args[0]))),
        "all": lambda it, args, kwargs: all(map(it.truth, it.items(args[0]))),
        "divmod": lambda it, args, kwargs: divmod(args[0], args[1]),
        "pow": lambda it, args, kwargs: it.binary("**", *args),
    }
)


def _refuse(message: str) -> Any:
    raise TypeError(message)


@function("sum")
def _sum(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    total = kwargs.get("start", args[1] if len(args) > 1 else 0)
    for item in it.items(args[0]):
        total = it.binary("+", total, item)
    return total


@function("abs")
def _abs(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return it.apply(OPERATIONS["torch.abs"], args, kwargs) if isinstance(args[0], Tensor) else abs(args[0])


@function("round")
def _round(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if isinstance(args[0], Tensor):
        decimals = {"decimals": args[1]} if len(args) > 1 else {}
        return it.apply(OPERATIONS["torch.round"], args[:1], decimals)
    return round(*args, **kwargs)


def _chooser(choose: Callable[..., Any]) -> Special:
    def extreme(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return choose(*([it.items(args[0])] if len(args) == 1 else args), **kwargs)

    return extreme


SPECIAL_FUNCTIONS.update({"max": _chooser(max), "min": _chooser(min)})


@method("str", "format")
def _format(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> str:
    """`str.format` with plain fields, filled by us."""
    text, *values = args
    pieces, n_used = [], 0
    for literal, name, conversion, spec in fields_of(text):
        pieces.append(literal)
        if name is None:
            continue
        value = values[n_used if name == "" else int(name)] if not name or name.isdigit() else kwargs[name]
        n_used += name == ""
        value = CONVERSIONS[conversion](value)
        pieces.append(format(value, spec))
    made = "".join(pieces)
    it.budget.check_items(len(made), "a text")
    return made


@method("str", "join")
def _join(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> str:
    parts = it.items(args[1])
    it.budget.check_items(sum(len(part) + len(args[0]) for part in parts if isinstance(part, str)), "a text")
    return args[0].join(parts)  # type: ignore[no-any-return]


@method("list", "append")
def _append(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    it.budget.check_items(len(args[0]))
    args[0].append(*args[1:])
