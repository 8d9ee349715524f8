"""`/v1/jobs`."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

import anyio
import structlog
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gradline.api.bodies import JsonBody, read_json
from gradline.api.deps import OwnerDep, Services, ServicesDep, get_owner, get_services
from gradline.api.errors import Responses, problem_responses
from gradline.api.jobs import files, service, stream
from gradline.api.jobs.documented import IDEMPOTENCY_KEY, JOB_BODY, PREFER, PRIORITY_BODY, SUBMIT_HEADERS
from gradline.api.jobs.schemas import WAIT_MAX_S, ArtifactList, JobFilter, JobPage, JobView, MetricList
from gradline.errors import DependencyDown
from gradline.status import TERMINAL

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problem_responses(401, 403, 422, 503))
IdempotencyKey = Annotated[str | None, Header(description=IDEMPOTENCY_KEY)]
Prefer = Annotated[str | None, Header(description=PREFER)]
_ENDED: Responses = {200: {"model": JobView, "description": "It ended within the time of `Prefer: wait=N`"}}
_EXHAUSTED: Responses = {204: {"description": "You have seen everything there will ever be; do not reconnect"}}
log = structlog.get_logger(__name__)
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})")


class PlainRoute(APIRoute):
    """A route whose function reads the request itself; FastAPI routes to it and documents it.

    Solving dependencies takes FastAPI longer than a submit takes the database.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


async def submit_job(request: Request) -> Response:
    """Stored when this answers; a worker takes it as soon as one is free."""
    services = await get_services(request)
    owner = await get_owner(request)
    body = await read_json(request)
    idempotency_key, prefer = request.headers.get("idempotency-key"), request.headers.get("prefer")
    job = await anyio.to_thread.run_sync(service.submit, services, owner, body, idempotency_key)
    return await _answer(services, owner, job, prefer)


router.add_api_route(
    "",
    submit_job,
    methods=["POST"],
    operation_id="submitJob",
    summary="Submit a job",
    status_code=202,
    response_model=JobView,
    openapi_extra=JOB_BODY | SUBMIT_HEADERS,
    responses=problem_responses(400, 409, 413, 415, others=_ENDED),
    route_class_override=PlainRoute,
)


@router.get("", operation_id="listJobs", summary="List jobs, newest first")
def list_jobs(services: ServicesDep, owner: OwnerDep, asked: Annotated[JobFilter, Query()]) -> JobPage:
    return service.list_jobs(services, owner, asked)


@router.get("/{job_id}", operation_id="getJob", summary="A job as it stands", responses=problem_responses(404))
def get_job(job_id: UUID, services: ServicesDep, owner: OwnerDep) -> JobView:
    return service.get(services, owner, job_id)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancelJob",
    summary="Cancel a job",
    status_code=202,
    responses=problem_responses(404, 409),
)
def cancel_job(job_id: UUID, services: ServicesDep, owner: OwnerDep) -> JobView:
    """A queued job is cancelled at once, a running one within a second or two. Repeating it changes nothing."""
    return service.cancel(services, owner, job_id)


