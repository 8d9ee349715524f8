# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Python's own functions and methods: printing, conversions, sequences, text."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sized
from functools import reduce
from typing import Any

from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import OPERATIONS
from gradline.autograd.objects import MISSING, Instance, ProgramModule, UserClass
from gradline.autograd.plain import CONVERSIONS, ROOM, check_shown, length_of
from gradline.autograd.registry import SPECIAL_FUNCTIONS, Special, function, method
from gradline.autograd.values import Native
from gradline.programs.formats import fields_of


def show(it: Dispatch, value: Any) -> None:
    """What an interactive session shows of an expression."""
    check_shown(it.budget, value)
    shown = f"{value!r}\n"
    it.budget.check_printed(len(shown))
    it.recorder.printed(shown)


@function("print")
def _print(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    separator, end = (" " if kwargs.get("sep") is None else kwargs["sep"]), kwargs.get("end", "\n")
    check_shown(it.budget, separator, end, args)
    parts = [str(arg) for arg in args]
    it.budget.check_printed(sum(map(len, parts)) + len(parts) * len(str(separator)))
    it.recorder.printed(str(separator).join(parts) + ("\n" if end is None else str(end)))


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


def _walking(call: Callable[..., Any], takes_items: bool = False) -> Special:
    """A function of Python's own that walks through all of its arguments."""

    def walk(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = [it.items(args[0]), *args[1:]] if takes_items and len(args) == 1 else args
        check_shown(it.budget, given)
        return call(*given, **kwargs)

    return walk


def _columns(it: Dispatch, args: list[Any]) -> list[Any]:
    columns = list(map(it.iterable, args))
    it.budget.check_items(sum(length_of(one) for one in columns if isinstance(one, Sized)) // ROOM, "columns")
    return columns


def _rows(it: Dispatch, columns: list[Any]) -> list[tuple[Any, ...]]:
    items: list[list[Any]] = []
    for column in columns:
        items.append(it.items(column))
        it.budget.check_items(sum(map(len, items)), "rows")
    return list(zip(*items, strict=False))


SPECIAL_FUNCTIONS.update({kind.__name__: _converter(kind) for kind in (float, int, bool)})
SPECIAL_FUNCTIONS.update({call.__name__: _walking(call) for call in (str, repr)})
SPECIAL_FUNCTIONS.update({call.__name__: _walking(call, takes_items=True) for call in (max, min)})
SPECIAL_FUNCTIONS.update(
    {
        "id": lambda it, args, kwargs: id(*args, **kwargs),
        "type": lambda it, args, kwargs: _type_of(*args) if len(args) == 1 else _refuse("type() takes 1 argument"),
        "isinstance": _walking(lambda *args: _is_instance(*args)),  # noqa: PLW0108  defined below
        "callable": lambda it, args, kwargs: callable(args[0]),
        "set": lambda it, args, kwargs: set(map(it.key, it.items(args[0]))) if args else set(),
        "object": lambda it, args, kwargs: Instance(UserClass("object", object)),
        "iter": lambda it, args, kwargs: iter(it.iterable(args[0])),
        "next": lambda it, args, kwargs: next(*args),
        "filter": lambda it, args, kwargs: [
            item for item in it.items(args[1]) if it.truth(it.call_value(args[0], [item], {}) if args[0] else item)
        ],
        "getattr": lambda it, args, kwargs: _attribute(it, *args),
        "hasattr": lambda it, args, kwargs: _attribute(it, args[0], args[1], MISSING) is not MISSING,
        "setattr": lambda it, args, kwargs: it.set_attribute(*args),
        "functools.partial": lambda it, args, kwargs: _partial(it, args[0], args[1:], kwargs),
        "functools.reduce": lambda it, args, kwargs: reduce(
            lambda a, b: it.call_value(args[0], [a, b], {}), it.items(args[1]), *args[2:]
        ),
        "collections.OrderedDict": lambda it, args, kwargs: OrderedDict(*args, **kwargs),
        "collections.defaultdict": lambda it, args, kwargs: defaultdict(
            *[lambda: it.call_value(args[0], [], {})][: len(args)], *args[1:], **kwargs
        ),
        "dataclasses.dataclass": lambda it, args, kwargs: args[0],
        "tqdm.tqdm": lambda it, args, kwargs: it.iterable(args[0]),
        "tqdm.trange": lambda it, args, kwargs: range(*args),
        "torch.autograd.function.once_differentiable": lambda it, args, kwargs: args[0],
        "list": lambda it, args, kwargs: it.items(args[0]) if args else [],
        "tuple": lambda it, args, kwargs: tuple(it.items(args[0])) if args else (),
        "dict": lambda it, args, kwargs: dict(
            *[args[0] if isinstance(args[0], dict) else it.items(args[0])] if args else [], **kwargs
        ),
        "reversed": lambda it, args, kwargs: it.items(args[0])[::-1],
        "zip": lambda it, args, kwargs: zip(*_columns(it, args), strict=bool(kwargs.get("strict"))),
        "map": lambda it, args, kwargs: [it.call_value(args[0], list(row), {}) for row in _rows(it, args[1:])],
        "enumerate": lambda it, args, kwargs: enumerate(it.iterable(args[0]), *args[1:], **kwargs),
        "sorted": _walking(sorted, takes_items=True),
        "any": lambda it, args, kwargs: any(map(it.truth, it.items(args[0]))),
        "all": lambda it, args, kwargs: all(map(it.truth, it.items(args[0]))),
        "divmod": lambda it, args, kwargs: divmod(args[0], args[1]),
        "pow": lambda it, args, kwargs: it.binary("**", *args),
    }
)


def _type_of(value: Any) -> Any:
    return value.user_class if isinstance(value, Instance | ProgramModule) else type(value)


def _is_instance(value: Any, kinds: Any) -> bool:
    if isinstance(kinds, tuple):
        return any(_is_instance(value, kind) for kind in kinds)
    if isinstance(kinds, UserClass):
        return isinstance(value, Instance | ProgramModule) and value.user_class.derives_from(kinds)
    return isinstance(value, kinds)


def _attribute(it: Dispatch, value: Any, name: str, *default: Any) -> Any:
    try:
        return it.attribute(value, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def _partial(it: Dispatch, function: Any, first: list[Any], named: dict[str, Any]) -> Native:
    return Native("partial", lambda *args, **kwargs: it.call_value(function, [*first, *args], named | kwargs))


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
    it.budget.check_integer(sum(abs(n) for n in [*args[1:], *kwargs.values()] if isinstance(n, int)))
    return round(*args, **kwargs)


@method("str", "format")
def _format(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> str:
    """`str.format` with plain fields, filled by us."""
    text, *values = args
    check_shown(it.budget, values, kwargs)
    pieces, n_used, n_characters = [], 0, 0
    for literal, name, conversion, spec in fields_of(text):
        pieces.append(literal)
        if name is None:
            continue
        value = values[n_used if name == "" else int(name)] if not name or name.isdigit() else kwargs[name]
        n_used += name == ""
        value = CONVERSIONS[conversion](value)
        pieces.append(format(value, spec))
        n_characters += len(literal) + len(pieces[-1])
        it.budget.check_items(n_characters, "a text")
    return "".join(pieces)


@method("str", "join")
def _join(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> str:
    parts = it.items(args[1])
    it.budget.check_items(sum(len(part) + len(args[0]) for part in parts if isinstance(part, str)), "a text")
    return args[0].join(parts)  # type: ignore[no-any-return]


@method("list", "append")
def _append(it: Dispatch, args: list[Any], kwargs: dict[str, Any]) -> None:
    it.budget.check_items(len(args[0]))
    args[0].append(*args[1:])
