"""Probes, metrics, workers and lanes."""

import time

import pytest

from gradline.db import migrations
from tests.factories import new_job
from tests.integration.api.checks import problem
from tests.integration.api.conftest import Api, StartApi
from tests.servers import RedisServer


def test_ready_shows_what_is_away_without_failing(api: Api) -> None:
    answer = api.client.get("/readyz")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert {name: check["is_ok"] for name, check in checks.items()} == {
        "database": True,
        "broker": False,
        "mlflow": False,
    }


def test_ready_shows_a_broker_that_answers(api_with_redis: Api) -> None:
    assert api_with_redis.client.get("/readyz").json()["checks"]["broker"]["is_ok"] is True


@pytest.mark.parametrize("path", ["/readyz", "/v1/lanes"])
def test_a_frozen_broker_holds_up_no_answer(start_api: StartApi, redis_server: RedisServer, path: str) -> None:
    api = start_api(redis_url=redis_server.url)
    with redis_server.frozen():
        began = time.monotonic()
        assert api.client.get(path).status_code == 200
        assert time.monotonic() - began < 1.5


def test_a_database_with_an_old_schema_is_not_ready_and_says_the_mend(api: Api) -> None:
    migrations.downgrade(api.services.database, "base")
    document = problem(api.client.get("/readyz"), 503, "not_ready")
    assert "gradline.db.migrations" in document["detail"]
    migrations.upgrade(api.services.database)
    assert api.client.get("/readyz").status_code == 200


def test_metrics_count_requests_by_route_and_jobs_by_lane(api: Api) -> None:
    job_id = api.submit()["id"]
    for _ in range(2):
        api.job(job_id)
    api.client.get("/nothing-at-all")
    lines = api.client.get("/metrics").text.splitlines()
    assert 'gradline_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 2.0' in lines
    assert 'gradline_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in lines
    assert 'gradline_jobs{lane="cpu",status="queued"} 1.0' in lines
    assert not any(job_id in line for line in lines)


def test_workers_show_what_they_run_and_whose_it_is_stays_private(api: Api) -> None:
    api.services.workers.beat(worker_id="cpu@test-1", hostname="h", pid=1, lane="cpu", device="CPU", n_slots=2)
    mine = api.submit()["id"]
    api.claim(mine)
    api.services.jobs.submit(new_job(owner="ada"))
    assert api.services.jobs.claim("cpu", "cpu@test-1", 1) is not None
    (worker,) = api.client.get("/v1/workers").json()["items"]
    assert (worker["id"], worker["device"], worker["n_slots"], worker["n_running"]) == ("cpu@test-1", "CPU", 2, 2)
    assert [job["id"] for job in worker["jobs"]] == [mine]


def test_lanes_show_what_waits(api_with_redis: Api) -> None:
    api_with_redis.submit(lane="gpu")
    lanes = {lane["lane"]: lane for lane in api_with_redis.client.get("/v1/lanes").json()["items"]}
    assert set(lanes) == {"cpu", "gpu"}
    assert (lanes["gpu"]["n_queued"], lanes["cpu"]["n_queued"]) == (1, 0)
    assert lanes["gpu"]["oldest_wait_s"] >= 0
    assert lanes["cpu"]["n_waiting_rings"] == 0


def test_lanes_answer_without_redis(api: Api) -> None:
    assert {lane["n_waiting_rings"] for lane in api.client.get("/v1/lanes").json()["items"]} == {None}
