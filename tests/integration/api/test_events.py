"""The event stream of a job."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx2
import pytest

from gradline.api import watch
from gradline.db.records import Artifact
from gradline.progress import TickPublisher
from gradline.status import JobStatus
from tests.factories import metric
from tests.integration.api.conftest import Api, StartApi
from tests.servers import RedisServer
from tests.waiting import wait_until

PNG = Artifact("loss.png", "plot", "image/png", "a" * 64, 10)


def events(api: Api, job_id: str, **request: Any) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """(event, id, data) of each event on the wire, as they come."""
    with api.client.stream("GET", f"/v1/jobs/{job_id}/events", **request) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "data" in event:
                yield event["event"], event.get("id"), json.loads(event["data"])
                event = {}


def end(api: Api, job_id: str, n_points: int = 2) -> None:
    """Run the job to its end as a worker would."""
    _, fence = api.claim(job_id)
    api.services.jobs.record(fence, [metric(step) for step in range(n_points)])
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={"outcome": "converged"})


def test_the_stream_of_an_ended_job_replays_everything_in_order_and_closes(api_on_each: Api) -> None:
    job_id = api_on_each.submit()["id"]
    end(api_on_each, job_id)
    found = list(events(api_on_each, job_id))
    assert [kind for kind, _, _ in found] == ["submitted", "started", "metric", "metric", "ended"]
    assert [(event_id, data["seq"]) for _, event_id, data in found] == [(str(n), n) for n in range(1, 6)]
    assert all(data["kind"] == kind for kind, _, data in found)
    assert found[2][2]["data"] == {"step": 0, "values": {"loss": 0.5}}
    assert found[4][2]["data"]["status"] == "succeeded"


def test_many_events_come_whole_over_several_pages(api: Api) -> None:
    job_id = api.submit()["id"]
    end(api, job_id, n_points=1300)
    assert [data["seq"] for _, _, data in events(api, job_id)] == list(range(1, 1304))


@pytest.mark.parametrize(
    "request_", [{"headers": {"Last-Event-ID": "3"}}, {"params": {"after": 3}}], ids=["header", "query"]
)
def test_a_reader_that_comes_back_gets_what_it_has_not_seen(api: Api, request_: dict[str, Any]) -> None:
    job_id = api.submit()["id"]
    end(api, job_id)
    assert [data["seq"] for _, _, data in events(api, job_id, **request_)] == [4, 5]


def test_a_reader_that_has_seen_everything_is_told_not_to_come_back(api: Api) -> None:
    job_id = api.submit()["id"]
    end(api, job_id)
    answer = api.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "5"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_nonsense_last_event_id_replays_from_the_start(api: Api) -> None:
    job_id = api.submit()["id"]
    end(api, job_id)
    assert len(list(events(api, job_id, headers={"Last-Event-ID": "x1"}))) == 5


def test_events_arrive_while_the_job_runs_without_redis(api_on_each: Api) -> None:
    job_id = api_on_each.submit()["id"]
    stream = events(api_on_each, job_id)
    assert next(stream)[0] == "submitted"
    _, fence = api_on_each.claim(job_id)
    assert next(stream)[0] == "started"
    began = time.monotonic()
    api_on_each.services.jobs.record(fence, [metric(0)])
    assert next(stream)[0] == "metric"
    assert time.monotonic() - began < 2.0
    api_on_each.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={})
    assert [kind for kind, _, _ in stream] == ["ended"]


def test_the_stream_stays_open_for_plots_that_are_still_to_be_drawn(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={}, drawings=["loss.png", "accuracy.png"])
    stream = events(api, job_id)
    assert [next(stream)[0] for _ in range(3)] == ["submitted", "started", "ended"]
    claimed = api.services.drawings.claim()
    assert claimed is not None
    api.services.drawings.record(claimed[1], [PNG], is_last=False)
    assert next(stream)[2]["data"]["name"] == "loss.png"
    api.services.drawings.record(claimed[1], [], is_last=True)
    assert list(stream) == []


def test_ticks_arrive_between_durable_events_and_carry_no_id(api_with_redis: Api, redis_url: str) -> None:
    job_id = api_with_redis.submit()["id"]
    stream = events(api_with_redis, job_id)
    assert next(stream)[0] == "submitted"
    _, fence = api_with_redis.claim(job_id)
    assert next(stream)[0] == "started"
    publisher = TickPublisher(redis_url)
    publisher.publish(UUID(job_id), {"attempt": 1, "step": 7, "loss": 0.5})
    kind, event_id, document = next(stream)
    assert (kind, event_id, document["seq"], document["attempt"]) == ("tick", None, None, 1)
    assert document["data"]["step"] == 7
    publisher.publish(UUID(job_id), {"attempt": 1, "step": 8, "loss": 0.4})
    assert next(stream)[2]["data"]["step"] == 8
    publisher.close()
    api_with_redis.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={})
    assert [kind for kind, _, _ in stream] == ["ended"]


def test_an_end_that_redis_tells_of_is_looked_for_at_once(
    start_api: StartApi, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 60.0)
    api = start_api(redis_url=redis_url)
    job_id = api.submit()["id"]
    stream = events(api, job_id)
    assert next(stream)[0] == "submitted"
    _, fence = api.claim(job_id)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={})
    publisher = TickPublisher(redis_url)
    publisher.tell_of_end(UUID(job_id))
    publisher.close()
    began = time.monotonic()
    assert [kind for kind, _, _ in stream] == ["started", "ended"], "and the word itself is no tick"
    assert time.monotonic() - began < 30.0


def test_a_late_reader_begins_with_the_newest_tick(api_with_redis: Api, redis_url: str) -> None:
    job_id = api_with_redis.submit()["id"]
    api_with_redis.claim(job_id)
    publisher = TickPublisher(redis_url)
    for step in range(5):
        publisher.publish(UUID(job_id), {"attempt": 1, "step": step})
    publisher.close()
    stream = events(api_with_redis, job_id)
    ticks = (document["data"]["step"] for kind, _, document in stream if kind == "tick")
    assert next(ticks) == 4


def test_streams_go_on_while_redis_is_frozen(start_api: StartApi, redis_server: RedisServer) -> None:
    api = start_api(redis_url=redis_server.url)
    job_id = api.submit()["id"]
    stream = events(api, job_id)
    assert next(stream)[0] == "submitted"
    with redis_server.frozen():
        api.claim(job_id)
        began = time.monotonic()
        assert next(stream)[0] == "started"
        assert time.monotonic() - began < 2.0


def test_deleting_a_job_ends_its_streams(api: Api) -> None:
    job_id = api.submit()["id"]
    _, fence = api.claim(job_id)
    api.services.jobs.finish(fence, JobStatus.SUCCEEDED, result={}, drawings=["loss.png"])
    stream = events(api, job_id)
    assert [next(stream)[0] for _ in range(3)] == ["submitted", "started", "ended"]
    api.services.jobs.delete(UUID(job_id), "local")
    assert list(stream) == []


def test_stopping_the_api_ends_open_streams_at_once(api: Api) -> None:
    job_id = api.submit()["id"]
    stream = events(api, job_id)
    assert next(stream)[0] == "submitted"
    began = time.monotonic()
    api.server.should_exit = True
    assert list(stream) == []
    assert time.monotonic() - began < 3.0


def test_hundreds_of_idle_streams_hold_up_nobody(api: Api) -> None:
    job_id = api.submit()["id"]
    n_streams = 300
    limits = httpx2.Limits(max_connections=n_streams)
    ready = threading.Semaphore(0)

    def read(client: httpx2.Client) -> str:
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
            last = ""
            for line in answer.iter_lines():
                if line == "event: submitted":
                    ready.release()
                last = line if line.startswith("event") else last
            return last

    with (
        httpx2.Client(base_url=api.url, trust_env=False, limits=limits, timeout=60) as client,
        ThreadPoolExecutor(n_streams) as pool,
    ):
        readers = [pool.submit(read, client) for _ in range(n_streams)]
        wait_until(lambda: all(ready.acquire(timeout=30) for _ in range(n_streams)), timeout_s=60)
        began = time.monotonic()
        for _ in range(10):
            assert api.client.get(f"/v1/jobs/{job_id}").status_code == 200
        assert time.monotonic() - began < 5.0
        api.client.post(f"/v1/jobs/{job_id}/cancel")
        assert {reader.result(timeout=30) for reader in readers} == {"event: ended"}
