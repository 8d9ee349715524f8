"""One heartbeat thread serves every job of a child; none inherits anything from the one before it."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from gradline.db.jobs import JobStore
from gradline.db.records import Job
from gradline.errors import CancelRequested, DeadlineExceeded, LeaseLost
from gradline.settings import Settings
from gradline.worker.heartbeat import Heartbeat
from gradline.worker.stopping import StopSignal
from tests.integration.store.steps import claimed, fence, reread, running
from tests.waiting import wait_until

QUICK: dict[str, Any] = {"watch_s": 0.02, "heartbeat_s": 0.02}
MakeHeartbeat = Callable[..., Heartbeat]


@pytest.fixture
def make_heartbeat(job_store: JobStore) -> MakeHeartbeat:
    return lambda **settings: Heartbeat(job_store, Settings(**QUICK | settings))


def nothing() -> None:
    """A job that has told no progress yet."""


def lease_of(job_store: JobStore, job: Job) -> datetime:
    found = reread(job_store, job).lease_expires_at
    assert found is not None
    return found


def reason_of(stop: StopSignal) -> object:
    return wait_until(lambda: stop.reason, what="a reason to stop")


def test_every_job_in_turn_is_renewed_by_the_same_thread(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat = make_heartbeat()
    threads = set(threading.enumerate())
    for _ in range(5):
        job = running(job_store)
        before = lease_of(job_store, job)
        with heartbeat.over(job, StopSignal(), lambda: {"step": 7}):
            wait_until(lambda job=job, before=before: lease_of(job_store, job) > before)
            assert set(threading.enumerate()) <= threads
        assert reread(job_store, job).progress == {"step": 7}


def test_a_job_is_left_alone_once_its_block_has_ended(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat = make_heartbeat()
    first = running(job_store)
    with heartbeat.over(first, StopSignal(), nothing):
        pass
    last = lease_of(job_store, first)
    second = running(job_store)
    start = lease_of(job_store, second)
    with heartbeat.over(second, StopSignal(), nothing):
        wait_until(lambda: lease_of(job_store, second) > start)
    assert lease_of(job_store, first) == last


def test_a_lost_lease_stops_its_own_job_and_no_later_one(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat, lost, kept = make_heartbeat(), StopSignal(), StopSignal()
    job = running(job_store)
    with heartbeat.over(job, lost, nothing):
        job_store.rescue_of("w1", 1)
        assert isinstance(reason_of(lost), LeaseLost)
    again = claimed(job_store)
    before = lease_of(job_store, again)
    with heartbeat.over(again, kept, nothing):
        wait_until(lambda: lease_of(job_store, again) > before)
    assert kept.reason is None


def test_a_cancel_is_heard_by_the_job_it_is_meant_for(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat = make_heartbeat(heartbeat_s=10.0)
    first, second = running(job_store), running(job_store)
    unharmed, cancelled = StopSignal(), StopSignal()
    job_store.cancel(second.id, "ada")
    with heartbeat.over(first, unharmed, nothing):
        pass
    with heartbeat.over(second, cancelled, nothing):
        assert isinstance(reason_of(cancelled), CancelRequested)
    assert unharmed.reason is None


def test_the_deadline_of_each_job_is_its_own(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat = make_heartbeat(watch_s=600.0)  # but for a deadline, the thread would sleep for as long
    for deadline_s in (0.2, 0.1):
        unlimited, limited = StopSignal(), StopSignal()
        with heartbeat.over(running(job_store), unlimited, nothing):
            pass
        with heartbeat.over(running(job_store, deadline_s=deadline_s), limited, nothing):
            reason = reason_of(limited)
        assert isinstance(reason, DeadlineExceeded)
        assert f"deadline_s = {deadline_s}" in reason.message
        assert unlimited.reason is None


def test_a_beat_that_fails_does_not_take_the_heartbeat_from_the_next_job(
    job_store: JobStore, make_heartbeat: MakeHeartbeat
) -> None:
    heartbeat, n_asked = make_heartbeat(), 0

    def broken() -> None:
        nonlocal n_asked
        n_asked += 1
        raise RuntimeError("no progress to tell")

    with heartbeat.over(running(job_store), StopSignal(), broken):
        wait_until(lambda: n_asked)
    job = running(job_store)
    before = lease_of(job_store, job)
    with heartbeat.over(job, StopSignal(), nothing):
        wait_until(lambda: lease_of(job_store, job) > before)


def test_a_fence_that_ended_is_not_revived(job_store: JobStore, make_heartbeat: MakeHeartbeat) -> None:
    heartbeat, stop = make_heartbeat(), StopSignal()
    job = running(job_store)
    with heartbeat.over(job, stop, nothing):
        job_store.release(fence(job))
        assert isinstance(reason_of(stop), LeaseLost)
    assert reread(job_store, job).lease_expires_at is None
