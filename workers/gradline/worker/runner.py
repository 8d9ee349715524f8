"""From ring to the end of a job: claim, run the kind's code under a heartbeat, write how it ended."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from gradline.db.datasets import DatasetStore
from gradline.db.jobs import JobStore
from gradline.db.records import Fence, Job
from gradline.db.session import Database
from gradline.errors import (
    AttemptStopped,
    CancelRequested,
    DeadlineExceeded,
    DependencyDown,
    InvalidInput,
    LeaseLost,
    PermanentError,
    ShuttingDown,
    TransientError,
)
from gradline.lanes import Doorbell, Lane
from gradline.progress import TickPublisher
from gradline.settings import Settings
from gradline.specs import parse_spec
from gradline.specs.base import Spec
from gradline.status import JobStatus
from gradline.storage import ArtifactStore
from gradline.worker.attempt import Attempt
from gradline.worker.endings import Endings, insist
from gradline.worker.heartbeat import Heartbeat, deadline_error
from gradline.worker.kinds import drawings_of, runner_of
from gradline.worker.stopping import StopSignal

log = structlog.get_logger(__name__)


class Runner:
    """What one child process holds for all its jobs."""

    def __init__(self, settings: Settings, worker_id: str) -> None:
        self._worker_id = worker_id
        self._features_max_bytes = settings.features_max_bytes
        self._heartbeat_s = settings.heartbeat_s
        database = Database(settings.database, pool_size=3)  # for the job, its heartbeat, and the end of the one before
        self._jobs = JobStore(database, settings.lease_s)
        self._datasets = DatasetStore(database)
        self._store = ArtifactStore(settings.store_url, derived_max_bytes=settings.unpacked_max_bytes)
        self._doorbell = Doorbell(settings.redis_url)
        self._ticks = TickPublisher(settings.redis_url)
        self._heartbeat = Heartbeat(self._jobs, settings)
        self._endings = Endings()
        self._stop = StopSignal()
        self._is_shutting_down = False

    def shut_down(self) -> None:
        """Called from a signal handler: the running attempt checkpoints and gives its job back."""
        self._is_shutting_down = True
        self._stop.request(ShuttingDown("the worker is shutting down"))

    def drain(self) -> None:
        """Wait until every job that this child has trained has its end."""
        self._endings.wait()

    def run_one(self, lane: str) -> bool:
        """Claim the best job of the lane and run it; False where there was none.

        Where it succeeds, its files and its end are written beside the next job; `drain` waits for them.
        """
        if self._is_shutting_down:
            return False
        job = self._jobs.claim(lane, self._worker_id, os.getpid())
        if job is None:
            return False
        with structlog.contextvars.bound_contextvars(job_id=str(job.id), attempt=job.attempt, kind=job.kind):
            self._run(job)
        return True

    def _run(self, job: Job) -> None:
        self._stop = StopSignal()
        if self._is_shutting_down:  # the signal came while we claimed
            self._stop.request(ShuttingDown("the worker is shutting down"))
        attempt = Attempt(
            job, self._jobs, self._datasets, self._store, self._ticks, self._stop, self._features_max_bytes
        )
        try:
            with self._heartbeat.over(job, self._stop, lambda: attempt.current_progress):
                write_end = self._outcome_of(attempt)
            write_end()
            if job.n_crashes:
                self._endings.wait()
        except LeaseLost as lost:
            log.warning("lease_lost", error=str(lost))

    def _outcome_of(self, attempt: Attempt) -> Callable[[], None]:
        """Run the job; what comes back writes its end, at once or beside the next job.

        The one broad catch: a bug in a kind must not take the child.
        """
        job = attempt.job
        try:
            if job.n_crashes:  # it may take the child with it again, and no end of another job
                self._endings.wait(attempt.raise_if_stopped)
            attempt.raise_if_stopped()
            spec = _spec_of(job)
            result = runner_of(job.kind)(spec, attempt)
            drawings = drawings_of(job.kind, spec, result)
            self._endings.wait(attempt.raise_if_stopped)
            return partial(self._endings.write_later, partial(self._conclude, attempt, result, drawings))
        except AttemptStopped as reason:
            with suppress(DependencyDown):  # an end that was asked for does not wait for the store
                attempt.settle()
            return partial(insist, partial(self._obey, attempt, reason))
        except PermanentError as error:
            details = {"code": error.code, "message": error.message} | error.details
            return partial(insist, partial(self._fail, attempt, details))
        except (TransientError, DependencyDown) as error:
            return partial(insist, partial(self._retry, attempt.fence, error))
        except Exception as error:
            log.exception("attempt_raised")
            details = {"code": "internal_error", "message": f"{type(error).__name__}: {error}"}
            return partial(insist, partial(self._fail, attempt, details))

    def _conclude(self, attempt: Attempt, result: dict[str, Any], drawings: list[str]) -> None:
        """Wait for the files, the lease held and a cancel still heard, then write the end."""
        try:
            while not attempt.is_settled(self._heartbeat_s):
                self._hold(attempt.fence)
            attempt.settle()
            end = partial(self._succeed, attempt, result, drawings)
        except AttemptStopped as reason:
            end = partial(self._obey, attempt, reason)
        except DependencyDown as down:
            end = partial(self._retry, attempt.fence, down)
        insist(end)

    def _hold(self, fence: Fence) -> None:
        with suppress(DependencyDown):
            if self._jobs.renew(fence):
                raise CancelRequested("the owner asked to cancel")

    def _succeed(self, attempt: Attempt, result: dict[str, Any], drawings: list[str]) -> None:
        self._finish(attempt, JobStatus.SUCCEEDED, result=result, artifacts=attempt.artifacts, drawings=drawings)
        log.info("job_succeeded", outcome=result.get("outcome"))
        if drawings:
            self._doorbell.ring(Lane.DRAWING)

    def _fail(self, attempt: Attempt, error: dict[str, Any]) -> None:
        self._finish(attempt, JobStatus.FAILED, error=error)
        log.info("job_failed", code=error["code"])

    def _finish(self, attempt: Attempt, status: JobStatus, **what: Any) -> None:
        events, progress = attempt.events, attempt.current_progress
        self._jobs.finish(attempt.fence, status, events=events, progress=progress, **what)
        self._ticks.tell_of_end(attempt.job.id)

    def _retry(self, fence: Fence, error: TransientError | DependencyDown) -> None:
        status = self._jobs.retry(fence, {"code": error.code, "message": error.message})
        log.info("job_retried", code=error.code, status=status.value)

    def _obey(self, attempt: Attempt, reason: AttemptStopped) -> None:
        match reason:
            case CancelRequested():
                self._finish(attempt, JobStatus.CANCELLED, artifacts=attempt.artifacts)
            case DeadlineExceeded():
                self._fail(attempt, deadline_error(reason))
            case ShuttingDown():
                self._jobs.release(attempt.fence, attempt.events)
                self._doorbell.ring(attempt.job.lane)
        log.info("attempt_stopped", reason=type(reason).__name__)


def _spec_of(job: Job) -> Spec:
    """As it was submitted; raises PermanentError where another version took what this one does not."""
    try:
        return parse_spec(job.kind, job.spec)
    except InvalidInput as error:
        raise PermanentError(
            f"the version that runs the job refuses its spec: {error.message}",
            code="spec_refused",
            faults=[fault.as_dict() for fault in error.faults],
            mend="correct the fields named in `faults` and submit it as a new job",
        ) from error
