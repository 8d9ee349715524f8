"""The life of jobs under anything that may happen, against a model in memory: several workers, zombies, lapsed leases,
crashes, cancel races, lost answers. The same machine drives SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, update

from gradline.db.jobs import MAX_CRASHES, JobStore
from gradline.db.models import JobRow
from gradline.db.records import Fence, Job
from gradline.db.session import Database
from gradline.db.types import db_now
from gradline.errors import Conflict, DependencyDown, LeaseLost
from gradline.status import JobStatus
from tests.factories import artifact, checkpoint, metric, new_job
from tests.faults import lost_replies
from tests.oracle import check_history

OWNERS = ("ada", "bob")
WORKERS = ("w1", "w2", "w3")


@dataclass
class Expected:
    """What the model knows of one job."""

    id: UUID
    owner: str
    priority: int
    number: int
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    n_errors: int = 0
    n_crashes: int = 0
    worker: tuple[str, int] | None = None
    has_lapsed: bool = False
    is_cancel_requested: bool = False
    steps: set[int] = field(default_factory=set)

    def holds(self, fence: Fence) -> bool:
        return self.status is JobStatus.RUNNING and self.attempt == fence.attempt

    def leave(self, status: JobStatus) -> None:
        self.status, self.worker, self.has_lapsed = status, None, False


recent = st.integers(1, 3)
"""Counts fences from the most useful one."""


def has_fences(jobs: "Jobs") -> bool:
    return bool(jobs.fences)


def has_room(jobs: "Jobs") -> bool:
    """Few jobs, so that much happens to each."""
    return len(jobs.expected) < 6


class Jobs(RuleBasedStateMachine):
    """Rules are what callers, workers and conductors may do at any moment."""

    database: ClassVar[Database]

    @initialize()
    def begin(self) -> None:
        with self.database.write() as connection:
            connection.execute(delete(JobRow))
        self.store = JobStore(self.database)
        self.expected: dict[UUID, Expected] = {}
        self.fences: list[Fence] = []
        for owner in ("ada", "bob", "ada"):
            self.submit(owner, priority=5, answer_is_lost=False)
        for worker in WORKERS[:2]:
            self.claim(worker, pid=1, answer_is_lost=False)

    # --- callers ----------------------------------------------------------------------------------------------------

    @precondition(has_room)
    @rule(owner=st.sampled_from(OWNERS), priority=st.sampled_from([1, 5]), answer_is_lost=st.booleans())
    def submit(self, owner: str, priority: int, answer_is_lost: bool) -> None:
        with self._answers(answer_is_lost):
            job, is_new = self.store.submit(new_job(owner=owner, priority=priority, max_attempts=2))
        assert is_new
        self.expected[job.id] = Expected(job.id, owner, priority, len(self.expected))

    @rule(number=st.integers(0, 9))
    def cancel(self, number: int) -> None:
        job = list(self._all())[number % len(self.expected)]
        if job.status in {JobStatus.SUCCEEDED, JobStatus.FAILED}:
            with pytest.raises(Conflict):
                self.store.cancel(job.id, job.owner)
            return
        self.store.cancel(job.id, job.owner)
        if job.status is not JobStatus.CANCELLED:
            job.is_cancel_requested = True
        if job.status is JobStatus.QUEUED:
            job.leave(JobStatus.CANCELLED)

    # --- workers ----------------------------------------------------------------------------------------------------

    @rule(worker=st.sampled_from(WORKERS), pid=st.integers(1, 2), answer_is_lost=st.booleans())
    def claim(self, worker: str, pid: int, answer_is_lost: bool) -> None:
        """A ring was heard, perhaps one too many: the claim takes the best job or nothing."""
        best = self._best()
        with self._answers(answer_is_lost and best is not None):
            job = self.store.claim("cpu", worker, pid)
        if best is None:
            assert job is None
            return
        assert job is not None
        assert job.id == best.id
        best.status, best.worker = JobStatus.RUNNING, (worker, pid)
        best.attempt += 1
        assert job.attempt == best.attempt
        self.fences.append(Fence(job.id, job.attempt))

    @precondition(has_fences)
    @rule(back=recent)
    def renew(self, back: int) -> None:
        fence = self._fence(back)
        asked = self._fenced(fence, lambda: self.store.renew(fence))
        if asked is not None:
            job = self.expected[fence.job_id]
            assert asked is job.is_cancel_requested
            job.has_lapsed = False

    @precondition(has_fences)
    @rule(back=recent, step=st.integers(0, 2), saves=st.booleans())
    def record(self, back: int, step: int, saves: bool) -> None:
        fence = self._fence(back)
        done = self._fenced(
            fence,
            lambda: self.store.record(
                fence, [metric(step)], [artifact(f"image-{step}")], checkpoint(step) if saves else None
            ),
        )
        if done is not None:
            self.expected[fence.job_id].steps.add(step)

    @precondition(has_fences)
    @rule(back=recent)
    def release(self, back: int) -> None:
        fence = self._fence(back)
        if self._fenced(fence, lambda: self.store.release(fence)) is not None:
            job = self.expected[fence.job_id]
            job.leave(JobStatus.CANCELLED if job.is_cancel_requested else JobStatus.QUEUED)

    @precondition(has_fences)
    @rule(back=recent)
    def retry(self, back: int) -> None:
        fence = self._fence(back)
        status = self._fenced(fence, lambda: self.store.retry(fence, {"code": "transient"}, backoff_s=0.0))
        if status is not None:
            job = self.expected[fence.job_id]
            job.n_errors += 1
            fails = JobStatus.FAILED if job.n_errors >= 2 else JobStatus.QUEUED
            job.leave(JobStatus.CANCELLED if job.is_cancel_requested else fails)
            assert status is job.status

    @precondition(has_fences)
    @rule(
        back=recent,
        status=st.sampled_from([JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED]),
        answer_is_lost=st.booleans(),
    )
    def finish(self, back: int, status: JobStatus, answer_is_lost: bool) -> None:
        fence = self._fence(back)
        holds = self.expected[fence.job_id].holds(fence)

        def finish() -> None:
            with self._answers(answer_is_lost and holds):
                self.store.finish(fence, status, events=[metric(9)], drawings=["loss"])

        if self._fenced(fence, finish) is not None:
            self.expected[fence.job_id].leave(status)

    @precondition(has_fences)
    @rule(back=recent)
    def fail_to_reach_the_database(self, back: int) -> None:
        """A write whose commit did not happen changes nothing, and can be sent again."""
        fence = self._fence(back)
        if self.expected[fence.job_id].holds(fence):
            with lost_replies(self.database, before=1.0), pytest.raises(DependencyDown):
                self.store.finish(fence, JobStatus.SUCCEEDED)

    @precondition(has_fences)
    @rule(back=recent)
    def die(self, back: int) -> None:
        """The child is killed: nobody will ever write under this fence again, and its worker's parent knows."""
        fence = self._fence(back)
        job = self.expected[fence.job_id]
        if job.holds(fence) and job.worker is not None:
            self._rescued(self.store.rescue_of(*job.worker), lambda other: other.worker == job.worker)

    # --- time and conductors ----------------------------------------------------------------------------------------

    @precondition(has_fences)
    @rule(back=recent)
    def fall_silent(self, back: int) -> None:
        """The worker is stopped, or cut off: its lease runs out, and it may yet come back as a zombie."""
        fence = self._fence(back)
        job = self.expected[fence.job_id]
        if job.holds(fence):
            job.has_lapsed = True
            with self.database.write() as connection:
                lapsed = update(JobRow).where(JobRow.id == job.id).values(lease_expires_at=db_now(-1.0))
                connection.execute(lapsed)

    @rule(n_conductors=st.integers(1, 2))
    def rescue(self, n_conductors: int) -> None:
        rescued = [job for _ in range(n_conductors) for job in self.store.rescue_lapsed()]
        self._rescued(rescued, lambda job: job.has_lapsed)

    # --- what must always hold --------------------------------------------------------------------------------------

    @invariant()
    def rows_are_as_expected(self) -> None:
        for job in self.expected.values():
            row = self.store.find(job.id)
            assert row is not None
            assert (row.status, row.attempt, row.n_errors, row.n_crashes) == (
                job.status,
                job.attempt,
                job.n_errors,
                job.n_crashes,
            )
            assert (row.cancel_requested_at is not None) is job.is_cancel_requested

    @invariant()
    def positions_begin_with_the_next_claim(self) -> None:
        best = self._best()
        if best is not None:
            assert self.store.queue_position(self._row(best.id)) == 1

    def teardown(self) -> None:
        if hasattr(self, "expected"):
            assert check_history(self.store, self.expected) == []

    # --- the model --------------------------------------------------------------------------------------------------

    def _best(self) -> Expected | None:
        """Straight from the words: highest priority, then the owner with the fewest running, then the oldest."""
        running = {o: sum(j.owner == o and j.status is JobStatus.RUNNING for j in self._all()) for o in OWNERS}
        queued = [job for job in self._all() if job.status is JobStatus.QUEUED]
        return min(queued, key=lambda job: (-job.priority, running[job.owner], job.number), default=None)

    def _all(self) -> Iterator[Expected]:
        yield from self.expected.values()

    def _row(self, job_id: UUID) -> Job:
        row = self.store.find(job_id)
        assert row is not None
        return row

    def _answers(self, are_lost: bool) -> Any:
        return lost_replies(self.database, after=1.0) if are_lost else nullcontext()

    def _fence(self, back: int) -> Fence:
        """Fences that hold their job come first, the newest of them at 1; then the zombies."""
        by_use = sorted(self.fences, key=lambda fence: self.expected[fence.job_id].holds(fence))
        return by_use[-min(back, len(by_use))]

    def _fenced(self, fence: Fence, write: Callable[[], Any]) -> Any:
        """What the write answers, True for nothing; None where it was rightly refused."""
        if self.expected[fence.job_id].holds(fence):
            answer = write()
            return True if answer is None else answer
        with pytest.raises(LeaseLost):
            write()
        return None

    def _rescued(self, rescued: list[Job], is_due: Callable[[Expected], bool]) -> None:
        due = [job for job in self._all() if job.status is JobStatus.RUNNING and is_due(job)]
        assert {job.id for job in rescued} == {job.id for job in due}
        assert len(rescued) == len(due)
        for job in due:
            job.n_crashes += 1
            poisoned = JobStatus.FAILED if job.n_crashes >= MAX_CRASHES else JobStatus.QUEUED
            job.leave(JobStatus.CANCELLED if job.is_cancel_requested else poisoned)


@pytest.mark.parametrize("n_examples", [60])
def test_jobs_behave_as_the_model_on_sqlite(sqlite_url: str, n_examples: int) -> None:
    _run(sqlite_url, n_examples)


@pytest.mark.parametrize("n_examples", [20])
def test_jobs_behave_as_the_model_on_postgresql(postgresql_url: str, n_examples: int) -> None:
    _run(postgresql_url, n_examples)


def _run(url: str, n_examples: int) -> None:
    Jobs.database = Database(url)
    quiet = settings(
        max_examples=n_examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=None,
        derandomize=True,
    )
    try:
        run_state_machine_as_test(Jobs, settings=quiet)
    finally:
        Jobs.database.close()