@router.post(
    "/{job_id}/resubmit",
    operation_id="resubmitJob",
    summary="Submit the same again",
    status_code=202,
    response_model=JobView,
    responses=problem_responses(404, 409, others=_ENDED),
)
async def resubmit_job(
    job_id: UUID,
    services: ServicesDep,
    owner: OwnerDep,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    job = await anyio.to_thread.run_sync(service.resubmit, services, owner, job_id, idempotency_key)
    return await _answer(services, owner, job, prefer)


@router.patch(
    "/{job_id}",
    operation_id="changeJob",
    summary="Change a queued job's priority",
    openapi_extra=PRIORITY_BODY,
    responses=problem_responses(400, 404, 409, 413, 415),
)
def change_job(job_id: UUID, owner: OwnerDep, body: JsonBody, services: ServicesDep) -> JobView:
    return service.change(services, owner, job_id, body)


@router.delete(
    "/{job_id}",
    operation_id="deleteJob",
    summary="Forget an ended job",
    status_code=204,
    responses=problem_responses(404, 409),
)
def delete_job(job_id: UUID, services: ServicesDep, owner: OwnerDep) -> None:
    """With its events and artifacts; its MLflow run stays, and is ended first where that is still to be done."""
    service.delete(services, owner, job_id)


async def _stream_start(
    job_id: UUID,
    services: ServicesDep,
    owner: OwnerDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Begin after this event")] = 0,
    last_event_id: Annotated[str | None, Header(description="As `after`, sent by browsers that reconnect")] = None,
) -> int:
    """Where the stream begins; everything that may be refused is refused before it does."""
    await anyio.to_thread.run_sync(services.jobs.get, job_id, owner)
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after = max(after, int(last_event_id[:10]))
    marks = await anyio.to_thread.run_sync(services.jobs.marks, [job_id])
    if after and stream.is_exhausted(marks.get(job_id), after):
        raise HTTPException(204)  # tells an EventSource not to come back
    return after


@router.get(
    "/{job_id}/events",
    operation_id="streamEvents",
    summary="Follow a job (Server-Sent Events)",
    response_class=EventSourceResponse,
    responses=problem_responses(404, others=_EXHAUSTED),
)
async def stream_events(
    job_id: UUID, services: ServicesDep, after: Annotated[int, Depends(_stream_start)]
) -> AsyncIterator[ServerSentEvent]:
    """Replays stored events, then follows; closes once the job has ended and its plots are drawn.

    `event` is the kind and `data` is `{seq, kind, attempt, at, data}`. Stored events carry an `id`; ticks do not.
    """
    try:
        async for event in stream.follow(services.jobs, services.watcher, job_id, after):
            yield event
    except DependencyDown as down:  # the reader comes back with Last-Event-ID
        log.warning("stream_broken_off", job_id=str(job_id), error=down.message)


@router.get(
    "/{job_id}/metrics",
    operation_id="listMetrics",
    summary="Metric points, at most about 300",
    responses=problem_responses(404),
)
def list_metrics(job_id: UUID, services: ServicesDep, owner: OwnerDep) -> MetricList:
    return service.metrics(services, owner, job_id)


@router.get(
    "/{job_id}/artifacts", operation_id="listArtifacts", summary="Files of a job", responses=problem_responses(404)
)
def list_artifacts(job_id: UUID, services: ServicesDep, owner: OwnerDep) -> ArtifactList:
    return service.artifacts(services, owner, job_id)


_FILE = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_FILES: Responses = {
    200: _FILE | {"description": "The file"},
    206: _FILE | {"description": "The range asked for"},
    304: {"description": "The file is still the one of `If-None-Match`"},
}


@router.head("/{job_id}/artifacts/{name:path}", include_in_schema=False)
@router.get(
    "/{job_id}/artifacts/{name:path}",
    operation_id="getArtifact",
    summary="A file of a job",
    response_class=Response,
    responses=problem_responses(404, 416, others=_FILES),
)
async def get_artifact(job_id: UUID, name: str, request: Request, services: ServicesDep, owner: OwnerDep) -> Response:
    """Waits up to 20 s for a plot that is still being drawn."""
    artifact = await files.find(services, owner, job_id, name)
    return await anyio.to_thread.run_sync(files.respond, services, request, artifact)


async def _answer(services: Services, owner: str, job: JobView, prefer: str | None) -> Response:
    """202, or 200 where the caller would rather wait and the job ended in time."""
    headers = {"Location": job.links.self}
    wait_s = _wait_of(prefer)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s}"
        await stream.wait_until_ended(services.watcher, job.id, wait_s)
        job = await anyio.to_thread.run_sync(service.get, services, owner, job.id)
    has_ended = wait_s is not None and job.status in TERMINAL
    return Response(job.model_dump_json(), 200 if has_ended else 202, headers, "application/json")


def _wait_of(prefer: str | None) -> int | None:
    asked = _WAIT.search(prefer or "")
    return None if asked is None else min(int(asked.group(1)), WAIT_MAX_S)
