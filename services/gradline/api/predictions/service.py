"""Rows in, predictions out; no queue, no torch."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import ValidationError
from pydantic_core import to_json

from gradline.api.bodies import parse_json
from gradline.api.deps import Services
from gradline.csv_tables import read_csv_text
from gradline.errors import InputFault, InvalidInput, TooLarge
from gradline.scoring import Encoded, Numbers, RowsRefused, Scorecard
from gradline.scoring_contributions import contributions, terms_of
from gradline.scoring_intervals import intervals
from gradline.scoring_tables import as_invalid_input, check_names, encode_table
from gradline.specs import faults_of
from gradline.specs.prediction import PredictionOptions

CSV = "text/csv"
MAX_CONTRIBUTIONS = 2_000_000
"""Numbers in an answer: some 40 MB."""


def predict(
    services: Services, owner: str, job_id: UUID, body: bytes, media_type: str, asked: PredictionOptions
) -> bytes:
    """The answer as JSON. Raises NotFound, Conflict, InvalidInput and TooLarge."""
    card, sha256 = services.models.get(owner, job_id)
    max_rows = services.settings.predict_max_rows
    try:
        if media_type == CSV:
            rows = _csv_rows(card, body, max_rows)
        else:
            rows, asked = _json_rows(card, body, max_rows, asked)
        said = _predictions(card, rows, asked)
    except RowsRefused as refused:
        raise as_invalid_input(refused) from refused
    return to_json({"job_id": job_id, "model_sha256": sha256} | said, inf_nan_mode="null")


def _json_rows(
    card: Scorecard, body: bytes, max_rows: int, asked: PredictionOptions
) -> tuple[Encoded, PredictionOptions]:
    """The rows, and what is asked of them: the body counts before the address."""
    sent = parse_json(body)
    if not isinstance(sent, dict) or not isinstance(sent.get("rows"), list):
        raise InvalidInput([InputFault("rows", None, 'send {"rows": [{column: value, …}, …]}')])
    if fields := {name: value for name, value in sent.items() if name != "rows"}:
        try:
            asked = PredictionOptions.model_validate(asked.model_dump() | fields)
        except ValidationError as error:
            raise InvalidInput(faults_of(error, fields)) from error
    _check_count(len(sent["rows"]), max_rows, "rows")
    return card.encode_rows(sent["rows"]), asked


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


def _predictions(card: Scorecard, rows: Encoded, asked: PredictionOptions) -> dict[str, Any]:
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
        "interval": None if asked.interval is None else _interval(card, rows, z_nk, asked.interval),
        "contributions": _contributions(card, rows) if asked.contributions else None,
    }


def _interval(card: Scorecard, rows: Encoded, z_nk: Numbers, confidence: float) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        found = intervals(card, rows, z_nk, confidence)
    low_n, high_n = found.observation_low_n, found.observation_high_n
    return {
        "confidence": confidence,
        "df": found.df,
        "std_errors": found.std_error_n.tolist(),
        "low": found.low_n.tolist(),
        "high": found.high_n.tolist(),
        "observation_low": None if low_n is None else low_n.tolist(),
        "observation_high": None if high_n is None else high_n.tolist(),
    }


def _contributions(card: Scorecard, rows: Encoded) -> dict[str, Any]:
    n_numbers = len(rows.atoms_nj) * len(terms_of(card)) * len(card.intercepts_k)
    if n_numbers > MAX_CONTRIBUTIONS:
        reason = f"{n_numbers} contributions are more than the limit of {MAX_CONTRIBUTIONS}"
        raise TooLarge(f"{reason}; send fewer rows, or submit a job of kind prediction")
    found = contributions(card, rows)
    return {"terms": found.terms, "base": found.base_k.tolist(), "rows": found.value_nkt.tolist()}
