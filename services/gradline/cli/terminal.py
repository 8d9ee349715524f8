"""Writing for people and for programs: data on stdout, talk on stderr, plain where there is no terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 400
"""Lines without a terminal are never folded."""
CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}

STYLES = {"queued": "yellow", "running": "cyan", "succeeded": "green", "failed": "red", "cancelled": "dim"}


def console(*, stderr: bool = False) -> Console:
    """Markup is off everywhere: a job may be called `[red]`."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def clean(value: object) -> str:
    """Text of somebody else's without the control characters that could drive a terminal."""
    return str(value).translate(CONTROLS)


def say(text: str, style: str = "") -> None:
    """Talk: one line for people; dropped where their terminal has gone away, as what is being done matters more."""
    with suppress(OSError):
        console(stderr=True).print(Text(clean(text), style=style), soft_wrap=True)


def write(text: str) -> None:
    """Data: one line for a program or a person."""
    print(clean(text), flush=True)


def write_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


def write_table(headers: Sequence[str], rows: Iterable[Sequence[object]], numeric: Iterable[int] = ()) -> None:
    """A table on stdout, columns `numeric` aligned to the right."""
    print_table(console(), table(headers, rows, numeric))


def print_table(target: Console, made: Table) -> None:
    """Without the blanks at the ends of lines that a terminal does not show and a program has to cut."""
    if target.is_terminal:
        target.print(made)
        return
    with target.capture() as capture:
        target.print(made)
    for line in capture.get().splitlines():
        print(line.rstrip(), file=target.file)


def print_facts(target: Console, facts: Iterable[tuple[str, str | Text]]) -> None:
    """A name and its value a line, which is never folded: a terminal opens an address only where it is whole."""
    named = [(Text(clean(name)), value) for name, value in facts]
    width = max(name.cell_len for name, _ in named)
    for name, value in named:
        name.pad_right(width + 2 - name.cell_len)
        line = name + (value if isinstance(value, Text) else Text(clean(value)))
        line.rstrip()
        target.print(line, soft_wrap=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], numeric: Iterable[int] = ()) -> Table:
    right = set(numeric)
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headers), padding=(0, 2, 0, 0))
    for index, header in enumerate(headers):
        made.add_column(Text(header), justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    return made


def status_text(status: str) -> Text:
    return Text(clean(status), style=STYLES.get(status, ""))


def number(value: Any, digits: int = 6) -> str:
    """A number as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return clean(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def ago(moment: str | None) -> str:
    """A time of the API as "3 min ago"."""
    if not moment:
        return "–"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return f"{duration(max(0.0, seconds))} ago"
