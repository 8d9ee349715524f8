"""The language as typed, frozen statements and expressions: all that the worker ever interprets.

Nothing of Python's own syntax tree leaves the parser; a node that has no class here cannot be run.
"""

from dataclasses import dataclass
from typing import Literal

Value = None | bool | int | float | complex | str


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in the cleaned text; lines from 1, columns (in characters) from 0."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


class Expression(Node):
    """Has a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    value: Value


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """A variable of the program; `fallback` is the table's entry it stands for until it is assigned."""

    name: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class Entry(Expression):
    """A function or constant of the table, by its full name: `torch.nn.functional.relu`, `print`, `torch.float32`."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence(Expression):
    kind: Literal["list", "tuple", "set"]
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Mapping(Expression):
    items: tuple[tuple[Expression | None, Expression], ...]
    """Keys with values; `**other` has no key."""


@dataclass(frozen=True, slots=True)
class Star(Expression):
    """`*xs` in a call or a list."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Attribute(Expression):
    """An attribute or a method not yet called; the name is one of the table's."""

    object: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Subscript(Expression):
    object: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Slice(Expression):
    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True)
class Call(Expression):
    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]
    """By name; `**more` has the empty name."""


@dataclass(frozen=True, slots=True)
class Super(Expression):
    """`super()` in a method."""


@dataclass(frozen=True, slots=True)
class Ignored(Expression):
    """A call of a module that draws or reports, such as matplotlib: its arguments are evaluated, nothing is done."""

    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Compare(Expression):
    """`a < b <= c`: operators[i] stands between operand i and i + 1."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Logical(Expression):
    operator: Literal["and", "or"]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Walrus(Expression):
    """`(name := value)`."""

    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Field(Expression):
    """`{value!r:spec}` in an f-string."""

    value: Expression
    conversion: Literal["", "r", "s", "a"]
    spec: "Text | None"


@dataclass(frozen=True, slots=True)
class Text(Expression):
    """An f-string."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Generator(Node):
    target: Expression
    iterable: Expression
    conditions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comprehension(Expression):
    """A list, set or dict (with `key`) built by loops; a generator expression is built at once, too."""

    kind: Literal["list", "dict", "set", "iterator"]
    key: Expression | None
    value: Expression
    generators: tuple[Generator, ...]


@dataclass(frozen=True, slots=True)
class Parameters:
    names: tuple[str, ...]
    defaults: tuple[Expression, ...]
    """Of the last parameters."""
    rest: str | None
    """The name behind `*`."""
    by_name: tuple[tuple[str, Expression | None], ...] = ()
    """Parameters that are only passed by name, with their defaults."""
    more: str | None = None
    """The name behind `**`."""


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    parameters: Parameters
    body: Expression


class Statement(Node):
    """Does something."""

    __slots__ = ()


Block = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Assign(Statement):
    targets: tuple[Expression, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Augment(Statement):
    target: Expression
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Evaluate(Statement):
    value: Expression


@dataclass(frozen=True, slots=True)
class For(Statement):
    target: Expression
    iterable: Expression
    body: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class While(Statement):
    test: Expression
    body: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class If(Statement):
    test: Expression
    body: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class With(Statement):
    contexts: tuple[tuple[Expression, Expression | None], ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Handler(Node):
    kinds: Expression | None
    name: str | None
    body: Block


@dataclass(frozen=True, slots=True)
class Try(Statement):
    body: Block
    handlers: tuple[Handler, ...]
    otherwise: Block
    final: Block


@dataclass(frozen=True, slots=True)
class Define(Statement):
    """`def`; decorators are contexts such as `torch.no_grad()`."""

    name: str
    parameters: Parameters
    body: Block
    decorators: tuple[Expression, ...]
    globals: frozenset[str]
    nonlocals: frozenset[str] = frozenset()
    is_generator: bool = False
    binding: Literal["", "staticmethod", "classmethod", "property"] = ""
    """How it becomes a member of the class it is defined in."""


@dataclass(frozen=True, slots=True)
class DefineClass(Statement):
    """`class Name(base)`; the body holds methods and assignments."""

    name: str
    base: Expression | None
    body: Block
    fields: tuple[str, ...] | None
    """Of a dataclass, in order."""


@dataclass(frozen=True, slots=True)
class Yield(Statement):
    """`yield value` on a line of its own."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class Return(Statement):
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Jump(Statement):
    kind: Literal["break", "continue", "pass"]


@dataclass(frozen=True, slots=True)
class Delete(Statement):
    targets: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Assert(Statement):
    test: Expression
    message: Expression | None


@dataclass(frozen=True, slots=True)
class Raise(Statement):
    error: Expression | None


@dataclass(frozen=True, slots=True)
class Program:
    text: str
    """The text as it runs: prompts and common indentation taken away, lines kept in number."""
    shifts: tuple[int, ...]
    """Characters taken from the start of each line."""
    body: Block
    is_transcript: bool
    """Copied from an interactive session: bare expressions show their value."""

    def line(self, number: int) -> str:
        return self.text.split("\n")[number - 1]
