"""Whether a model in another format predicts what its scorecard predicts, on the rows that the scorecard carries.

Beside those rows stand some of our own: one with everything missing and one with levels that training did not see,
where the model takes such rows.
"""

import io
import math
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.scoring import BOOLEANS, Encoded, RowsRefused, Scorecard, TextInput

TOLERANCE = 1e-9
"""Absolute, of probabilities; relative, of other predictions."""
TRAINING_TOLERANCE = 1e-4
"""Of linear predictors: training may have been in float32."""
LARGEST = math.exp(700)
UNSEEN = "a level that nobody has seen"


class Disagreement(ValueError):
    """An exported model that predicts something else."""


def check_scorecard(card: Scorecard) -> float:
    """The largest difference from the linear predictors that training gave its rows. Raises Disagreement."""
    said = card.document["examples"]
    z_nk = card.linear_predictor(card.encode_rows(said["rows"]))
    return _compare("the scorecard", z_nk, np.array(said["linear_predictors"]), TRAINING_TOLERANCE)


def rows_to_check(card: Scorecard) -> list[dict[str, Any]]:
    """Rows of the training data, and what the model takes of the odd ones."""
    rows: list[dict[str, Any]] = card.document["examples"]["rows"]
    first = rows[0]
    unseen = {i.column: _unseen(i) for i in card.texts}
    offset = set() if card.offset is None else {card.offset.column}
    odd = [
        {name: value if name in offset else None for name, value in first.items()},
        {name: unseen.get(name, value) for name, value in first.items()},
    ]
    return rows + [row for row in odd if _is_taken(card, row)]


def _unseen(text: TextInput) -> str:
    """A level that training has not seen, of the column's own kind, if there is one."""
    if not text.is_numeric:
        return UNSEEN
    others = BOOLEANS if text.is_boolean else map(str, range(len(text.levels) + 1))
    return next((level for level in others if level not in text.levels), text.levels[0])


def _is_taken(card: Scorecard, row: dict[str, Any]) -> bool:
    try:
        card.encode_rows([row])
    except RowsRefused:
        return False
    return True


def check_sql(card: Scorecard, text: str) -> float:
    """By SQLite, in memory."""
    rows = rows_to_check(card)
    columns = [*card.document["inputs"], *([] if card.offset is None else [{"column": card.offset.column}])]
    names = ", ".join('"' + c["column"].replace('"', '""') + '"' for c in columns)
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f'CREATE TABLE "rows" ({names})')
        values = [tuple(_stored(card, c["column"], row[c["column"]]) for c in columns) for row in rows]
        connection.executemany(f'INSERT INTO "rows" VALUES ({", ".join("?" * len(columns))})', values)  # noqa: S608
        answers = connection.execute(text).fetchall()
    n_classes = len(card.document["classes"] or [])
    said = np.array([row[-n_classes:] if n_classes else row[-1] for row in answers], dtype=float)
    return _compare("model.sql", said, _expected(card, card.encode_rows(rows)), TOLERANCE)


def _stored(card: Scorecard, column: str, value: Any) -> Any:
    """A number rather than the level that spells it, where the column holds numbers."""
    text = next((i for i in card.texts if i.column == column), None)
    if text is None or value is None or not text.is_numeric:
        return value
    return value == "true" if text.is_boolean else float(value)


def check_onnx(card: Scorecard, data: bytes) -> float:
    """By the reference runtime of onnx."""
    import onnx  # noqa: PLC0415  only where it is asked for
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    rows = rows_to_check(card)
    output = "probabilities" if card.has_classes else "prediction"
    said: Any
    (said,) = ReferenceEvaluator(onnx.load_from_string(data)).run([output], onnx_inputs(card, rows))
    return _compare("model.onnx", said, _expected(card, card.encode_rows(rows)), TOLERANCE)


def onnx_inputs(card: Scorecard, rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Raw rows as the inputs of the ONNX graph."""
    numbers = [*card.numbers, *([] if card.offset is None else [card.offset])]
    columns: dict[str, NDArray[Any]] = {
        i.column: np.array([[np.nan if row[i.column] is None else row[i.column]] for row in rows], np.float64)
        for i in numbers
    }
    for text in card.texts:
        columns[text.column] = np.array([[(row[text.column] or "").strip()] for row in rows], dtype=np.str_).astype(
            object
        )
    return columns


def check_torch(card: Scorecard, data: bytes) -> float:
    """By torch itself."""
    import torch  # noqa: PLC0415  only where it is asked for

    encoded = card.encode_rows(rows_to_check(card))
    said = torch.export.load(io.BytesIO(data)).module()(*(torch.from_numpy(a) for a in torch_inputs(card, encoded)))
    return _compare("model.pt2", said.detach().numpy(), _expected(card, encoded), TOLERANCE)


def torch_inputs(card: Scorecard, rows: Encoded) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Encoded rows as the inputs of the exported program; NaN again where a value was missing, if that is told."""
    n, n_numbers = len(rows.atoms_nj), len(card.numbers)
    numbers_nj = rows.atoms_nj[:, :n_numbers].copy()
    for at, j in enumerate(card.indicators):
        numbers_nj[rows.atoms_nj[:, n_numbers + at] == 1, j] = np.nan
    codes_nt = np.column_stack(rows.codes) if rows.codes else np.empty((n, 0), np.int64)
    return numbers_nj, codes_nt, np.zeros(n) if rows.offset_n is None else rows.offset_n


def _expected(card: Scorecard, rows: Encoded) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return card.respond(card.linear_predictor(rows))


def _compare(what: str, said: NDArray[Any], expected: NDArray[Any], tolerance: float) -> float:
    """The largest difference, relative where values are above 1; what overflows in one format is not compared."""
    said, expected = np.minimum(said, LARGEST), np.minimum(expected, LARGEST)
    difference = float((np.abs(said - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not difference <= tolerance:
        raise Disagreement(
            f"{what} differs from the scorecard by {difference:.3g}; at most {tolerance:.0e} is let pass"
        )
    return difference
