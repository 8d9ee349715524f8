"""Rows as answers."""

from collections.abc import Sequence
from urllib.parse import quote
from uuid import UUID

from gradline.api.jobs.schemas import ArtifactView, JobLinks, JobView, MetricPoint, MlflowView, Progress
from gradline.db.records import Artifact, Event, Job
from gradline.db.runs import Run
from gradline.mlflow_pages import run_page

_SAME = tuple(name for name in JobView.model_fields if name in Job.__dataclass_fields__ and name not in ("progress",))


def job_view(job: Job, run: Run | None, ui_url: str, queue_position: int | None = None) -> JobView:
    progress = None if job.progress is None else _progress(job.progress)
    return JobView(
        **{name: getattr(job, name) for name in _SAME},
        progress=progress,
        queue_position=queue_position,
        mlflow=_mlflow(job, run, ui_url),
        links=_links(job.id),
    )


def job_views(jobs: Sequence[Job], runs: dict[UUID, Run], ui_url: str) -> list[JobView]:
    return [job_view(job, runs.get(job.id), ui_url) for job in jobs]


def metric_point(event: Event) -> MetricPoint:
    return MetricPoint(step=event.data["step"], values=event.data["values"], at=event.created_at)


def artifact_view(job_id: UUID, artifact: Artifact) -> ArtifactView:
    values = {name: getattr(artifact, name) for name in ArtifactView.model_fields if name != "href"}
    return ArtifactView(**values, href=f"/v1/jobs/{job_id}/artifacts/{quote(artifact.name)}")


def _progress(stored: dict[str, object]) -> Progress:
    return Progress.model_validate({name: stored.get(name) for name in Progress.model_fields})


def _mlflow(job: Job, run: Run | None, ui_url: str) -> MlflowView:
    if run is None or run.experiment_id is None or run.run_id is None:
        return MlflowView()
    return MlflowView(
        experiment_id=run.experiment_id,
        run_id=run.run_id,
        url=run_page(ui_url, run.experiment_id, run.run_id),
        synced=run.is_closed or run.synced_seq >= job.last_seq,
    )


def _links(job_id: UUID) -> JobLinks:
    here = f"/v1/jobs/{job_id}"
    return JobLinks(
        self=here,
        events=f"{here}/events",
        metrics=f"{here}/metrics",
        artifacts=f"{here}/artifacts",
        cancel=f"{here}/cancel",
    )
