"""Runs a `prediction` job: scores a data set with the scorecard of a finished job, without torch."""

import errno
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from gradline.db.datasets import StoredDataset
from gradline.errors import InvalidInput, PermanentError
from gradline.scoring import Encoded, Numbers, RowsRefused, Scorecard
from gradline.scoring_contributions import contributions
from gradline.scoring_intervals import intervals
from gradline.scoring_tables import as_invalid_input, encode_table, read_row_blocks
from gradline.specs.base import Spec
from gradline.specs.prediction import PredictionSpec
from gradline.storage import ArtifactStore
from gradline.worker.context import AttemptContext

MEDIA_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv"}
_WRITERS: dict[str, Any] = {"parquet": pyarrow.parquet.ParquetWriter, "csv": pyarrow.csv.CSVWriter}


def run(spec: Spec, ctx: AttemptContext) -> dict[str, Any]:
    """The result of the job; the predictions are its artifact. Rows are read, predicted and written block by block."""
    assert isinstance(spec, PredictionSpec)  # noqa: S101  the registry pairs kinds and specs
    card = Scorecard.parse(ctx.get_model(spec.model_job_id))
    data, counts, name = ctx.get_dataset(spec.data.dataset_id), Counter[Any](), f"predictions.{spec.format}"
    n_rows, writer = 0, None
    with _room_needed(), tempfile.TemporaryFile(dir=ctx.store.scratch_folder()) as file:
        with ExitStack() as written:
            for rows in _blocks(card, data, spec.keep, ctx.store):
                said = _predict(card, rows, spec, n_rows)
                writer = writer or written.enter_context(_WRITERS[spec.format](file, said.schema))
                writer.write_table(said)
                n_rows += rows.num_rows
                if card.has_classes:
                    counts.update(_counted(said.column("prediction")))
                ctx.progress(n_rows, data.n_rows)
                ctx.raise_if_stopped()
        ctx.save_file(name, file, MEDIA_TYPES[spec.format], "table")
    return {
        "outcome": "predicted",
        "n_rows": n_rows,
        "artifact": name,
        "model_job_id": spec.model_job_id,
        "family": card.document["family"],
        "target": card.document["target"],
        "class_counts": {str(c): counts[c] for c in card.document["classes"]} if card.has_classes else None,
    }


def drawings(spec: Spec, result: dict[str, Any]) -> list[str]:  # noqa: ARG001  nothing is drawn
    """None."""
    return []


def _blocks(card: Scorecard, data: StoredDataset, keep: list[str], store: ArtifactStore) -> Iterator[pa.Table]:
    """The columns that the model knows or that are kept, as far as there are such."""
    there = [column["name"] for column in data.columns]
    if absent := [name for name in keep if name not in there]:
        raise PermanentError(f"spec.keep names columns that data set {data.name!r} lacks: {absent}", code="bad_data")
    names = [name for name in there if name in card.columns or name in keep] or there[:1]
    path = store.local_path(data.sha256)
    try:
        with open(path, "rb") if path is not None else store.open(data.sha256) as file:
            yield from read_row_blocks(file, data.format, names)
    except InvalidInput as error:
        raise PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults]) from error
    except FileNotFoundError as error:
        raise PermanentError(f"the file of data set {data.name!r} is gone from the store", code="bad_data") from error


@contextmanager
def _room_needed() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise PermanentError(f"there is no room for the predictions: {error}", code="no_room") from error


def _counted(classes: pa.ChunkedArray) -> dict[Any, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(classes).to_pylist()}


def _predict(card: Scorecard, rows: pa.Table, spec: PredictionSpec, first_row: int) -> pa.Table:
    """The kept columns, then `prediction`, then for classes `probability of …` each, then what else was asked for."""
    kept = {name: rows.column(name) for name in spec.keep}
    try:
        encoded = encode_table(card, rows, first_row)
        with np.errstate(over="ignore"):
            z_nk = card.linear_predictor(encoded)
            told = _predictions(card, z_nk)
            if spec.interval is not None:
                told |= _interval(card, encoded, z_nk, spec.interval)
        if spec.contributions:
            told |= _contributions(card, encoded)
    except RowsRefused as refused:
        error = as_invalid_input(refused)
        raise PermanentError(error.message, code="bad_data", faults=[f.as_dict() for f in error.faults]) from error
    return pa.table(kept | told)


def _predictions(card: Scorecard, z_nk: Numbers) -> dict[str, Any]:
    response = card.respond(z_nk)
    if not card.has_classes:
        return {"prediction": response}
    classes = card.document["classes"]
    prediction = {"prediction": pa.array(classes).take(pa.array(card.decide(z_nk)))}
    return prediction | {f"probability of {name}": response[:, c] for c, name in enumerate(classes)}


def _interval(card: Scorecard, rows: Encoded, z_nk: Numbers, confidence: float) -> dict[str, Numbers]:
    found = intervals(card, rows, z_nk, confidence)
    told = {"standard error": found.std_error_n, "interval low": found.low_n, "interval high": found.high_n}
    if found.observation_low_n is None or found.observation_high_n is None:
        return told
    return told | {"observation low": found.observation_low_n, "observation high": found.observation_high_n}


def _contributions(card: Scorecard, rows: Encoded) -> dict[str, Numbers]:
    found = contributions(card, rows)
    told: dict[str, Numbers] = {}
    for k, base in enumerate(found.base_k.tolist()):
        to = f" to {card.document['classes'][k]}" if len(found.base_k) > 1 else ""
        told |= {f"base{to}": np.full(len(found.value_nkt), base)}
        told |= {f"contribution of {term}{to}": found.value_nkt[:, k, t] for t, term in enumerate(found.terms)}
    return told
