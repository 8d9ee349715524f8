"""Valid things to test with; each call says only what matters to its test."""

from typing import Any

from gradline.db.records import Artifact, NewEvent, NewJob, SavedCheckpoint
from gradline.status import EventKind

NOTES_SPEC: dict[str, Any] = {
    "data": {"source": "blobs", "samples_per_class": 100, "mean": 1.7, "bias": 1.0},
    "solver": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
    "stop": {"max_steps": 1000, "accuracy_above": 0.99},
    "report": {"every": 20},
    "seed": 10,
}
"""The logistic regression of the notes, as a caller would send it."""


def new_job(**overrides: Any) -> NewJob:
    values: dict[str, Any] = {
        "owner": "ada",
        "kind": "logistic-regression",
        "spec": NOTES_SPEC,
        "lane": "cpu",
        "request_hash": "0" * 64,
    }
    return NewJob(**values | overrides)


def metric(step: int, loss: float = 0.5) -> NewEvent:
    return NewEvent(EventKind.METRIC, {"step": step, "values": {"loss": loss}}, once_key=f"metric:{step}")


def artifact(name: str = "curve.parquet", sha256: str = "a" * 64, **overrides: Any) -> Artifact:
    values: dict[str, Any] = {"kind": "curve", "media_type": "application/vnd.apache.parquet", "size_bytes": 10}
    return Artifact(name=name, sha256=sha256, **values | overrides)


def checkpoint(step: int, sha256: str = "c" * 64) -> SavedCheckpoint:
    return SavedCheckpoint(step=step, sha256=sha256, size_bytes=100, fingerprint={"n_threads": 1})
