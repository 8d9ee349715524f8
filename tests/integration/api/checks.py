"""What several tests ask of an answer."""

from typing import Any

import httpx2


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, after checking that it is a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"].endswith(f"#{code}")
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == answer.request.url.path
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


def fields(answer: httpx2.Response) -> dict[str, Any]:
    """The refused fields of a 422 and the values shown for them."""
    document = problem(answer, 422, "invalid_input")
    assert all(fault["reason"] for fault in document["errors"])
    return {fault["field"]: fault["value"] for fault in document["errors"]}
