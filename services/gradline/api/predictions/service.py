"""Rows in, predictions out; no queue, no torch."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from pydantic_core import to_json

from gradline.api.bodies import parse_json
from gradline.api.deps import Services
from gradline.csv_tables import read_csv_text
from gradline.errors import InputFault, InvalidInput, TooLarge
from gradline.scoring import Encoded, RowsRefused, Scorecard
from gradline.scoring_tables import as_invalid_input, check_names, encode_table

CSV = "text/csv"


def predict(services: Services, owner: str, job_id: UUID, body: bytes, media_type: str) -> bytes:
    """The answer as JSON. Raises NotFound, Conflict, InvalidInput and TooLarge."""
    card, sha256 = services.models.get(owner, job_id)
    max_rows = services.settings.predict_max_rows
    try:
        rows = _csv_rows(card, body, max_rows) if media_type == CSV else _json_rows(card, body, max_rows)
    except RowsRefused as refused:
        raise as_invalid_input(refused) from refused
    return to_json({"job_id": job_id, "model_sha256": sha256} | _predictions(card, rows))


def _json_rows(card: Scorecard, body: bytes, max_rows: int) -> Encoded:
    sent = parse_json(body)
    if not isinstance(sent, dict) or not isinstance(sent.get("rows"), list):
        raise InvalidInput([InputFault("rows", None, 'send {"rows": [{column: value, …}, …]}')])
    if others := sorted(set(sent) - {"rows"}):
        raise InvalidInput([InputFault(name, sent[name], "no such field; there is `rows` only") for name in others])
    _check_count(len(sent["rows"]), max_rows, "rows")
    return card.encode_rows(sent["rows"])


def _csv_rows(card: Scorecard, body: bytes, max_rows: int) -> Encoded:
    table = read_csv_text(body)
    _check_count(table.num_rows, max_rows, "file")
    check_names(card, table)
    return encode_table(card, table)


def _check_count(n_rows: int, max_rows: int, field: str) -> None:
    if n_rows == 0:
        raise InvalidInput([InputFault(field, None, "holds no rows")])
    if n_rows > max_rows:
        reason = f"{n_rows} rows are more than the limit of {max_rows} (GRADLINE_PREDICT_MAX_ROWS)"
        raise TooLarge(f"{reason}; upload them and submit a job of kind prediction")


def _predictions(card: Scorecard, rows: Encoded) -> dict[str, Any]:
    document = card.document
    with np.errstate(over="ignore"):
        z_nk = card.linear_predictor(rows)
        response = card.respond(z_nk)
    names: Sequence[Any] = document["classes"] or []
    return {
        "family": document["family"],
        "target": document["target"],
        "n_rows": len(z_nk),
        "class_names": document["classes"],
        "threshold": document["threshold"],
        "classes": [names[c] for c in card.decide(z_nk).tolist()] if card.has_classes else None,
        "probabilities": response.tolist() if card.has_classes else None,
        "values": None if card.has_classes else response.tolist(),
    }
