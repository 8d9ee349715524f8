"""Errors outside any one call: every one is a problem document."""

import socket
from pathlib import Path

import pytest

from gradline.api.errors import CODES
from tests.integration.api.checks import problem
from tests.integration.api.conftest import BODY, Api, StartApi
from tests.waiting import wait_until


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1/jobs/", "/docs/static/nothing", "/docs/static/../x"])
def test_an_address_that_is_not_there(api: Api, path: str) -> None:
    problem(api.client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", {"GET", "POST"}),
        ("DELETE", "/livez", {"GET"}),
        ("POST", "/v1/jobs/00000000-0000-0000-0000-000000000000", {"GET", "PATCH", "DELETE"}),
    ],
)
def test_a_method_that_is_not_there_is_answered_with_those_that_are(
    api: Api, method: str, path: str, allowed: set[str]
) -> None:
    answer = api.client.request(method, path)
    document = problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert document["detail"].endswith(f"it answers to {answer.headers['allow']}")


def test_a_request_id_of_the_caller_comes_back_and_a_dangerous_one_is_replaced(api: Api) -> None:
    assert api.client.get("/livez", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert api.client.get("/nothing", headers={"X-Request-ID": "abc-1"}).json()["request_id"] == "abc-1"
    for dangerous in ("a b", "a\tb", "x" * 101, ""):
        found = api.client.get("/livez", headers={"X-Request-ID": dangerous}).headers["x-request-id"]
        assert found != dangerous
        assert len(found) == 32


def test_a_database_that_is_away_is_503_and_nothing_else_breaks(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(database_url=f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    answer = api.client.post("/v1/jobs", json=BODY)
    problem(answer, 503, "dependency_down")
    assert int(answer.headers["retry-after"]) > 0
    document = problem(api.client.get("/readyz"), 503, "not_ready")
    assert document["checks"]["database"]["is_ok"] is False
    assert api.client.get("/livez").status_code == 200
    assert api.client.get("/metrics").status_code == 200


def test_a_fault_of_ours_is_a_500_without_its_insides(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(*_: object) -> None:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(type(api.services.jobs), "get", break_)
    answer = api.client.get("/v1/jobs/00000000-0000-0000-0000-000000000000")
    document = problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert document["request_id"] in document["detail"]


def test_a_client_that_hangs_up_during_an_upload_leaves_nothing(api: Api, tmp_path: Path) -> None:
    host, port = api.client.base_url.host, api.client.base_url.port
    assert port is not None
    with socket.create_connection((host, port)) as connection:
        head = f"POST /v1/datasets HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"a,b\n1")
    incoming = tmp_path / "store" / "incoming"
    wait_until(lambda: incoming.is_dir() and not list(incoming.iterdir()), what="the part that came is deleted")
    assert api.client.get("/v1/datasets").json()["items"] == []


def test_every_code_is_explained_where_its_type_points(api: Api) -> None:
    page = api.client.get("/docs/errors").text
    for code in CODES:
        assert f'id="{code}"' in page
    assert "<code>Retry-After</code>" in page
    assert "`" not in page
