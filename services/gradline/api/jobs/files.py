"""Artifacts as downloads: ranges, validators, safe types."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import anyio
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from gradline.api.deps import Services
from gradline.api.errors import Refused
from gradline.db.records import Artifact
from gradline.errors import NotFound

PENDING_MAX_S = 20.0
"""How long a download waits for a plot that is still being drawn."""
_INLINE = {"image/png", "image/svg+xml", "image/gif", "image/webp", "image/apng", "application/json", "text/plain"}
"""Types that a browser may show; everything else is saved."""
# Whatever a file holds, it runs nothing and reaches nothing under our address.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Span:
    """The part of a file that is sent."""

    start: int
    length: int


async def find(services: Services, owner: str, job_id: UUID, name: str) -> Artifact:
    """The artifact, waiting a while for one that is being drawn. Raises NotFound with the names there are."""
    await anyio.to_thread.run_sync(services.jobs.get, job_id, owner)
    stop_at = anyio.current_time() + PENDING_MAX_S
    async with services.watcher.watch(job_id) as watch:
        while True:
            found, pending = await anyio.to_thread.run_sync(_look, services, job_id, name)
            if found is not None:
                return found
            if name not in pending:
                raise await anyio.to_thread.run_sync(_unknown, services, job_id, name)
            if anyio.current_time() >= stop_at or services.watcher.is_stopping:
                detail = f"{name} is still being drawn"
                raise Refused(503, "artifact_pending", detail, {"Retry-After": "5"})
            await watch.wait(stop_at - anyio.current_time())


def respond(services: Services, request: Request, artifact: Artifact) -> Response:
    """200, 206, 304 or 416, with the file's bytes unless only the head was asked for."""
    headers = _headers(artifact)
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    span = _span(request, artifact, headers["ETag"])
    status = 200
    if span is not None:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.start + span.length - 1}/{artifact.size_bytes}"
    span = span or Span(0, artifact.size_bytes)
    headers["Content-Length"] = str(span.length)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=artifact.media_type)
    blocks = services.store.blocks(artifact.sha256, span.start, span.length)
    return StreamingResponse(_begun(blocks), status, headers, artifact.media_type)


def _look(services: Services, job_id: UUID, name: str) -> tuple[Artifact | None, list[str]]:
    pending = services.drawings.pending_names(job_id)  # first: a plot is pending until it is there
    return services.jobs.find_artifact(job_id, name), pending


def _unknown(services: Services, job_id: UUID, name: str) -> NotFound:
    names = [artifact.name for artifact in services.jobs.artifacts(job_id)]
    listed = f"it has: {', '.join(names)}" if names else "it has none yet"
    return NotFound(f"job {job_id} has no artifact {name!r}; {listed}")


def _begun(blocks: Any) -> Any:
    """With the first block read, so that a missing file is an error and no broken answer."""
    first = next(blocks, b"")

    def whole() -> Any:
        yield first
        yield from blocks

    return whole()


def _headers(artifact: Artifact) -> dict[str, str]:
    place = "inline" if artifact.media_type.partition(";")[0] in _INLINE else "attachment"
    file_name = artifact.name.rsplit("/", 1)[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", file_name)
    return {
        "ETag": f'"{artifact.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name)}",
        "Content-Security-Policy": _SANDBOX,
    }


def _matches(condition: str | None, etag: str) -> bool:
    if condition is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    return "*" in tags or etag in tags


def _span(request: Request, artifact: Artifact, etag: str) -> Span | None:
    """The range that was asked for; None for the whole file, also where several or other units were asked for."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or asked.groups() == ("", "") or request.headers.get("if-range", etag) != etag:
        return None
    size = artifact.size_bytes
    first, last = asked.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        detail = f"{artifact.name} has {size} bytes; the range begins past its end"
        raise Refused(416, "range_not_satisfiable", detail, {"Content-Range": f"bytes */{size}"})
    return Span(start, end - start)
