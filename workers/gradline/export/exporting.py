"""The files that a scorecard is exported to, each checked before it is kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gradline.export import checking
from gradline.export.sql import NotExportable, write_sql
from gradline.scoring import Scorecard

REPORT = "exports.json"
"""What each file takes and gives, and how far it is from the scorecard."""


class Exported(NamedTuple):
    name: str
    media_type: str
    data: bytes


def file_names(formats: Sequence[str]) -> list[str]:
    """Artifacts that will be there in the end; none where no format is asked for."""
    return [f"model.{name}" for name in formats] + ([REPORT] if formats else [])


def is_export(name: str) -> bool:
    return name == REPORT or name.removeprefix("model.") in _FORMATS


def export_all(scorecard: bytes, names: list[str]) -> Iterator[Exported]:
    """The files of these names; the report last. Raises Disagreement before a wrong one is kept."""
    card = Scorecard.parse(scorecard)
    report: dict[str, Any] = {"model.json": {"max_difference": checking.check_scorecard(card)}}
    formats = [name for name in _FORMATS if f"model.{name}" in names]
    for name in formats:
        try:
            made = _FORMATS[name](card)
        except NotExportable as reason:
            report[f"model.{name}"] = {"left_out": str(reason)}
            continue
        report[f"model.{name}"] = {"takes": made.takes, "max_difference": made.difference}
        yield Exported(f"model.{name}", made.media_type, made.data)
    report["n_rows_checked"] = len(checking.rows_to_check(card))
    yield Exported(REPORT, "application/json", json.dumps(report).encode())


class _Made(NamedTuple):
    data: bytes
    media_type: str
    takes: str
    difference: float


def _sql(card: Scorecard) -> _Made:
    text = write_sql(card)
    takes = (
        "a table with the raw columns, NULL where a value is missing; spaces around text are trimmed, and only spaces"
    )
    return _Made(text.encode(), "application/sql", takes, checking.check_sql(card, text))


def _onnx(card: Scorecard) -> _Made:
    from gradline.export.onnx_model import write_onnx  # noqa: PLC0415  each format loads what it needs, and only that

    data = write_onnx(card)
    takes = (
        "raw columns [rows, 1]: double with NaN, or string with the empty one, where a value is missing; a row whose "
        "text is not trimmed gives NaN"
    )
    return _Made(data, "application/octet-stream", takes, checking.check_onnx(card, data))


def _pt2(card: Scorecard) -> _Made:
    from gradline.export.torch_model import write_torch  # noqa: PLC0415

    data = write_torch(card)
    takes = "numbers [rows, columns] with NaN where one is missing, codes of levels [rows, text columns], offset [rows]"
    return _Made(data, "application/octet-stream", takes, checking.check_torch(card, data))


_FORMATS: dict[str, Callable[[Scorecard], _Made]] = {"sql": _sql, "onnx": _onnx, "pt2": _pt2}
