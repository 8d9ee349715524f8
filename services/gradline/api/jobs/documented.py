"""How the OpenAPI document describes what the job routes read and check themselves."""

from typing import Any

from gradline.api.examples.service import list_examples
from gradline.api.jobs.schemas import WAIT_MAX_S

IDEMPOTENCY_KEY = "The same key and body again: the same job"
PREFER = f"`wait=N`: answer once ended, at most {WAIT_MAX_S} s"


def _json_body(schema: str, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}} | more}
    return {"requestBody": {"required": True, "content": content}}


def _header(name: str, description: str) -> dict[str, Any]:
    schema = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": name.title(), "description": description}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


SUBMIT_HEADERS = {"parameters": [_header("idempotency-key", IDEMPOTENCY_KEY), _header("prefer", PREFER)]}
JOB_BODY = _json_body(
    "JobRequest",
    examples={
        example.name: {"summary": example.title, "description": example.teaches, "value": example.body}
        for example in list_examples()
    },
)
PRIORITY_BODY = _json_body("PriorityChange", example={"priority": 7})
