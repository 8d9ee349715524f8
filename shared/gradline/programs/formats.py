"""Format strings under a bound: `f"{x:.3f}"`, `"{}".format(x)` and `"%d" % n` can neither reach attributes nor grow.

`str.format` itself would follow `{0.__class__}`; here its fields are split by the standard library and filled by us.
"""

import re
from collections.abc import Iterator
from string import Formatter

MAX_WIDTH = 200
"""Of a field's width and of its precision."""

_SPEC = re.compile(r"(?:[^{}]?[<>=^])?[-+ ]?z?#?0?(\d*)[,_]?(?:\.(\d+))?[bcdeEfFgGnosxX%]?", re.DOTALL)
_PERCENT = re.compile(r"%(?:\((?P<key>\w*)\))?[-+ #0]*(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<type>.)", re.DOTALL)
_NAME = re.compile(r"\d*|[^\W\d]\w*")


class FormatRefused(ValueError):
    """The format string asks for more than numbers and names."""


def check_spec(spec: str) -> str:
    """The spec itself; raises FormatRefused unless it is a plain one within MAX_WIDTH."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise FormatRefused(f"the format {spec[:40]!r} is not one like '.3f', '>10' or '8.2e'")
    _check_widths(found.groups())
    return spec


def check_percent(text: str) -> str:
    """The text itself; raises FormatRefused for a `%` format that is not a plain one."""
    for found in _PERCENT.finditer(text):
        if found["key"] is not None:
            raise FormatRefused("`%(name)s` is not available; use an f-string")
        if found["type"] == "*":
            raise FormatRefused("a `*` width is not available; write the number")
        _check_widths((found["width"], found["precision"]))
    return text


def fields_of(text: str) -> Iterator[tuple[str, str | None, str, str]]:
    """Pieces of a `str.format` text: (literal before, field name or None, conversion, spec)."""
    for literal, name, spec, conversion in Formatter().parse(text):
        if name is not None and _NAME.fullmatch(name) is None:
            raise FormatRefused(f"the field {{{name[:40]}}} may only be a number or a name; take the value out first")
        if spec:
            check_spec(spec)
        yield literal, name, conversion or "", spec or ""


def _check_widths(numbers: tuple[str | None, ...]) -> None:
    for number in numbers:
        if number and (len(number) > 4 or int(number) > MAX_WIDTH):
            raise FormatRefused(f"a width or precision of {number[:12]} is over the limit of {MAX_WIDTH}")
