"""Numbers and values as short texts that fit into a box."""

from collections.abc import Iterable
from typing import Any

MAX_ROWS = 3
MAX_COLUMNS = 4
MAX_CHARACTERS = 30


def number(value: Any) -> str:
    """Four significant digits; whole numbers without a point."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"inf": "∞", "-inf": "−∞"}.get(str(value), str(value))
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)).replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def rows(data: Any, shape: list[int] | None = None) -> list[str]:
    """A value in at most MAX_ROWS lines: itself where it is small, else its shape."""
    if data is None:
        return ["none"]
    if not isinstance(data, list):
        return [number(data)]
    if not any(isinstance(item, list) for item in data):
        line = _row(data)
        fits = (
            len(data) <= MAX_COLUMNS and len(line) <= MAX_CHARACTERS and (shape is None or _count(shape) == len(data))
        )
        return [line] if fits else [_shape(shape or [len(data)], data)]
    is_small = len(data) <= MAX_ROWS and all(_is_flat(item) and len(item) <= MAX_COLUMNS for item in data)
    if is_small and all(len(_row(item)) <= MAX_CHARACTERS for item in data):
        return [_row(item) for item in data]
    return [_shape(shape or _shape_of(data), list(_flat(data)))]


def _row(items: Iterable[Any]) -> str:
    return "[" + ", ".join(map(number, items)) + "]"


def _is_flat(item: Any) -> bool:
    return isinstance(item, list) and not any(isinstance(inner, list) for inner in item)


def _shape(shape: list[int], flat: list[Any]) -> str:
    size = " × ".join(map(str, shape))
    head = ", ".join(map(number, flat[:2]))
    return f"{size}: {head} …"[:MAX_CHARACTERS]


def _shape_of(data: Any) -> list[int]:
    return [len(data), *(_shape_of(data[0]) if data else [])] if isinstance(data, list) else []


def _flat(data: Any) -> Iterable[Any]:
    for item in data:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _count(shape: list[int]) -> int:
    n = 1
    for size in shape:
        n *= size
    return n
