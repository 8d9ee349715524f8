"""The OpenAPI document: what FastAPI finds, with the bodies that we check ourselves and what all calls share."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gradline.api.errors import Problem
from gradline.api.jobs.schemas import JobRequest, PriorityChange, StreamEvent
from gradline.specs import KINDS
from gradline.status import EventKind

VERSION = version("gradline")
_REF = "#/components/schemas/"
TAGS = [
    {"name": "jobs", "description": "Submit a fit, watch it, read its result, fetch its files."},
    {"name": "datasets", "description": "Upload tables once, train on them often."},
    {"name": "examples", "description": "Job bodies that run as they are."},
    {"name": "workers", "description": "Who is alive and what waits."},
    {"name": "health", "description": "For probes and scrapers; no key needed."},
]
DESCRIPTION = """\
Submit a training job, watch it live, compare its run in MLflow.

Errors are RFC 9457 problem documents; `code` is stable and [explained here](/docs/errors). Unknown fields are refused.
Times are UTC. Send an `Idempotency-Key` with a submit and it is safe to send again.
"""


def install(app: FastAPI) -> None:
    """Answer `/openapi.json` with our document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = make_document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way FastAPI documents


def make_document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the application."""
    document = get_openapi(
        title=app.title,
        version=VERSION,
        summary="A training service with a job queue",
        description=DESCRIPTION,
        tags=TAGS,
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    components["schemas"] = _without_defaults_of_fastapi(components.get("schemas", {})) | _schemas()
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _finish(path, operation)
    return document


def _finish(path: str, operation: dict[str, Any]) -> None:
    if path.startswith("/v1"):
        operation["security"] = [{}, {"bearer": []}, {"apiKey": []}]
    for status, response in operation["responses"].items():
        if status in ("202", "201"):
            response["headers"] = {"Location": {"schema": {"type": "string"}}}
    if operation.get("operationId") == "streamEvents":
        item = {"$ref": _REF + "StreamEvent"}
        stream = operation["responses"]["200"]["content"]["text/event-stream"]
        kinds = ", ".join([*(kind.value for kind in EventKind), "tick"])
        stream["itemSchema"] = {
            "type": "object",
            "required": ["data"],
            "properties": {
                "event": {"type": "string", "description": kinds},
                "id": {"type": "string", "description": "Sequence number; none for ticks"},
                "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": item},
            },
        }


def _schemas() -> dict[str, Any]:
    """The bodies that the routes check themselves: one closed request a kind, told apart by `kind`."""
    models: list[type[BaseModel]] = [JobRequest, PriorityChange, Problem, StreamEvent, *KINDS.values()]
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=_REF + "{model}")
    schemas: dict[str, Any] = found["$defs"]
    request = schemas.pop("JobRequest")
    names = {kind: f"{spec.__name__.removesuffix('Spec')}Request" for kind, spec in KINDS.items()}
    for kind, spec in KINDS.items():
        fields = request["properties"] | {
            "kind": {"const": kind, "type": "string"},
            "spec": {"$ref": _REF + spec.__name__},
        }
        schemas[names[kind]] = request | {"title": names[kind], "properties": fields}
    schemas["JobRequest"] = {
        "oneOf": [{"$ref": _REF + name} for name in names.values()],
        "discriminator": {"propertyName": "kind", "mapping": {kind: _REF + name for kind, name in names.items()}},
    }
    return schemas


def _without_defaults_of_fastapi(schemas: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's own error and event bodies, which no answer of ours has."""
    unused = ("HTTPValidationError", "ValidationError", "ServerSentEvent")
    return {name: schema for name, schema in schemas.items() if name not in unused}
