"""Submitting a job."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from gradline.db.records import Fence
from gradline.status import JobStatus
from tests.integration.api.checks import fields, problem
from tests.integration.api.conftest import BODY, Api, StartApi
from tests.servers import RedisServer
from tests.waiting import wait_until

SGD = {"name": "sgd", "learning_rate": 0.01}


def test_a_submitted_job_is_stored_with_every_default_filled_in(api_on_each: Api) -> None:
    answer = api_on_each.client.post("/v1/jobs", json=BODY | {"labels": {"team": "a"}, "name": "first"})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (job["status"], job["lane"], job["attempt"], job["priority"]) == ("queued", "cpu", 0, 5)
    assert job["spec"]["preprocess"]["missing"] == "error"
    assert job["created_at"].endswith(("Z", "+00:00"))
    stored = api_on_each.job(job["id"])
    assert stored["queue_position"] == 1
    assert stored | {"queue_position": None} == job


def test_the_same_key_and_body_find_the_same_job(api_on_each: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = api_on_each.client.post("/v1/jobs", json=BODY, headers=headers)
    again = api_on_each.client.post("/v1/jobs", json=dict(reversed(BODY.items())), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert len(api_on_each.client.get("/v1/jobs").json()["items"]) == 1


def test_the_same_key_with_another_body_is_refused_and_stores_nothing(api_on_each: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = api_on_each.client.post("/v1/jobs", json=BODY, headers=headers).json()
    answer = api_on_each.client.post("/v1/jobs", json=BODY | {"name": "other"}, headers=headers)
    assert first["id"] in problem(answer, 409, "idempotency_key_reused")["detail"]
    assert len(api_on_each.client.get("/v1/jobs").json()["items"]) == 1


def test_twenty_at_once_under_one_key_make_one_job(api: Api) -> None:
    with ThreadPoolExecutor(20) as pool:
        sent = [
            pool.submit(api.client.post, "/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"}) for _ in range(20)
        ]
    assert len({future.result().json()["id"] for future in sent}) == 1


def test_every_fault_of_a_body_is_named_as_the_caller_spells_it(api: Api) -> None:
    spec = {
        "solver": SGD | {"momentum": 2, "nonsense": 1},
        "stop": {"max_steps": 0},
        "report": {"plots": ["loss", "x"]},
    }
    body = {"kind": "logistic-regression", "spec": spec, "priority": True, "surprise": 1}
    assert fields(api.client.post("/v1/jobs", json=body)) == {
        "priority": True,
        "surprise": 1,
        "spec.solver.momentum": 2,
        "spec.solver.nonsense": 1,
        "spec.stop.max_steps": 0,
        "spec.report.plots[1]": "x",
    }
    assert api.client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"kind": None}, "kind"),
        ({"spec": None}, "spec"),
        ({"spec": {"seed": "10"}}, "spec.seed"),
        ({"spec": {"solver": SGD | {"learning_rate": True}}}, "spec.solver.learning_rate"),
        ({"spec": {"solver": {"name": "magic"}}}, "spec.solver.name"),
        ({"spec": {"solver": {"learning_rate": 0.1}}}, "spec.solver.name"),
        ({"spec": {"data": {"source": "cloud"}}}, "spec.data.source"),
        ({"labels": {"team": 1}}, "labels.team"),
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"lane": "fast"}, "lane"),
        ({"lane": "cpu", "spec": {"device": "cuda"}}, "lane"),
        ({"priority": 10}, "priority"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"deadline_s": -1}, "deadline_s"),
        ({"name": "nul\0"}, "name"),
        ({"spec": {"data": {"source": "builtin", "name": "\0"}}}, "spec.data.name"),
    ],
)
def test_one_bad_field_is_the_one_that_is_named(api: Api, overrides: dict[str, Any], field: str) -> None:
    assert list(fields(api.client.post("/v1/jobs", json=BODY | overrides))) == [field]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1,", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
    ids=["empty", "open", "list", "nan", "twice", "no utf-8", "deep", "huge number"],
)
def test_what_is_no_json_is_refused_as_such(api: Api, text: bytes) -> None:
    answer = api.client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
    problem(answer, 400, "malformed_json")


@pytest.mark.parametrize("text", [b"[]", b"null", b"1", b'"\\ud800"'])
def test_json_that_is_no_object_is_refused(api: Api, text: bytes) -> None:
    answer = api.client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
    problem(answer, 422, "invalid_input")
    assert list(fields(answer)) == ["body"]


def test_half_a_surrogate_pair_is_refused_and_named(api: Api) -> None:
    text = b'{"kind": "logistic-regression", "spec": {}, "name": "\\ud800"}'
    answer = api.client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
    assert list(fields(answer)) == ["name"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_not_declared_json_is_refused(api: Api, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = api.client.post("/v1/jobs", content=b"{}", headers=headers)
    problem(answer, 415, "unsupported_media_type")


def test_a_body_over_the_limit_is_refused_whether_its_length_is_declared_or_not(start_api: StartApi) -> None:
    api = start_api(body_max_bytes=1000)
    headers = {"Content-Type": "application/json"}
    declared = api.client.post("/v1/jobs", content=b" " * 1001, headers=headers)
    assert "1000 bytes" in problem(declared, 413, "too_large")["detail"]
    chunked = api.client.post("/v1/jobs", content=iter([b" " * 600, b" " * 600]), headers=headers)
    problem(chunked, 413, "too_large")


def test_a_job_for_a_gpu_goes_to_its_lane(api: Api) -> None:
    assert api.submit(spec={"device": "cuda"})["lane"] == "gpu"
    assert api.submit(lane="gpu")["lane"] == "gpu"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_cannot_be_kept_is_refused(api: Api, key: str) -> None:
    answer = api.client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": key})
    assert list(fields(answer)) == ["Idempotency-Key"]


def test_each_new_job_rings_its_lane_once_and_a_repeat_does_not(api_with_redis: Api, redis_url: str) -> None:
    for _ in range(2):
        api_with_redis.client.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    api_with_redis.submit()
    api_with_redis.submit(lane="gpu")
    with redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: client.llen("gpu") == 1)
        wait_until(lambda: client.llen("cpu") == 2)


def test_submitting_does_not_wait_for_a_broker_that_answers_nothing(
    start_api: StartApi, redis_server: RedisServer
) -> None:
    api = start_api(redis_url=redis_server.url)
    with redis_server.frozen():
        began = time.monotonic()
        for _ in range(5):
            api.submit()
        assert time.monotonic() - began < 2.0


def test_prefer_wait_answers_200_with_the_result_once_the_job_has_ended(api: Api) -> None:
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(api.client.post, "/v1/jobs", json=BODY, headers={"Prefer": "respond-async, wait=30"})
        job = wait_until(lambda: api.services.jobs.claim("cpu", "w", 1))
        api.services.jobs.finish(Fence(job.id, 1), JobStatus.SUCCEEDED, result={"outcome": "converged"})
        answer = sent.result(timeout=10)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=30"
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["result"] == {"outcome": "converged"}


def test_prefer_wait_answers_202_where_the_job_is_not_done_in_time(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.json()["status"] == "queued"
