"""Text into a program, or every reason why it is none. Nothing is run, nothing looked up by a name of the text."""

import ast
import re
import warnings

from gradline.programs.expressions import TooDeep
from gradline.programs.faults import ProgramFault, ProgramRejected
from gradline.programs.limits import (
    MAX_BRACKETS,
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_FAULTS,
    MAX_TOKENS,
    MAX_TOKENS_PER_LINE,
)
from gradline.programs.reader import StatementReader
from gradline.programs.scope import Scope
from gradline.programs.source import Source, clean
from gradline.programs.statements import Program


def parse(text: str) -> Program:
    """The program that the text says; raises ProgramRejected with every fault found."""
    if len(text) > MAX_CHARACTERS:
        raise ProgramRejected([ProgramFault(1, 1, f"{len(text)} characters; the limit is {MAX_CHARACTERS}")])
    source = clean(text)
    _check_tokens(source)
    tree = _tree(source)
    nodes = list(ast.walk(tree))
    reader = StatementReader(source, Scope(nodes))
    try:
        body = reader.program(tree, nodes)
    except TooDeep as error:
        reader.fault(error.args[0], f"more than {MAX_DEPTH} parts within one another; split the line")
    if reader.faults:
        raise ProgramRejected(sorted(reader.faults, key=lambda f: (f.line, f.column))[:MAX_FAULTS])
    if not body:
        raise ProgramRejected([ProgramFault(1, 1, "there is no statement; write at least one line")])
    return Program(source.text, source.shifts, body, source.is_transcript)


_PIECE = re.compile(
    r"""(?P<text>(?P<quotes>\"{3}|'{3})[\s\S]*?(?P=quotes)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<comment>\#[^\n]*)|(?P<open>[\[({])|(?P<close>[\])}])|(?P<end>\n)|\w+|[^\w\s]"""
)


def _check_tokens(source: Source) -> None:
    """Bounds what Python's parser, which recurses, is given."""
    text, n_pieces, n_in_line, depth = source.text, 0, 0, 0
    for piece in _PIECE.finditer(text):
        kind = piece.lastgroup
        n_pieces, n_in_line = n_pieces + 1, n_in_line + 1
        if kind == "end" and depth <= 0:
            n_in_line = 0
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        if n_pieces > MAX_TOKENS:
            raise _too_many(source, piece.start(), f"more than {MAX_TOKENS} words and signs")
        if n_in_line > MAX_TOKENS_PER_LINE:
            raise _too_many(source, piece.start(), f"more than {MAX_TOKENS_PER_LINE} words and signs in one line")
        if depth > MAX_BRACKETS:
            raise _too_many(source, piece.start(), f"more than {MAX_BRACKETS} brackets within one another")


def _too_many(source: Source, position: int, reason: str) -> ProgramRejected:
    before = source.text[:position]
    return _rejected(source, before.count("\n") + 1, position - before.rfind("\n") - 1, reason)


def _tree(source: Source) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source.text, mode="exec", type_comments=False)
    except SyntaxError as error:
        line = min(error.lineno or 1, len(source.lines))
        reason = _friendly(error.msg, source.lines[line - 1])
        raise _rejected(source, line, max((error.offset or 1) - 1, 0), reason) from error
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        raise ProgramRejected(
            [ProgramFault(1, 1, f"Python cannot parse it: {error or type(error).__name__}")]
        ) from error


def _friendly(message: str, line: str) -> str:
    if any(quote in line for quote in "“”‘’"):
        return "curly quotes are not Python's: write \" or '"
    if line.lstrip().startswith(("!", "%")):
        return "commands of a notebook or shell are not available; delete the line"
    return f"not Python: {message}"


def _rejected(source: Source, line: int, column: int, reason: str) -> ProgramRejected:
    text = source.lines[line - 1] if line <= len(source.lines) else ""
    shift = source.shifts[line - 1] if line <= len(source.shifts) else 0
    return ProgramRejected([ProgramFault(line, column + shift + 1, reason, text.strip())])
