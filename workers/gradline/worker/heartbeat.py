"""The heartbeat: a thread beside the training that renews the lease and brings the news.

It looks every `watch_s` whether the job was cancelled, renews the lease every `heartbeat_s`, and enforces the deadline.
An attempt that does not obey within the grace is ended the hard way: its last word is written here, then the
process kills itself, which nothing that holds the interpreter can prevent.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import structlog

from gradline.db.jobs import JobStore
from gradline.db.records import Fence, Job
from gradline.errors import CancelRequested, DeadlineExceeded, DependencyDown, GradlineError, LeaseLost, ShuttingDown
from gradline.settings import Settings
from gradline.status import JobStatus
from gradline.worker.stopping import StopSignal

log = structlog.get_logger(__name__)


class Heartbeat:
    """Use as a context manager around an attempt."""

    def __init__(
        self,
        job: Job,
        jobs: JobStore,
        stop: StopSignal,
        settings: Settings,
        progress: Callable[[], dict[str, Any] | None],
    ) -> None:
        self._fence = Fence(job.id, job.attempt)
        self._jobs = jobs
        self._stop = stop
        self._settings = settings
        self._progress = progress
        now = time.monotonic()
        self._renewed_at = now
        self._deadline_s = job.deadline_s
        self._deadline_at = None if job.deadline_s is None else now + job.deadline_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _beat_until_ended(self) -> None:
        interval_s = self._settings.watch_s
        if self._deadline_s is not None:
            interval_s = min(interval_s, max(0.05, self._deadline_s / 4))
        while not self._ended.wait(interval_s):
            self._check_deadline()
            self._hear()
            if self._stop.is_overdue(self._settings.grace_s):
                self._end_the_hard_way()

    def _check_deadline(self) -> None:
        if self._deadline_at is not None and time.monotonic() > self._deadline_at:
            self._stop.request(DeadlineExceeded(f"the attempt ran longer than deadline_s = {self._deadline_s}"))

    def _hear(self) -> None:
        try:
            if time.monotonic() - self._renewed_at >= self._settings.heartbeat_s:
                cancel = self._jobs.renew(self._fence, self._progress())
                self._renewed_at = time.monotonic()
            else:
                cancel = self._jobs.is_cancel_requested(self._fence)
        except LeaseLost as lost:
            self._stop.request(lost)
        except DependencyDown as down:
            log.warning("heartbeat_failed", job_id=str(self._fence.job_id), error=str(down))
            if time.monotonic() - self._renewed_at > self._settings.lease_s:
                self._stop.request(LeaseLost(f"the lease could not be renewed for {self._settings.lease_s} s"))
        else:
            if cancel:
                self._stop.request(CancelRequested("the owner asked to cancel"))

    def _end_the_hard_way(self) -> None:
        reason = self._stop.reason
        log.error("attempt_killed", job_id=str(self._fence.job_id), reason=type(reason).__name__)
        try:
            if isinstance(reason, DeadlineExceeded):
                self._jobs.finish(self._fence, JobStatus.FAILED, error=deadline_error(reason))
            elif isinstance(reason, CancelRequested):
                self._jobs.finish(self._fence, JobStatus.CANCELLED)
            elif isinstance(reason, ShuttingDown):
                self._jobs.release(self._fence)
        except GradlineError as error:
            log.warning("last_word_failed", error=str(error))
        os.kill(os.getpid(), signal.SIGKILL)


def deadline_error(reason: DeadlineExceeded) -> dict[str, Any]:
    mend = "raise deadline_s or lower stop.max_steps, then resubmit"
    return {"code": reason.code, "message": reason.message, "mend": mend}
