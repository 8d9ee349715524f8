"""A job's end is written beside the next job; whoever dies in between, nothing is lost and nothing counts twice."""

import os
import signal
from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
import redis

from gradline.db import migrations
from gradline.db.jobs import JobStore
from gradline.db.records import Job
from gradline.db.session import Database
from gradline.progress import END, stream_key
from gradline.status import EventKind, JobStatus
from gradline.worker.endings import Endings
from gradline.worker.runner import Runner
from tests.integration.store.steps import claimed, kinds, reread, submitted
from tests.integration.worker.conftest import WORKER, Site
from tests.oracle import check_history
from tests.servers import PostgreSQLServer
from tests.waiting import wait_until

SHORT: dict[str, Any] = {
    "data": {"source": "blobs"},
    "stop": {"max_steps": 5},
    "report": {"plots": []},
    "checkpoint": {"every_s": 3600},  # it would wait at the gate
}


class Gate:
    """While it is closed, no file becomes durable, so that no job has its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._is_open, fsync = Event(), os.fsync
        self._is_open.set()

        def wait_and_fsync(descriptor: int) -> None:
            self._is_open.wait()
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", wait_and_fsync)

    def close(self) -> None:
        self._is_open.clear()

    def open(self) -> None:
        self._is_open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open()  # threads that wait would keep the test's process


def ended_unwritten(runner: Runner, job_store: JobStore, **overrides: Any) -> Job:
    """A job that has trained and whose end waits for its files."""
    job = submitted(job_store, spec=SHORT, **overrides)
    assert runner.run_one("cpu")
    assert reread(job_store, job).status is JobStatus.RUNNING
    return job


def test_the_next_job_trains_while_the_end_of_the_one_before_waits_for_the_disk(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore
) -> None:
    runner = make_runner()
    gate.close()
    first = ended_unwritten(runner, job_store)
    second = submitted(job_store, spec=SHORT)
    beside = Thread(target=runner.run_one, args=["cpu"])
    beside.start()
    wait_until(lambda: reread(job_store, second).status is JobStatus.RUNNING)
    assert reread(job_store, first).status is JobStatus.RUNNING
    gate.open()
    beside.join()
    runner.drain()
    assert [reread(job_store, job).status for job in (first, second)] == [JobStatus.SUCCEEDED] * 2
    assert check_history(job_store, [first.id, second.id]) == []


def test_who_watches_a_job_is_told_of_its_end_once_it_is_written(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore, redis_url: str
) -> None:
    runner = make_runner()
    gate.close()
    job = ended_unwritten(runner, job_store)
    with redis.Redis.from_url(redis_url) as client:
        assert not any(END.encode() in fields for _, fields in client.xrange(stream_key(job.id)))
        gate.open()
        runner.drain()
        assert END.encode() in client.xrevrange(stream_key(job.id), count=1)[0][1]


def test_a_job_taken_away_before_its_end_was_written_ends_once_by_another_attempt(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore
) -> None:
    runner = make_runner()
    gate.close()
    job = ended_unwritten(runner, job_store)
    job_store.rescue_of(WORKER)
    gate.open()
    runner.drain()
    assert reread(job_store, job).status is JobStatus.QUEUED
    runner.run_one("cpu")
    runner.drain()
    assert (reread(job_store, job).status, reread(job_store, job).attempt) == (JobStatus.SUCCEEDED, 2)
    assert kinds(job_store, job).count(EventKind.ENDED) == 1
    assert check_history(job_store, [job.id]) == []


def test_the_lease_is_held_and_a_cancel_heard_until_the_end_is_written(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore
) -> None:
    runner = make_runner(heartbeat_s=0.02)
    gate.close()
    job = ended_unwritten(runner, job_store)
    lease = reread(job_store, job).lease_expires_at
    assert lease is not None
    wait_until(lambda: (now := reread(job_store, job).lease_expires_at) and now > lease)
    job_store.cancel(job.id, job.owner)
    wait_until(lambda: reread(job_store, job).status is JobStatus.CANCELLED)
    assert check_history(job_store, [job.id]) == []


def test_a_job_that_went_down_with_a_child_runs_beside_no_unwritten_end(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore
) -> None:
    runner = make_runner()
    suspect = submitted(job_store, spec=SHORT, priority=9)
    claimed(job_store, "dead", 1)
    job_store.rescue_of("dead")
    gate.close()
    beside = Thread(target=runner.run_one, args=["cpu"])
    beside.start()
    wait_until(lambda: reread(job_store, suspect).status is JobStatus.RUNNING)
    assert beside.is_alive()  # its own end too is waited for
    gate.open()
    beside.join()
    assert reread(job_store, suspect).status is JobStatus.SUCCEEDED


def test_a_job_that_went_down_with_a_child_begins_only_once_the_end_of_the_one_before_is_written(
    gate: Gate, make_runner: Callable[..., Runner], job_store: JobStore
) -> None:
    suspect = submitted(job_store, spec=SHORT)
    claimed(job_store, "dead", 1)
    job_store.rescue_of("dead")
    runner = make_runner()
    gate.close()
    bystander = ended_unwritten(runner, job_store, priority=9)
    beside = Thread(target=runner.run_one, args=["cpu"])
    beside.start()
    wait_until(lambda: reread(job_store, suspect).status is JobStatus.RUNNING)
    job_store.cancel(suspect.id, suspect.owner)  # heard long after a job that waits for nobody would have trained
    wait_until(lambda: reread(job_store, suspect).status is JobStatus.CANCELLED)
    assert EventKind.METRIC not in kinds(job_store, suspect)
    assert reread(job_store, bystander).status is JobStatus.RUNNING
    gate.open()
    beside.join()
    assert (reread(job_store, bystander).status, reread(job_store, bystander).n_crashes) == (JobStatus.SUCCEEDED, 0)
    assert check_history(job_store, [suspect.id, bystander.id]) == []


def test_an_end_that_fails_takes_nothing_from_the_next() -> None:
    endings, written = Endings(), Event()

    def fail() -> None:
        raise RuntimeError("this end cannot be written")

    endings.write_later(fail)
    endings.write_later(written.set)
    endings.wait()
    assert written.is_set()


def test_one_who_waits_for_an_end_may_be_called_off() -> None:
    endings, may_end = Endings(), Event()
    endings.write_later(lambda: may_end.wait() and None)

    def call_off() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        endings.wait(call_off)
    may_end.set()
    endings.wait()


# --- real workers, on a database where each end takes longer than a child takes to exit

SLOW_END = """
CREATE FUNCTION sleep() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$ LANGUAGE plpgsql;
CREATE TRIGGER slow_end BEFORE UPDATE ON jobs FOR EACH ROW WHEN (NEW.status = 'succeeded') EXECUTE FUNCTION sleep();
"""


@pytest.fixture
def slow_database(postgresql_server: PostgreSQLServer) -> Iterator[Database]:
    database = Database(postgresql_server.url(postgresql_server.create_database()))
    migrations.upgrade(database)
    with database.write() as connection:
        connection.exec_driver_sql(SLOW_END)
    yield database
    database.close()


@pytest.fixture
def make_slow_site(make_site: Callable[..., Site], slow_database: Database) -> Callable[..., Site]:
    url = slow_database.url.render_as_string(hide_password=False)
    return lambda **settings: make_site(database_url=url, **settings)


def wait_until_an_end_is_being_written(database: Database) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"

    def is_sleeping() -> bool:
        with database.read() as connection:
            return bool(connection.exec_driver_sql(query).scalar())

    wait_until(is_sleeping, 60)


def test_a_child_that_is_replaced_leaves_no_end_unwritten(make_slow_site: Callable[..., Site]) -> None:
    site = make_slow_site(child_jobs_max=1)
    site.start_worker()
    job = site.wait_for_end(site.submit(SHORT))
    assert (job.status, job.attempt, job.n_crashes) == (JobStatus.SUCCEEDED, 1, 0)


def test_a_worker_told_to_stop_leaves_no_end_unwritten(
    make_slow_site: Callable[..., Site], slow_database: Database
) -> None:
    site = make_slow_site()
    worker = site.start_worker()
    job = site.submit(SHORT)
    wait_until_an_end_is_being_written(slow_database)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=30) == 0
    ended = site.now(job)
    assert (ended.status, ended.attempt, ended.n_crashes) == (JobStatus.SUCCEEDED, 1, 0)


def test_a_job_whose_child_is_killed_while_its_end_is_written_ends_once(
    make_slow_site: Callable[..., Site], slow_database: Database
) -> None:
    site = make_slow_site(lease_s=3, heartbeat_s=1)
    worker = site.start_worker()
    job = site.submit(SHORT)
    wait_until_an_end_is_being_written(slow_database)
    worker.children()[0].kill()

    def rescued_and_ended() -> bool:
        for lapsed in site.jobs.rescue_lapsed():
            site.doorbell.ring(lapsed.lane)
        return site.now(job).status.is_terminal

    wait_until(rescued_and_ended, 60)
    ended = site.now(job)
    assert (ended.status, ended.attempt, ended.n_crashes) == (JobStatus.SUCCEEDED, 2, 1)
    assert kinds(site.jobs, job).count(EventKind.ENDED) == 1
    assert check_history(site.jobs, [job.id]) == []
