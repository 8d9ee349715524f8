"""Where the pieces of a text stand, and what is wrong with them."""

from typing import Any

from gradline.programs import statements as s
from gradline.programs.faults import ProgramFault
from gradline.programs.source import Source


class Pointer:
    """Points into one text; faults are collected, so that a person sees all of them at once."""

    def __init__(self, source: Source) -> None:
        self.faults: list[ProgramFault] = []
        self.source = source

    def fault(self, node: Any, reason: str) -> s.Expression:
        """Notes what is wrong; the value returned only keeps the reading going."""
        span = self.span(node)
        line = self.source.lines[span.line - 1]
        column = span.column + self.source.shifts[span.line - 1] + 1
        self.faults.append(ProgramFault(span.line, column, reason, line.strip()))
        return s.Constant(span, None)

    def span(self, node: Any) -> s.Span:
        """Where a node stands, in characters."""
        return s.Span(
            node.lineno,
            self._characters(node.lineno, node.col_offset),
            node.end_lineno,
            self._characters(node.end_lineno, node.end_col_offset),
        )

    def _characters(self, line: int, offset: int) -> int:
        text = self.source.lines[line - 1]
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))
