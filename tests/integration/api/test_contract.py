"""Generated requests against every operation: answers must be those that the OpenAPI document promises."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from gradline.api.main import create_app
from gradline.settings import Settings
from tests.integration.api.conftest import Api

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES_EACH = 12
DOCUMENT = create_app(Settings()).openapi()
NOT_JSON = {"streamEvents", "getArtifact", "metrics"}
"""Streams and files; tests of their own say what they answer."""
OPERATIONS = sorted(
    operation["operationId"]
    for item in DOCUMENT["paths"].values()
    for operation in item.values()
    if operation["operationId"] not in NOT_JSON
)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_whatever_is_sent_the_answer_is_as_documented(api: Api, operation_id: str) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    operation = schema.find_operation_by_id(operation_id)
    job_id = api.submit()["id"]
    seen = set()

    @settings(max_examples=EXAMPLES_EACH, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def send(case: schemathesis.Case, is_there: bool) -> None:
        if is_there and "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = job_id
        if case.headers is not None:  # no waiting for the end of a job that nobody runs
            case.headers.pop("prefer", None)
            case.headers.pop("Prefer", None)
        response = case.call(base_url=api.url)
        seen.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    send()
    assert seen
    assert not any(re.fullmatch("5..", str(status)) for status in seen)
