"""Runs a `prediction` job: scores a data set with the scorecard of a finished job, without torch."""

import io
from collections import Counter
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from gradline.errors import InvalidInput, PermanentError
from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_tables import as_invalid_input, encode_table, read_rows
from gradline.specs.base import Spec
from gradline.specs.prediction import PredictionSpec
from gradline.worker.context import AttemptContext

BATCH_ROWS = 65_536
MEDIA_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
_WRITERS: dict[str, Any] = {"parquet": pyarrow.parquet.ParquetWriter, "csv": pyarrow.csv.CSVWriter}
"""Rows are written as they are predicted, so that only the file itself stays in memory."""


def run(spec: Spec, ctx: AttemptContext) -> dict[str, Any]:
    """The result of the job; the predictions are its artifact."""
    assert isinstance(spec, PredictionSpec)  # noqa: S101  the registry pairs kinds and specs
    card = Scorecard.parse(ctx.get_model(spec.model_job_id))
    table = _read(spec, ctx)
    file, counts = io.BytesIO(), Counter[Any]()
    with ExitStack() as written:
        writer = None
        for start in range(0, table.num_rows, BATCH_ROWS):
            rows = table.slice(start, BATCH_ROWS)
            said = _predict(card, rows, spec.keep, start)
            writer = writer or written.enter_context(_WRITERS[spec.format](file, said.schema))
            writer.write_table(said)
            if card.has_classes:
                counts.update(said.column("prediction").to_pylist())
            ctx.progress(start + rows.num_rows, table.num_rows)
            ctx.raise_if_stopped()
    name = f"predictions.{spec.format}"
    ctx.save_artifact(name, file.getvalue(), MEDIA_TYPES[spec.format], "table")
    return {
        "outcome": "predicted",
        "n_rows": table.num_rows,
        "artifact": name,
        "model_job_id": spec.model_job_id,
        "family": card.document["family"],
        "target": card.document["target"],
        "class_counts": {str(c): counts[c] for c in card.document["classes"]} if card.has_classes else None,
    }


def drawings(spec: Spec, result: dict[str, Any]) -> list[str]:  # noqa: ARG001  nothing is drawn
    """None."""
    return []


def _read(spec: PredictionSpec, ctx: AttemptContext) -> pa.Table:
    file = ctx.get_dataset(spec.data.dataset_id)
    source = ctx.store.local_path(file.sha256) or io.BytesIO(ctx.store.get(file.sha256))
    try:
        table = read_rows(source, file.format)
    except InvalidInput as error:
        raise PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults]) from error
    except FileNotFoundError as error:
        raise PermanentError(f"the file of data set {file.name!r} is gone from the store", code="bad_data") from error
    if absent := [name for name in spec.keep if name not in table.column_names]:
        raise PermanentError(f"spec.keep names columns that data set {file.name!r} lacks: {absent}", code="bad_data")
    return table


def _predict(card: Scorecard, rows: pa.Table, keep: list[str], first_row: int) -> pa.Table:
    """The kept columns, then `prediction`, then for classes `probability of …` each."""
    try:
        encoded = encode_table(card, rows, first_row)
    except RowsRefused as refused:
        error = as_invalid_input(refused)
        raise PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults]) from error
    with np.errstate(over="ignore"):
        z_nk = card.linear_predictor(encoded)
        response = card.respond(z_nk)
    columns = {name: rows.column(name) for name in keep}
    if not card.has_classes:
        return pa.table(columns | {"prediction": response})
    classes = card.document["classes"]
    columns["prediction"] = pa.array(classes).take(pa.array(card.decide(z_nk)))
    return pa.table(columns | {f"probability of {name}": response[:, c] for c, name in enumerate(classes)})
