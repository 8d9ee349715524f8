"""Keys, and what holds while there is none."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from gradline.api import auth
from gradline.clock import utc_now
from gradline.db.api_keys import ApiKeyStore
from tests.integration.api.checks import problem
from tests.integration.api.conftest import BODY, Api, StartApi

KEY = "a-key-of-the-settings"


@pytest.fixture
def guarded(start_api: StartApi) -> Api:
    return start_api(api_key=KEY)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": "wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": ""},
    ],
)
def test_without_the_right_key_nothing_under_v1_answers(guarded: Api, headers: dict[str, str]) -> None:
    for method, path in [
        ("GET", "/v1/jobs"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/00000000-0000-0000-0000-000000000000/events"),
        ("POST", "/v1/datasets"),
        ("GET", "/v1/examples"),
        ("GET", "/v1/workers"),
        ("GET", "/v1/lanes"),
    ]:
        answer = guarded.client.request(method, path, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}])
def test_the_key_of_the_settings_opens(guarded: Api, headers: dict[str, str]) -> None:
    assert guarded.client.post("/v1/jobs", json=BODY, headers=headers).status_code == 202


def test_probes_and_pages_need_no_key(guarded: Api) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/", "/docs", "/openapi.json"):
        assert guarded.client.get(path).status_code == 200


def test_once_a_key_was_made_one_is_needed_and_owners_see_only_their_own(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "KEYS_MAX_AGE_S", 0.0)
    api = start_api()
    store = ApiKeyStore(api.services.database)
    _, ada = store.create("ada", "laptop")
    bob_id, bob = store.create("bob", "laptop")
    _, old = store.create("ada", "old", expires_at=utc_now() - timedelta(seconds=1))

    def ask(key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    job = api.client.post("/v1/jobs", json=BODY, headers=ask(ada)).json()
    assert api.client.get(f"/v1/jobs/{job['id']}", headers=ask(ada)).status_code == 200
    problem(api.client.get(f"/v1/jobs/{job['id']}", headers=ask(bob)), 404, "not_found")
    problem(api.client.get("/v1/jobs", headers=ask(old)), 401, "unauthorized")
    problem(api.client.get("/v1/jobs"), 401, "unauthorized")
    assert store.revoke(bob_id)
    problem(api.client.get("/v1/jobs", headers=ask(bob)), 401, "unauthorized")


def test_revoking_the_last_key_does_not_open_the_api(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "KEYS_MAX_AGE_S", 0.0)
    api = start_api()
    store = ApiKeyStore(api.services.database)
    key_id, _ = store.create("ada", "laptop")
    assert store.revoke(key_id)
    problem(api.client.get("/v1/jobs"), 401, "unauthorized")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_foreign_web_page_may_not_use_an_api_that_needs_no_key(api: Api, headers: dict[str, str]) -> None:
    problem(api.client.post("/v1/jobs", json=BODY, headers=headers), 403, "host_not_allowed")
    assert api.client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:8000", "127.0.0.1"])
def test_this_machines_own_names_may(api: Api, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert api.client.get("/v1/jobs", headers=headers).status_code == 200


def test_beyond_loopback_the_api_refuses_to_start_without_a_key(sqlite_url: str) -> None:
    env = os.environ | {"GRADLINE_HOST": "0.0.0.0", "GRADLINE_PORT": "0", "GRADLINE_DATABASE_URL": sqlite_url}
    command = [sys.executable, "-m", "gradline.api.main"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "GRADLINE_API_KEY" in ended.stderr
