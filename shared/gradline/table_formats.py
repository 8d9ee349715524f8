"""What CSV and Parquet have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from gradline.errors import InputFault, InvalidInput

Source = str | Path | bytes | BinaryIO

BLOCK_BYTES = 8 << 20
"""Of a block in which uploads are described, unpacked and trained on."""
MAX_COLUMNS = 10_000
NO_ROWS = "the file holds column names but no rows"


def fault(reason: str, field: str = "file", value: Any = None) -> InvalidInput:
    return InvalidInput([InputFault(field, value, reason)])


def check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise fault(f"the header names {len(names)} columns; at most {MAX_COLUMNS} are allowed")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            raise fault(f"column {position} has no name", field=f"columns[{position - 1}]")
        if name in seen:
            reason = f"columns {seen[name]} and {position} are both named {name!r}"
            raise fault(reason, field=f"columns[{position - 1}]", value=name)
        seen[name] = position
