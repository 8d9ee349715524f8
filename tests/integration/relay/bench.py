"""A bench to test a relay on: a database, an artifact store, jobs in every state, and a look into MLflow."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import update

from gradline.db.drawings import DrawingStore
from gradline.db.jobs import JobStore
from gradline.db.models import RunRow
from gradline.db.records import Artifact, Fence, Job, NewEvent
from gradline.db.runs import RunStore
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.relay.relay import Relay
from gradline.relay.tracking import Tracking
from gradline.scoring import FORMAT, VERSION
from gradline.status import EventKind, JobStatus
from gradline.storage import ArtifactStore
from gradline.worker.drawing import draw_pending
from tests import factories
from tests.waiting import wait_until

MODEL: dict[str, Any] = {
    "format": FORMAT, "version": VERSION, "family": "binomial", "target": "ill", "classes": ["no", "yes"],
    "threshold": 0.4,
    "inputs": [
        {"column": "age", "type": "number", "fill": 40.0},
        {"column": "height", "type": "number", "fill": None},
        {"column": "smoker", "type": "boolean", "fill": 0.25},
        {"column": "city", "type": "text", "levels": ["Bonn", "Ulm"], "missing": "Ulm", "unseen": "Bonn"},
    ],
    "offset": None,
    "features": [
        {"name": "age", "factors": [{"column": "age"}], "coefficients": [0.04]},
        {"name": "age is missing", "factors": [{"column": "age", "is_missing": True}], "coefficients": [1.2]},
        {"name": "height", "factors": [{"column": "height"}], "coefficients": [-0.5]},
        {"name": "smoker", "factors": [{"column": "smoker"}], "coefficients": [0.9]},
        {"name": "city=Ulm", "factors": [{"column": "city", "level": "Ulm"}], "coefficients": [-0.7]},
        {"name": "s", "factors": [{"column": "smoker"}, {"column": "city", "level": "Ulm"}], "coefficients": [0.3]},
    ],
    "intercepts": [-1.5],
    "examples": {
        "rows": [
            {"age": 30.0, "height": 1.7, "smoker": True, "city": "Ulm"},
            {"age": None, "height": 1.8, "smoker": None, "city": None},
        ],
        "linear_predictors": [[-0.65], [0.125]],
    },
}  # fmt: skip
STEPS = (0, 20, 40)
PLOTS = [
    "loss.png",
    "accuracy.png",
    "confusion_matrix.png",
    *[f"boundary/step-{s:06d}.png" for s in STEPS],
    "animation.gif",
]


class Bench:
    """One database with its store; every job goes to an experiment of this bench alone."""

    def __init__(self, database_url: str, folder: Path, mlflow_url: str) -> None:
        self.database = Database(database_url)
        self.jobs = JobStore(self.database)
        self.drawings = DrawingStore(self.database)
        self.runs = RunStore(self.database)
        self.store = ArtifactStore(f"file://{folder / 'store'}")
        self.client = MlflowClient(mlflow_url)
        self.mlflow_url = mlflow_url
        self.experiment = f"bench-{uuid4().hex}"

    def relay(self, name: str = "relay-1", tracking: Tracking | None = None) -> Relay:
        return Relay(self.database, self.store, tracking or Tracking(self.mlflow_url), name, tick_s=0.01)

    # --- jobs

    def submit(self, **overrides: Any) -> Job:
        return self.jobs.submit(factories.new_job(**{"experiment": self.experiment} | overrides))[0]

    def start(self, **overrides: Any) -> tuple[Job, Fence]:
        job = self.submit(**overrides)
        return job, self.claim(job)

    def claim(self, job: Job) -> Fence:
        claimed = self.jobs.claim(job.lane, "worker", 1)
        assert claimed is not None
        assert claimed.id == job.id
        return Fence(claimed.id, claimed.attempt)

    def report(self, fence: Fence, *steps: int) -> None:
        for step in steps:
            values = {"loss": 0.4 / (1 + step), "accuracy": 0.9, "validation_loss": None if step == 0 else 0.5}
            event = NewEvent(EventKind.METRIC, {"step": step, "values": values}, once_key=f"metric:{step}")
            self.jobs.record(fence, [event])

    def finish(self, fence: Fence, status: JobStatus = JobStatus.SUCCEEDED, drawings: list[str] | None = None) -> None:
        if status is not JobStatus.SUCCEEDED:
            self.jobs.finish(
                fence, status, error={"code": "bad_data", "message": "a column is empty", "mend": "fill it"}
            )
            return
        self.jobs.finish(
            fence, status, result=result(), artifacts=[self.put(*file) for file in files()], drawings=drawings or []
        )

    def put(self, name: str, kind: str, data: bytes) -> Artifact:
        stored = self.store.put(data)
        return Artifact(name, kind, "application/octet-stream", stored.sha256, stored.size_bytes)

    def finished_job(self, **overrides: Any) -> Job:
        """A job with reports, a model, and plots that are drawn."""
        job, fence = self.start(**overrides)
        self.report(fence, *STEPS)
        self.finish(fence, drawings=PLOTS)
        assert draw_pending(self.drawings, self.jobs, self.store)
        return job

    def run_row(self, job: Job) -> Any:
        row = self.runs.find(job.id)
        assert row is not None
        return row

    def carry_all(self, relay: Relay, job: Job, timeout_s: float = 60.0) -> None:
        """Rounds of the relay until the job's run is closed."""
        wait_until(lambda: relay.round() is None or self.run_row(job).is_closed, timeout_s, "the run is closed")

    def carry_news(self, relay: Relay, job: Job, timeout_s: float = 60.0) -> None:
        """Rounds of the relay until the server has every event of a job that goes on."""

        def is_level() -> bool:
            relay.round()
            return bool(self.run_row(job).synced_seq == self.find(job.id).last_seq)

        wait_until(is_level, timeout_s, "the run is level with its job")

    def let_leases_lapse(self) -> None:
        """As if a minute had passed since a relay died."""
        with self.database.write() as connection:
            connection.execute(update(RunRow).values(lease_expires_at=db_now(-1.0)))

    # --- what MLflow has

    def mlflow_runs(self, job: Job) -> list[Run]:
        experiment = self.client.get_experiment_by_name(self.experiment)
        if experiment is None:
            return []
        found = self.client.search_runs([experiment.experiment_id], f"tags.`gradline.job_id` = '{job.id}'")
        return list(found)

    def mlflow_run(self, job: Job) -> Run:
        """The job's run; there must be exactly one."""
        (run,) = self.mlflow_runs(job)
        return run

    def history(self, run: Run, key: str) -> list[tuple[int, float, int]]:
        return sorted((m.step, m.value, m.timestamp) for m in self.client.get_metric_history(run.info.run_id, key))

    def reported(self, job: Job, key: str) -> list[tuple[int, float, int]]:
        """The same from the job's own rows."""
        events = self.jobs.events(job.id, kinds=[EventKind.METRIC])
        return sorted(
            (e.data["step"], e.data["values"][key], round(e.created_at.timestamp() * 1000))
            for e in events
            if e.data["values"][key] is not None
        )

    def paths(self, run: Run, folder: str) -> list[str]:
        return sorted(file.path for file in self.client.list_artifacts(run.info.run_id, folder))

    def models(self, run: Run) -> list[Any]:
        of_run = f"source_run_id = '{run.info.run_id}'"
        return list(self.client.search_logged_models([run.info.experiment_id], filter_string=of_run))

    def find(self, job_id: UUID) -> Job:
        job = self.jobs.find(job_id)
        assert job is not None
        return job


