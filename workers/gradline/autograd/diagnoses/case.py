"""One failure of a program with everything known about it, and what its diagnoses share."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gradline.autograd.diagnoses.mends import (
    Mend,
    add_keyword,
    called,
    source,
    walk,
)
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.record.events import Pass
from gradline.autograd.record.trace import Trace
from gradline.autograd.values import Frame
from gradline.programs import statements as s

MAX_MESSAGE = 2_000


@dataclass(slots=True)
class Case:
    """One failure with everything known about it."""

    program: s.Program
    trace: Trace
    interpreter: Interpreter
    error: Exception
    statement: s.Statement
    spot: s.Node | None

    @property
    def line(self) -> int:
        return self.statement.span.line

    @property
    def failing_pass(self) -> Pass | None:
        """The backward pass that was running."""
        last = self.trace.passes[-1] if self.trace.passes else None
        return last if last is not None and not last.is_done and last.line == self.line else None

    @property
    def call(self) -> s.Call | None:
        return self.spot if isinstance(self.spot, s.Call) else None

    def name(self, tensor: Tensor | None) -> str:
        found = self.trace.name_of(tensor)
        return f"`{found}`" if found else "a value without a name"

    def text(self, line: int) -> str:
        return f"`{self.program.line(line).strip()}`"

    def source(self, node: s.Node) -> str:
        return source(self.program, node.span)


@dataclass(slots=True)
class Diagnosis:
    text: str
    mends: list[Mend] = field(default_factory=list)


def find_value(case: Case, name: str) -> Any:
    """What a name stood for where the program failed; None where nothing."""
    frame: Frame | None = case.interpreter.failed_frame or case.interpreter.frame
    while frame is not None:
        if name in frame.names:
            return frame.names[name]
        frame = frame.parent
    return None


def frames_of(case: Case) -> Iterator[Frame]:
    """The frames of names there, innermost first."""
    frame: Frame | None = case.interpreter.failed_frame or case.interpreter.frame
    while frame is not None:
        yield frame
        frame = frame.parent


def argument_of(call: s.Call, position: int, *names: str) -> s.Expression | None:
    if len(call.arguments) > position:
        return call.arguments[position]
    return next((value for key, value in call.keywords if key in names), None)


def lines_that_made(case: Case, name: str) -> list[int]:
    return [line for named in case.trace.names.values() for known, line, _ in named if known == name]


def present(mends: Iterable[Mend | None]) -> list[Mend]:
    return [mend for mend in mends if mend is not None]


CREATORS = (
    "tensor",
    "ones",
    "zeros",
    "rand",
    "randn",
    "full",
    "arange",
    "linspace",
    "eye",
    "Variable",
    "randint",
    "as_tensor",
)


def as_float(case: Case, call: s.Call, keyword: str | None = None) -> Iterator[Mend]:
    """A creation of whole numbers as one of floating-point numbers."""
    why = "gradients need floating-point numbers"
    if any(key == "dtype" for key, _ in call.keywords):
        yield add_keyword(case.program, call, "dtype=torch.float32", why)
        return
    numbers = [n for a in call.arguments for n in walk(a) if isinstance(n, s.Constant) and type(n.value) is int]
    text = case.source(call)
    if numbers and called(call) in ("tensor", "Variable") and "\n" not in text:
        for number in reversed(numbers):
            at = number.span.end_column - call.span.column
            text = f"{text[:at]}.{text[at:]}"
        yield Mend(call.span, text if keyword is None or keyword in text else f"{text[:-1]}, {keyword})", why)
    yield add_keyword(case.program, call, "dtype=torch.float32", why)
