"""The OpenAPI document and the examples in it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradline.api.examples.service import FIRST, list_examples
from gradline.api.main import create_app
from gradline.settings import Settings
from gradline.specs import KINDS, parse_spec

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, item in document["paths"].items() for operation in item.values()]


def test_the_committed_document_is_what_the_code_says() -> None:
    """After a change that is meant: `make openapi`, and read the difference."""
    command = [sys.executable, "-m", "gradline.api.write_openapi"]
    written = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    assert json.loads(written) == json.loads(COMMITTED.read_bytes())


def test_every_operation_has_a_stable_id_a_tag_and_its_errors(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all("_" not in operation_id for operation_id in ids)
    for path, operation in operations(document):
        assert operation["tags"], path
        if path.startswith("/v1"):
            assert "application/problem+json" in operation["responses"]["401"]["content"], path


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text


def test_every_object_that_is_sent_is_closed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    left_open = [
        name
        for name, schema in schemas.items()
        if "properties" in schema and schema.get("additionalProperties") is not False
    ]
    assert left_open == ["Problem"]  # RFC 9457 lets a problem have more members


def test_the_request_is_told_apart_by_kind(document: dict[str, Any]) -> None:
    request = document["components"]["schemas"]["JobRequest"]
    assert set(request["discriminator"]["mapping"]) == set(KINDS)
    for kind, reference in request["discriminator"]["mapping"].items():
        schema = document["components"]["schemas"][reference.rsplit("/", 1)[-1]]
        assert schema["properties"]["kind"]["const"] == kind
        assert schema["required"] == ["kind", "spec"]


def test_the_docs_offer_every_example_the_notes_first(document: dict[str, Any]) -> None:
    offered = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert list(offered) == [example.name for example in list_examples()]
    assert next(iter(offered)) == FIRST


@pytest.mark.parametrize("example", list_examples(), ids=lambda example: example.name)
def test_every_example_is_a_valid_job(example: Any) -> None:
    assert example.title
    assert example.teaches
    parse_spec(example.body["kind"], example.body["spec"])


def test_the_first_example_is_the_regression_of_the_notes() -> None:
    spec = parse_spec("logistic-regression", list_examples()[0].body["spec"]).model_dump()
    assert spec["data"] == {"source": "blobs", "samples_per_class": 100, "mean": 1.7, "bias": 1.0, "seed": None}
    assert (spec["solver"]["learning_rate"], spec["solver"]["momentum"], spec["seed"]) == (0.01, 0.9, 10)
    assert (spec["stop"]["max_steps"], spec["stop"]["accuracy_above"], spec["report"]["every"]) == (1000, 0.99, 20)
