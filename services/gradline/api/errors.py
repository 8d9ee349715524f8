"""Every error of the API as an RFC 9457 problem document (`application/problem+json`).

    {type, title, status, detail, instance, code, request_id}, and for bad input errors: [{field, value, reason}]

`code` is stable; `type` is where `CODES` explains it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gradline.errors import CallerError, DependencyDown, InputFault, InvalidInput, Unauthorized

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
CODES = {
    "bad_request": "The request is not understood; `detail` says where.",
    "malformed_json": "The body is no JSON; `detail` says where it breaks off.",
    "unsupported_media_type": "The body is of a type that this call does not read; send `application/json`.",
    "invalid_input": "Well-formed but wrong; `errors` lists every field with its value and what would be right.",
    "too_large": "Over a limit that `detail` names.",
    "unauthorized": "A key is needed, as `Authorization: Bearer …` or `X-API-Key`, or this one opens nothing.",
    "host_not_allowed": "A web page may not use this service while it asks for no key.",
    "not_found": "There is no such thing, or it belongs to somebody else.",
    "method_not_allowed": "The address exists, the method does not; `Allow` lists those that do.",
    "conflict": "The request is right but stands against the state.",
    "idempotency_key_reused": "The Idempotency-Key was used before with another body; nothing was submitted.",
    "job_ended": "The job has already ended otherwise; there is nothing to cancel.",
    "not_queued": "Only a queued job has a place in the queue to change.",
    "not_ended": "The job has not ended; cancel it first.",
    "not_succeeded": "The job did not succeed, or has not yet; there is no model to predict with.",
    "no_model": "The job leaves no model that could predict.",
    "dataset_in_use": "A job that has not ended uses the data set.",
    "range_not_satisfiable": "The range begins past the end of the file.",
    "artifact_pending": "The plot is still being drawn; ask again after `Retry-After` seconds.",
    "dependency_down": "The database or the artifact store does not answer; try again after `Retry-After` seconds.",
    "overloaded": "Too many requests at once; try again after `Retry-After` seconds.",
    "not_ready": "The service cannot take requests yet; `checks` says why.",
    "internal_error": "A fault of ours; the log has it under `request_id`.",
}
"""Every code that an answer may carry, and what it means."""
_CODE_OF_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_SHOWN_CHARACTERS = 200

log = structlog.get_logger(__name__)


class Fault(BaseModel):
    """One thing wrong with what was sent."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="Dotted path of the field, as the caller spells it")
    value: Any = Field(description="The value that was sent; null where it was missing or is not shown")
    reason: str = Field(description="What is wrong and what would be right")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str = Field(description="Where the code is explained")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request")
    code: str = Field(description="Stable and machine-readable")
    request_id: str = Field(description="The log has the request under this id")
    errors: list[Fault] | None = Field(None, description="For bad input: every fault")


class Refused(Exception):
    """An answer other than success that is no `CallerError`: a status with its code and headers."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    faults: Sequence[InputFault] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """The answer to a request that failed; `more` are further members of the document."""
    document = {
        "type": f"/docs/errors#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.scope["path"],
        "code": code,
        "request_id": request.scope["state"]["request_id"],
    } | more
    if faults:
        document["errors"] = [{"field": f.field, "value": _shown(f.value), "reason": f.reason} for f in faults]
    # Escaped to ASCII, since what a caller sent may hold half a surrogate pair, which UTF-8 cannot carry.
    return Response(json.dumps(document, allow_nan=False).encode(), status, headers, MEDIA_TYPE)


Responses = dict[int | str, dict[str, Any]]
"""What a route answers besides its success, as FastAPI takes it."""


def problem_responses(*statuses: int, others: Responses | None = None) -> Responses:
    """The problem documents of a route, for OpenAPI, and its other answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return (others or {}) | {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Have every error answered by a problem document."""
    handlers: dict[Any, Any] = {
        CallerError: _caller_error,
        DependencyDown: _dependency_down,
        PoolTimeout: _overloaded,
        Refused: _refused,
        RequestValidationError: _request_validation,
        HTTPException: _http_exception,
        ClientDisconnect: _client_disconnect,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _caller_error(request: Request, error: CallerError) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="gradline"'} if isinstance(error, Unauthorized) else None
    faults = error.faults if isinstance(error, InvalidInput) else ()
    return problem(request, error.http_status, error.code, error.message, faults=faults, headers=headers)


async def _dependency_down(request: Request, error: DependencyDown) -> Response:
    log.warning("dependency_down", error=error.message)
    return problem(request, 503, error.code, error.message, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _overloaded(request: Request, _: PoolTimeout) -> Response:
    detail = "every connection to the database is in use; nothing was changed"
    return problem(request, 503, "overloaded", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


async def _refused(request: Request, error: Refused) -> Response:
    return problem(request, error.status, error.code, error.detail, headers=error.headers)


_PARAMETER_WORDS = {
    "extra_forbidden": "there is no such parameter",
    "uuid_parsing": "must be an id as the API gives it: 01234567-89ab-cdef-0123-456789abcdef",
}
"""What pydantic says of a parameter in words of its own making."""


async def _request_validation(request: Request, error: RequestValidationError) -> Response:
    """Parameters of path, query and headers; bodies are checked by ourselves."""
    faults = [
        InputFault(
            _parameter(e["loc"]),
            e.get("input") if e["type"] != "missing" else None,
            _PARAMETER_WORDS.get(e["type"], e["msg"].removeprefix("Value error, ")),
        )
        for e in error.errors()
    ]
    return await _caller_error(request, InvalidInput(faults))


async def _http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code < 400:
        return Response(status_code=error.status_code)
    code = _CODE_OF_STATUS.get(error.status_code, "bad_request")
    detail = error.detail
    if error.status_code == 404:
        detail = f"there is nothing at {request.scope['path']}; /docs lists what there is"
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted({*headers.get("Allow", "").split(", "), *_methods_at(request)} - {""}))
        detail = f"{request.method} is not what {request.scope['path']} answers to; it answers to {headers['Allow']}"
    return problem(request, error.status_code, code, detail, headers=headers)


def _methods_at(request: Request) -> set[str]:
    """What the address answers to: the router names only the methods of the first route that fits."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    return {
        method.upper()
        for template, operations in paths.items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.scope["path"])
        for method in operations
    }


async def _client_disconnect(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody is left to read it


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", error=repr(error))  # the server logs the traceback
    request_id = request.scope["state"]["request_id"]
    detail = f"a fault of ours; the log has it under request_id {request_id}"
    return problem(request, 500, "internal_error", detail, headers={"X-Request-ID": request_id})


def _parameter(loc: tuple[int | str, ...]) -> str:
    place: Literal["query", "path", "header"] | Any = loc[0]
    name = ".".join(str(part) for part in loc[1:])
    return name.title() if place == "header" else name


def _shown(value: Any) -> Any:
    """What of a refused value an answer may carry: short, and JSON."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return value[:_SHOWN_CHARACTERS] + "…"
    return to_jsonable_python(value, inf_nan_mode="strings", fallback=str)