def result() -> dict[str, Any]:
    metrics = {"train": {"log_loss": 0.049277, "accuracy": 0.995, "roc_auc": None, "n": 200}, "validation": None}
    return {
        "outcome": "target_reached",
        "steps": STEPS[-1],
        "best_step": STEPS[0],
        "objective": 0.05,
        "metrics": metrics,
        "device": "cpu",
        "reproducible": True,
        "environment": {"device": "cpu", "n_threads": 1, "torch": "2.13.0"},
    }


def files() -> list[tuple[str, str, bytes]]:
    """Name, kind and bytes, as a logistic regression leaves them."""
    points = {"x": [[2.5, 3.0], [3.0, 2.0], [-1.0, -0.5], [-0.5, -1.5]], "y": [0, 0, 1, 1]}
    frames = [{"step": s, "weights": [-1.0, -1.0 - s / 40], "bias": 1.9, "loss": 0.4, "accuracy": 0.9} for s in STEPS]
    history = {"step": list(STEPS), "loss": [0.4, 0.3, 0.2], "accuracy": [0.9, 0.9, 1.0]}
    numbers = {
        "feature_names": ["x1", "x2"],
        "class_names": ["0", "1"],
        "points": points,
        "frames": frames,
        "history": history,
        "confusion_matrix": {"train": [[2, 0], [0, 2]], "validation": None},
        "outcome": "target_reached",
        "title": "blobs",
    }
    return [
        ("metrics.parquet", "curve", b"parquet"),
        ("plot_data.json", "table", json.dumps(numbers).encode()),
        ("model.json", "model", json.dumps(MODEL).encode()),
    ]
