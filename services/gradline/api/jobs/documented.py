"""How the OpenAPI document describes the bodies that the job routes read and check themselves."""

from typing import Any

from gradline.api.examples.service import list_examples


def _json_body(schema: str, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}} | more}
    return {"requestBody": {"required": True, "content": content}}


JOB_BODY = _json_body(
    "JobRequest",
    examples={
        example.name: {"summary": example.title, "description": example.teaches, "value": example.body}
        for example in list_examples()
    },
)
PRIORITY_BODY = _json_body("PriorityChange", example={"priority": 7})
