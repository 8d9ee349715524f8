"""Corrected lines, and the proof of each: the mended program is run before it is offered."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from gradline.autograd.interpreter import UNCATCHABLE, Interpreter
from gradline.autograd.limits import Budget, Limits
from gradline.autograd.record.recorder import Recorder
from gradline.programs import ProgramRejected, parse
from gradline.programs import statements as s

TRIAL = Limits(statements=20_000, seconds=3.0)
TRIALS_S = 10.0
"""How long mends are tried, one after the other."""


@dataclass(frozen=True, slots=True)
class Mend:
    """A change to the text: what stands at `span` becomes `text`."""

    span: s.Span
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Mended:
    line: int
    text: str
    """The line as it should be; more than one line where it takes more."""
    why: str
    program: str


def first_that_works(program: s.Program, mends: Iterable[Mend], failed_line: int) -> Mended | None:
    """The first change with which the program no longer fails where it did; None where none is found in time."""
    ends_at = time.monotonic() + TRIALS_S
    for mend in mends:
        if time.monotonic() > ends_at:
            break
        text = splice(program.text, mend.span, mend.text)
        if _runs(text, failed_line + mend.text.count("\n")):
            lines = text.split("\n")
            n = mend.text.count("\n") + 1
            first = mend.span.line
            shown = "\n".join(lines[first - 1 : first - 1 + n])
            return Mended(first, shown, mend.why, text)
    return None


def splice(text: str, span: s.Span, new: str) -> str:
    """The text with what stands at the span replaced; further lines are indented like the first."""
    lines = text.split("\n")
    first, last = lines[span.line - 1], lines[span.end_line - 1]
    indent = first[: len(first) - len(first.lstrip())]
    middle = new.replace("\n", "\n" + indent)
    changed = first[: span.column] + middle + last[span.end_column :]
    return "\n".join([*lines[: span.line - 1], changed, *lines[span.end_line :]])


def _runs(text: str, failed_line: int) -> bool:
    """Whether the text runs to its end, or at least past the line that failed."""
    try:
        program = parse(text)
    except ProgramRejected:
        return False
    interpreter = Interpreter(program, Budget(TRIAL), Recorder())
    try:
        interpreter.run()
    except UNCATCHABLE:
        return False
    except Exception:  # noqa: BLE001  any error of the program counts
        at = interpreter.failed_at
        return at is not None and at[0].span.line > failed_line
    finally:
        interpreter.release()
    return True


def source(program: s.Program, span: s.Span) -> str:
    """The text at a span."""
    lines = program.text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column]
    lines[0] = lines[0][span.column :]
    return "\n".join(lines)


def walk(node: Any) -> Iterator[s.Node]:
    """Every statement and expression within a node, itself first."""
    if isinstance(node, s.Node):
        yield node
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif isinstance(node, s.Node | s.Parameters):
        for field in fields(node):
            yield from walk(getattr(node, field.name))


def statements_at(program: s.Program, line: int) -> list[s.Statement]:
    """The statements that begin on a line, outermost first."""
    return [node for node in walk(program.body) if isinstance(node, s.Statement) and node.span.line == line]


def calls_at(program: s.Program, line: int, *names: str) -> list[s.Call]:
    """Calls on a line of functions or methods with these names."""
    found = [node for node in walk(program.body) if isinstance(node, s.Call) and node.span.line == line]
    return [call for call in found if called(call) in names]


def called(call: s.Call) -> str:
    """The last part of the name of what is called."""
    name = getattr(call.function, "name", "")
    return name if isinstance(call.function, s.Attribute) else name.rpartition(".")[2]


def add_keyword(program: s.Program, call: s.Call, keyword: str, why: str) -> Mend:
    """The call with one more argument by name, in place of one of that name."""
    name = keyword.partition("=")[0]
    for key, value in call.keywords:
        if key == name:
            return Mend(value.span, keyword.partition("=")[2], why)
    text = source(program, call.span)
    inner = text[:-1].rstrip()
    comma = "" if inner.endswith(("(", ",")) else ", "
    return Mend(call.span, f"{inner}{comma}{keyword})", why)


def under_no_grad(program: s.Program, statement: s.Statement, why: str) -> Mend:
    text = source(program, statement.span).replace("\n", "\n    ")
    return Mend(statement.span, f"with torch.no_grad():\n    {text}", why)


def out_of_place(program: s.Program, statement: s.Statement, why: str) -> Mend | None:
    """`y += e` as `y = y + e`, `y.add_(e)` as `y = y.add(e)`, `y[i] = e` on a clone of y."""
    if isinstance(statement, s.Augment) and isinstance(statement.target, s.Name):
        name, value = statement.target.name, source(program, statement.value.span)
        value = f"({value})" if isinstance(statement.value, s.Binary | s.Conditional | s.Compare) else value
        return Mend(statement.span, f"{name} = {name} {statement.operator} {value}", why)
    if isinstance(statement, s.Evaluate) and isinstance(statement.value, s.Call):
        return _method_out_of_place(program, statement.value, why)
    if isinstance(statement, s.Assign | s.Augment):
        target = statement.targets[0] if isinstance(statement, s.Assign) else statement.target
        if isinstance(target, s.Subscript) and isinstance(target.object, s.Name):
            name = target.object.name
            return Mend(statement.span, f"{name} = {name}.clone()\n{source(program, statement.span)}", why)
    return None


_SETTERS = {"zero_": "torch.zeros_like({0})", "fill_": "torch.full_like({0}, {1})", "copy_": "{1}"}


def _method_out_of_place(program: s.Program, call: s.Call, why: str) -> Mend | None:
    function = call.function
    if not (isinstance(function, s.Attribute) and function.name.endswith("_") and isinstance(function.object, s.Name)):
        return None
    name = function.object.name
    given = ", ".join(source(program, argument.span) for argument in call.arguments)
    made = _SETTERS.get(function.name, f"{{0}}.{function.name[:-1]}({{1}})").format(name, given)
    return Mend(call.span, f"{name} = {made}", why)
