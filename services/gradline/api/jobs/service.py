"""What is done with jobs. Each call commits before it returns; rings come after."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from gradline.api.deps import Services
from gradline.api.jobs.checks import check_references
from gradline.api.jobs.schemas import ArtifactList, JobFilter, JobPage, JobRequest, JobView, MetricList, PriorityChange
from gradline.api.jobs.views import artifact_view, job_view, job_views, metric_point
from gradline.api.paging import decode_cursor, page
from gradline.db.records import Job, NewJob
from gradline.errors import InputFault, InvalidInput
from gradline.lanes import Lane
from gradline.specs import faults_of, parse_spec
from gradline.specs.base import Spec
from gradline.status import EventKind

KEY_MAX = 255


def submit(services: Services, owner: str, body: Any, idempotency_key: str | None) -> JobView:
    """Check, commit, ring. The same key and body again: the job as it stands, and nothing is rung."""
    request, spec = _parse(body)
    check_references(services, owner, spec)
    new = NewJob(
        owner=owner,
        kind=request.kind,
        spec=spec.model_dump(mode="json"),
        lane=_lane(request, spec),
        request_hash=_hash(body),
        name=request.name,
        experiment=request.experiment,
        labels=dict(request.labels),
        priority=request.priority,
        max_attempts=request.max_attempts,
        deadline_s=request.deadline_s,
        idempotency_key=_checked_key(idempotency_key),
    )
    return _store(services, new)


def resubmit(services: Services, owner: str, job_id: UUID, idempotency_key: str | None) -> JobView:
    """A new job that asks for the same."""
    old = services.jobs.get(job_id, owner)
    check_references(services, owner, parse_spec(old.kind, old.spec))
    new = NewJob(
        owner=owner,
        kind=old.kind,
        spec=old.spec,
        lane=old.lane,
        request_hash=_hash({"resubmit": str(job_id)}),
        name=old.name,
        experiment=old.experiment,
        labels=old.labels,
        priority=old.priority,
        max_attempts=old.max_attempts,
        deadline_s=old.deadline_s,
        idempotency_key=_checked_key(idempotency_key),
    )
    return _store(services, new)


def get(services: Services, owner: str, job_id: UUID) -> JobView:
    job = services.jobs.get(job_id, owner)
    return _view(services, job, services.jobs.queue_position(job))


def list_jobs(services: Services, owner: str, asked: JobFilter) -> JobPage:
    filters = {"status": asked.status, "kind": asked.kind, "label": asked.label}
    before = decode_cursor(asked.cursor, filters)
    found = services.jobs.list_jobs(
        owner,
        status=asked.status,
        kind=asked.kind,
        label=_label(asked.label),
        before=before,
        limit=asked.limit + 1,
    )
    jobs, next_cursor = page(found, asked.limit, filters, lambda job: job.id)
    return JobPage(items=_views(services, jobs), next_cursor=next_cursor)


def cancel(services: Services, owner: str, job_id: UUID) -> JobView:
    return _view(services, services.jobs.cancel(job_id, owner))


def change(services: Services, owner: str, job_id: UUID, body: Any) -> JobView:
    try:
        wanted = PriorityChange.model_validate(body)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, body)) from error
    job = services.jobs.set_priority(job_id, owner, wanted.priority)
    return _view(services, job, services.jobs.queue_position(job))


def delete(services: Services, owner: str, job_id: UUID) -> None:
    services.jobs.delete(job_id, owner)


def metrics(services: Services, owner: str, job_id: UUID) -> MetricList:
    services.jobs.get(job_id, owner)
    points = services.jobs.events(job_id, kinds=[EventKind.METRIC], limit=100_000)
    return MetricList(items=[metric_point(event) for event in points])


def artifacts(services: Services, owner: str, job_id: UUID) -> ArtifactList:
    services.jobs.get(job_id, owner)
    pending = services.drawings.pending_names(job_id)  # before the list: a plot drawn in between stands in both
    items = [artifact_view(job_id, artifact) for artifact in services.jobs.artifacts(job_id)]
    have = {item.name for item in items}
    return ArtifactList(items=items, pending=[name for name in pending if name not in have])


def _parse(body: Any) -> tuple[JobRequest, Spec]:
    """Both parts are checked before anything is refused, so that one answer names every fault."""
    faults: list[InputFault] = []
    request, spec = None, None
    try:
        request = JobRequest.model_validate(body)
    except ValidationError as error:
        faults += faults_of(error, body)
    if isinstance(body, dict) and isinstance(body.get("kind"), str) and isinstance(body.get("spec"), dict):
        try:
            spec = parse_spec(body["kind"], body["spec"])
        except InvalidInput as invalid:
            faults += invalid.faults
    if request is None or spec is None:
        raise InvalidInput(faults)
    return request, spec


def _lane(request: JobRequest, spec: Spec) -> str:
    wants_cuda = getattr(spec, "device", None) == "cuda"
    if request.lane == "cpu" and wants_cuda:
        reason = "spec.device is cuda, which no cpu worker has; use lane auto or gpu"
        raise InvalidInput([InputFault("lane", "cpu", reason)])
    if request.lane == "auto":
        return Lane.GPU if wants_cuda else Lane.CPU
    return request.lane


def _checked_key(key: str | None) -> str | None:
    if key is not None and not (1 <= len(key) <= KEY_MAX and key.isprintable()):
        raise InvalidInput([InputFault("Idempotency-Key", key, f"must be 1 to {KEY_MAX} printable characters")])
    return key


def _hash(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _label(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, _, value = text.partition(":")
    return key, value


def _store(services: Services, new: NewJob) -> JobView:
    job, is_new = services.jobs.submit(new)
    if is_new:
        services.bell.ring(job.lane)
        return job_view(job, None, services.settings.mlflow_ui_url)
    return _view(services, job)


def _view(services: Services, job: Job, queue_position: int | None = None) -> JobView:
    return job_view(job, services.runs.find(job.id), services.settings.mlflow_ui_url, queue_position)


def _views(services: Services, jobs: Sequence[Job]) -> list[JobView]:
    return job_views(jobs, services.runs.find_all([job.id for job in jobs]), services.settings.mlflow_ui_url)
