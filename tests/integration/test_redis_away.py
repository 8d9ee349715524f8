"""Rings and ticks with Redis well, gone and frozen: nothing fails, and nobody waits long."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from gradline.lanes import SILENCE_S, Doorbell
from gradline.progress import EXPIRY_S, MAX_TICKS, TickPublisher, stream_key
from tests.servers import RedisServer
from tests.waiting import wait_until

BOUND_RING_S = 15.0
"""Kombu's own bound on this side: connect 3 s, an answer 10 s."""
BOUND_TICK_S = 3.0


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that may be stopped or frozen without hurting another test."""
    with tempfile.TemporaryDirectory(prefix="gradline-redis-") as folder:
        server = RedisServer(Path(folder))
        yield server
        server.stop()


def test_a_ring_lies_in_the_lanes_list_until_it_is_taken(redis_url: str) -> None:
    bell = Doorbell(redis_url)
    assert bell.waiting("cpu") == 0
    assert bell.ring("cpu") is True
    assert bell.ring("cpu", times=3) is True
    assert bell.ring("gpu") is True
    assert (bell.waiting("cpu"), bell.waiting("gpu")) == (4, 1)
    with redis.Redis.from_url(redis_url) as client:
        message = json.loads(client.lindex("cpu", 0))
    assert "lane" in json.dumps(message)


def test_a_ring_without_redis_says_so_soon_and_a_later_one_is_heard(own_redis: RedisServer) -> None:
    bell = Doorbell(own_redis.url)
    own_redis.stop()
    with _within(BOUND_RING_S):
        assert bell.ring("cpu") is False
        assert bell.waiting("cpu") is None
    with _within(0.1):  # a Redis that has just failed is left alone: the next ring costs nothing
        assert bell.ring("cpu") is False
    own_redis.start()
    wait_until(lambda: bell.ring("cpu"), SILENCE_S + 5)
    assert bell.waiting("cpu") == 1


def test_a_ring_at_a_frozen_redis_says_so_within_its_bound(own_redis: RedisServer) -> None:
    bell = Doorbell(own_redis.url)
    assert bell.ring("cpu") is True
    with own_redis.frozen(), _within(BOUND_RING_S):
        assert bell.ring("cpu") is False
        assert bell.waiting("cpu") is None
    wait_until(lambda: bell.ring("cpu"), SILENCE_S + 5)


def test_ticks_lie_in_a_capped_stream_that_expires(redis_url: str) -> None:
    job_id = uuid4()
    publisher = TickPublisher(redis_url)
    for step in range(MAX_TICKS + 300):
        publisher.publish(job_id, {"step": step})
    publisher.close()
    with redis.Redis.from_url(redis_url) as client:
        entries = client.xrange(stream_key(job_id))
        assert MAX_TICKS <= len(entries) < MAX_TICKS + 200
        assert json.loads(entries[-1][1][b"data"]) == {"step": MAX_TICKS + 299}
        assert 0 < client.ttl(stream_key(job_id)) <= EXPIRY_S


def test_a_tick_is_due_at_most_twenty_times_a_second(redis_url: str) -> None:
    publisher = TickPublisher(redis_url)
    assert publisher.is_due()
    publisher.publish(uuid4(), {"step": 1})
    before = time.monotonic()
    while not publisher.is_due():
        pass
    assert 0.02 < time.monotonic() - before < 1.0
    publisher.close()


@pytest.mark.parametrize("trouble", ["gone", "frozen"])
def test_ticks_without_redis_cost_one_short_wait_and_then_nothing(own_redis: RedisServer, trouble: str) -> None:
    publisher = TickPublisher(own_redis.url)
    publisher.publish(uuid4(), {"step": 0})
    with _trouble(own_redis, trouble):
        with _within(BOUND_TICK_S):
            publisher.publish(uuid4(), {"step": 1})
        assert not publisher.is_due()
        with _within(0.5):  # what a training loop does until Redis is asked again: ask whether a tick is due
            assert not any(publisher.is_due() for _ in range(100_000))
            publisher.tell_of_end(uuid4())
    publisher.publish(uuid4(), {"step": 2})
    publisher.close()


@contextmanager
def _trouble(server: RedisServer, kind: str) -> Iterator[None]:
    if kind == "frozen":
        with server.frozen():
            yield
    else:
        server.stop()
        yield
        server.start()


@contextmanager
def _within(bound_s: float) -> Iterator[None]:
    before = time.monotonic()
    yield
    assert time.monotonic() - before < bound_s
