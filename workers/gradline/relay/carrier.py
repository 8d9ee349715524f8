"""One pass over one job: what it has committed since the last pass goes to its MLflow run.

Each step is safe to repeat, and the row says that it was done only after the server took all of it. So a relay that
dies anywhere in here leaves work to be repeated, never a gap and never a second copy.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from gradline.db.datasets import DatasetStore, StoredDataset
from gradline.db.jobs import JobStore
from gradline.db.records import Artifact, Event, Job
from gradline.db.runs import Run, RunStore
from gradline.db.session import Database
from gradline.errors import NotFound
from gradline.relay import content, images
from gradline.relay.tracking import Tracking
from gradline.scoring_jobs import MODEL_FILE
from gradline.status import EventKind
from gradline.storage import ArtifactStore

EVENTS_PER_READ = 1000
FILES_PER_UPLOAD = 20
FOLDERS = {"plot": "plots", "animation": "plots"}
"""Where MLflow shows artifacts of a kind; the rest lies in `data`."""
RENEW_S = 15.0


class RunLost(Exception):
    """Another relay has the lease: write nothing more."""


class Stopping(Exception):
    """The relay was told to stop."""


class Carrier:
    """Carries runs that a relay holds."""

    def __init__(
        self,
        database: Database,
        runs: RunStore,
        artifacts: ArtifactStore,
        tracking: Tracking,
        relay_id: str,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._jobs, self._datasets = JobStore(database), DatasetStore(database)
        self._runs = runs
        self._artifacts = artifacts
        self._tracking = tracking
        self._relay_id = relay_id
        self._is_stopping = is_stopping
        self._renewed_at = 0.0

    def carry(self, run: Run, pause_s: float) -> None:
        """Send what is new and give the lease back. Raises RunLost, Stopping, and what MLflow's client raises."""
        job = self._jobs.find(run.job_id)
        if job is None:
            return  # deleted together with its row
        self._renewed_at = time.monotonic()
        news = list(self._news(run, job))
        if news:
            self._send(run, job, news)
        if not self._runs.advance(self._relay_id, run, job.last_seq, pause_s):
            raise RunLost

    def recover(self, run: Run, error: str) -> None:
        """After a failure with the server up: what became of the run decides how to go on."""
        row = self._runs.find(run.job_id)
        state = "active" if row is None or row.run_id is None else self._tracking.run_state(row.run_id)
        if state == "deleted":
            self._runs.close(self._relay_id, run.job_id, "the run was deleted in MLflow")
        elif state == "missing":  # the server has lost its data: everything is sent again, into a new run
            self._runs.forget_run_id(self._relay_id, run.job_id)
        self._runs.put_off(self._relay_id, run, error)

    def _send(self, run: Run, job: Job, news: list[Event]) -> None:
        is_first = run.synced_seq == 0
        has_ended = any(event.kind is EventKind.ENDED for event in news)
        dataset = content.dataset_input(job, self._dataset_of(job)) if is_first else None
        experiment_id, run_id = self._opened(run, job, news, dataset)
        if is_first:
            self._tracking.log_json(run_id, content.SPEC_FILE, job.spec)
        if dataset is not None:
            self._tracking.log_dataset(run_id, dataset)
        tags = content.news_tags(news) | (content.last_tags(job) if has_ended else {})
        points = content.points(news) + (content.final_points(job) if has_ended else [])
        self._tracking.log(run_id, points, content.parameters(job) if is_first else {}, tags)
        if has_ended and job.finished_at is not None:
            status = content.RUN_STATUS[job.status]
            self._tracking.end_run(run_id, status, content.milliseconds(job.finished_at))
        due = _due_artifacts(self._jobs.artifacts(job.id), news, has_ended, job)
        self._upload(run_id, job, due)
        if has_ended:
            self._log_model(experiment_id, run_id, job, due)

    def _opened(self, run: Run, job: Job, news: list[Event], dataset: content.DatasetInput | None) -> tuple[str, str]:
        """The run's experiment and id; found or created, then named in the row."""
        if run.experiment_id is not None and run.run_id is not None:
            return run.experiment_id, run.run_id
        experiment_id = self._tracking.experiment_id(content.experiment_name(job))
        # A relay that held the row before may have died between creating the run and naming it.
        found = None if run.relay_id is None else self._tracking.find_run(experiment_id, str(job.id))
        run_id = found or self._create_run(experiment_id, job, news, dataset)
        if not self._runs.set_run_id(self._relay_id, job.id, experiment_id, run_id):
            raise RunLost
        return experiment_id, run_id

    def _create_run(self, experiment_id: str, job: Job, news: list[Event], dataset: content.DatasetInput | None) -> str:
        started = next((e.created_at for e in news if e.kind is EventKind.STARTED), job.created_at)
        tags = content.first_tags(job, dataset)
        return self._tracking.create_run(experiment_id, content.run_name(job), content.milliseconds(started), tags)

    def _dataset_of(self, job: Job) -> StoredDataset | None:
        dataset_id = (job.spec.get("data") or {}).get("dataset_id")
        if dataset_id is None:
            return None
        try:
            return self._datasets.get(UUID(dataset_id), job.owner)
        except NotFound:
            return None  # deleted meanwhile

    def _news(self, run: Run, job: Job) -> Iterator[Event]:
        """Events that the server does not have yet, up to the state in which the job was read."""
        after = run.synced_seq
        while after < job.last_seq:
            page = self._jobs.events(job.id, after, limit=EVENTS_PER_READ)
            yield from (event for event in page if event.seq <= job.last_seq)
            if len(page) < EVENTS_PER_READ:
                return
            after = page[-1].seq

    def _upload(self, run_id: str, job: Job, due: Sequence[Artifact]) -> None:
        for some in _groups(due, FILES_PER_UPLOAD):
            self._hold(job)
            with TemporaryDirectory() as folder:
                for artifact in some:
                    self._write(Path(folder), job, artifact)
                self._tracking.upload(run_id, Path(folder))

    def _write(self, folder: Path, job: Job, artifact: Artifact) -> None:
        data = self._artifacts.get(artifact.sha256)
        if artifact.kind == "image":
            (folder / images.FOLDER).mkdir(exist_ok=True)
            images.write_image(folder / images.FOLDER, job.id, artifact, data)
            return
        path = folder / FOLDERS.get(artifact.kind, "data") / artifact.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _log_model(self, experiment_id: str, run_id: str, job: Job, due: Sequence[Artifact]) -> None:
        scorecard = next((artifact for artifact in due if artifact.name == MODEL_FILE), None)
        if scorecard is None:
            return
        self._hold(job)
        from gradline.relay import model  # noqa: PLC0415  pandas takes a while, and not every job has a model

        points = content.final_points(job)
        step = int((job.result or {}).get("steps") or 0)
        home = model.Home(experiment_id, run_id, content.run_name(job), content.parameters(job), step)
        model_id = model.log_model(self._tracking.client, self._artifacts.get(scorecard.sha256), home)
        self._tracking.log_of_model(run_id, model_id, points, content.dataset_input(job, self._dataset_of(job)))
        if name := content.registered_name(job):
            model.register(self._tracking.client, name, model_id, home)

    def _hold(self, job: Job) -> None:
        """Between two steps: stop if asked, and keep the lease."""
        if self._is_stopping():
            raise Stopping
        if time.monotonic() - self._renewed_at < RENEW_S:
            return
        if not self._runs.renew(self._relay_id, job.id):
            raise RunLost
        self._renewed_at = time.monotonic()


def _due_artifacts(all_of_job: Iterable[Artifact], news: list[Event], has_ended: bool, job: Job) -> list[Artifact]:
    """Images as they come; a file whose name may be written again by a later attempt, once the job has ended."""
    named = {event.data["name"] for event in news if event.kind is EventKind.ARTIFACT}
    return [
        artifact
        for artifact in all_of_job
        if (artifact.name in named and (artifact.kind == "image" or job.status.is_terminal))
        or (has_ended and artifact.kind != "image")
    ]


def _groups(items: Sequence[Artifact], size: int) -> Iterator[list[Artifact]]:
    remaining = iter(items)
    while group := list(islice(remaining, size)):
        yield group
