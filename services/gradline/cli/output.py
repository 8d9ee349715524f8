"""The ways in which a command writes its data."""

from enum import StrEnum


class Output(StrEnum):
    """How a command writes its data."""

    TABLE = "table"
    """For people."""
    JSON = "json"
    """As the API answered."""
    ID = "id"
    """One id a line, for the next command."""
