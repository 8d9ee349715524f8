"""What is wrong with a program's text, and where."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProgramFault:
    """One thing that keeps a program from running, found without running it."""

    line: int
    """Line of the text as it was sent, from 1."""
    column: int
    """Column of that line, from 1."""
    reason: str
    """What is wrong and what is allowed instead."""
    source: str = ""
    """The line itself."""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.reason}"


class ProgramRejected(Exception):
    """The text is not a program of the language; every fault found is listed."""

    def __init__(self, faults: list[ProgramFault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults
