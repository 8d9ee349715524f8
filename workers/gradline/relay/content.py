"""What a job says in MLflow: its rows as parameters, tags, metrics and a data set input. Pure: no MLflow, no I/O."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from gradline.db.datasets import StoredDataset
from gradline.db.records import Event, Job
from gradline.errors import InvalidInput
from gradline.specs import parse_spec
from gradline.status import EventKind, JobStatus

RUN_STATUS = {JobStatus.SUCCEEDED: "FINISHED", JobStatus.FAILED: "FAILED", JobStatus.CANCELLED: "KILLED"}
"""How MLflow calls the end of a job."""

CURVES = "fit"
"""Section of MLflow's charts that holds what changes from step to step, curves and pictures."""
ALWAYS_COMPARED = {
    "data.source",
    "data.name",
    "model.family",
    "penalty.l1",
    "penalty.l2",
    "solver.name",
    "solver.learning_rate",
    "seed",
}
"""Parameters of every run, so that a column of MLflow's table and a comparison of runs never miss them."""
SPEC_FILE = "spec.json"
"""The run's artifact that holds the whole spec."""
COLUMN_TYPES = {"integer": "long", "number": "double", "boolean": "boolean", "text": "string", "timestamp": "datetime"}


@dataclass(frozen=True)
class Point:
    """One value of one metric; the timestamp comes from the row, so that sending it again adds nothing."""

    key: str
    value: float
    timestamp_ms: int
    step: int


@dataclass(frozen=True)
class DatasetInput:
    """What a run was trained on, described without its bytes."""

    name: str
    sha256: str
    """Of the bytes, or of the recipe that makes them."""
    source_type: str
    source: str
    schema: str | None
    profile: str | None

    @property
    def digest(self) -> str:
        """Short, as MLflow shows it beside the name."""
        return self.sha256[:12]


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def run_name(job: Job) -> str:
    return job.name or f"{job.kind}-{job.id.hex[-8:]}"


def experiment_name(job: Job) -> str:
    return job.experiment or job.kind


def registered_name(job: Job) -> str | None:
    """Of the model in MLflow's registry, where the spec asks for a place there."""
    name = (job.spec.get("report") or {}).get("register_as")
    return None if name is None else str(name)


def parameters(job: Job) -> dict[str, str]:
    """Where the spec departs from the kind's defaults, and what is always compared, flattened to dotted names.

    MLflow prints every parameter into the caption of every picture; the whole spec lies in the run's `spec.json`.
    """
    departs = {name for name, _ in _leaves(_departures(job))}
    told = {
        name: value
        for name, value in _leaves(job.spec)
        if name in departs or (name in ALWAYS_COMPARED and value is not None)
    }
    return {_safe_key(name): _shown(value) for name, value in told.items()}


def first_tags(job: Job, dataset: DatasetInput | None) -> dict[str, str]:
    """What is known of a job before it ends."""
    tags = {
        "gradline.job_id": str(job.id),
        "gradline.owner": job.owner,
        "gradline.kind": job.kind,
        "gradline.lane": job.lane,
        "gradline.version": version("gradline"),
        "mlflow.user": job.owner,
        "mlflow.source.name": "gradline",
        "mlflow.source.type": "JOB",
    }
    if dataset is not None:
        tags |= {"gradline.dataset.name": dataset.name, "gradline.dataset.sha256": dataset.sha256}
    return tags | {_safe_key(f"label.{key}"): str(value) for key, value in job.labels.items()}


def news_tags(events: Sequence[Event]) -> dict[str, str]:
    """What the newest events say of a job that goes on: its attempt, last checkpoint and warnings."""
    tags: dict[str, str] = {"mlflow.loggedImages": "True"} if any(e.data.get("kind") == "image" for e in events) else {}
    for event in events:
        if event.kind is EventKind.STARTED:
            tags["gradline.attempt"] = str(event.attempt)
        elif event.kind is EventKind.CHECKPOINT:
            tags["gradline.checkpoint.step"] = str(event.data["step"])
        elif event.kind is EventKind.WARNING:
            tags[_safe_key(f"gradline.warning.{event.data['code']}")] = str(event.data["message"])
    return tags


def last_tags(job: Job) -> dict[str, str]:
    """What the end of a job adds."""
    result, error = job.result or {}, job.error or {}
    named = {
        "gradline.device": result.get("device"),
        "gradline.outcome": result.get("outcome"),
        "gradline.reproducible": result.get("reproducible"),
        "gradline.fingerprint": result.get("fingerprint"),
        "gradline.error.code": error.get("code"),
        "gradline.error.message": error.get("message"),
        "mlflow.note.content": _note(job),
    }
    environment = result.get("environment")
    if isinstance(environment, Mapping):
        named |= {f"gradline.environment.{name}": value for name, value in _leaves(environment)}
    return {_safe_key(key): _shown(value) for key, value in named.items() if value is not None}


def points(events: Iterable[Event]) -> list[Point]:
    """The metric events of a job under `fit/`, which MLflow shows first; values that were not a number are left out."""
    return [
        Point(_safe_key(f"{CURVES}/{key}"), float(value), milliseconds(event.created_at), int(event.data["step"]))
        for event in events
        if event.kind is EventKind.METRIC
        for key, value in event.data["values"].items()
        if value is not None
    ]


def final_points(job: Job) -> list[Point]:
    """The numbers of the result as `train.log_loss`, `validation.accuracy`; `n` counts rows and measures nothing.

    They are of the whole fit and of no step: MLflow shows such ones as bars with their values, others as a curve.
    """
    if job.result is None or job.finished_at is None:
        return []
    values: dict[str, Any] = {f"train.{name}": job.result.get(name) for name in ("objective", "steps", "best_step")}
    values |= {name: value for name, value in _leaves(job.result.get("metrics") or {}) if not name.endswith(".n")}
    at = milliseconds(job.finished_at)
    return [Point(_safe_key(name), float(value), at, step=0) for name, value in values.items() if _is_number(value)]


def dataset_input(job: Job, dataset: StoredDataset | None) -> DatasetInput | None:
    """What the job trains on: generated and built-in data known by their recipe, uploaded data by their bytes."""
    if dataset is not None:
        return _uploaded(dataset)
    recipe = job.spec.get("data")
    if not isinstance(recipe, Mapping) or "source" not in recipe:
        return None
    seed = recipe.get("seed") if recipe.get("seed") is not None else job.spec.get("seed")
    source = json.dumps(dict(recipe) | ({"seed": seed} if recipe["source"] == "blobs" else {}), sort_keys=True)
    name = str(recipe.get("name") or recipe["source"])
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    return DatasetInput(name, sha256, str(recipe["source"]), source, schema=None, profile=None)


def _uploaded(dataset: StoredDataset) -> DatasetInput:
    columns = [
        {
            "type": COLUMN_TYPES.get(column["type"], "string"),
            "name": column["name"],
            "required": not column.get("n_missing"),
        }
        for column in dataset.columns
    ]
    profile = {"num_rows": dataset.n_rows, "num_columns": len(columns), "size_bytes": dataset.size_bytes}
    return DatasetInput(
        name=dataset.name,
        sha256=dataset.sha256,
        source_type="gradline",
        source=json.dumps({"dataset_id": str(dataset.id), "sha256": dataset.sha256, "format": dataset.format}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(profile),
    )


def _note(job: Job) -> str:
    """The run's description: how it ended, in a sentence or two."""
    if job.error is not None:
        mend = f"\n\nWhat to do: {job.error['mend']}" if job.error.get("mend") else ""
        return f"**{job.status}**: {job.error.get('message', job.error.get('code', 'no reason was given'))}{mend}"
    outcome = str((job.result or {}).get("outcome") or job.status).replace("_", " ")
    steps = (job.result or {}).get("steps")
    return f"**{outcome}**" + (f" after {steps} steps" if steps is not None else "")


def _departures(job: Job) -> dict[str, Any]:
    """What of the spec is not as its kind would have it by default; all of a spec that another version took."""
    try:
        return parse_spec(job.kind, job.spec).model_dump(mode="json", exclude_defaults=True)
    except InvalidInput:
        return job.spec


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _safe_key(key: str) -> str:
    """MLflow's names hold letters, digits and `_-. /:`; at most 250 characters."""
    return re.sub(r"[^\w\-. /:]", "_", key, flags=re.ASCII)[:250]
