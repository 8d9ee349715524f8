"""The heartbeat: a thread beside the training that renews the lease and brings the news.

One thread serves all the jobs of a child, one after the other: starting one costs a small job a tenth of its time.
It looks every `watch_s` whether the job was cancelled, renews the lease every `heartbeat_s`, and enforces the deadline.
An attempt that does not obey within the grace is ended the hard way: its last word is written here, then the
process kills itself, which nothing that holds the interpreter can prevent.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from gradline.db.jobs import JobStore
from gradline.db.records import Fence, Job
from gradline.errors import CancelRequested, DeadlineExceeded, DependencyDown, GradlineError, LeaseLost, ShuttingDown
from gradline.settings import Settings
from gradline.status import JobStatus
from gradline.worker.stopping import StopSignal

Progress = Callable[[], dict[str, Any] | None]

log = structlog.get_logger(__name__)


class Heartbeat:
    """Beats for the attempt that runs, if one does."""

    def __init__(self, jobs: JobStore, settings: Settings) -> None:
        self._jobs = jobs
        self._settings = settings
        self._pulse: _Pulse | None = None
        self._lock = threading.Condition()
        """Held while the thread beats: once `over` has let go of an attempt, nothing is written for it here."""
        self._wakes_at = 0.0
        threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True).start()

    @contextmanager
    def over(self, job: Job, stop: StopSignal, progress: Progress) -> Iterator[None]:
        """Beat for this attempt until the block ends."""
        pulse = _Pulse(job, self._jobs, stop, self._settings, progress)
        with self._lock:
            self._pulse = pulse
            if time.monotonic() + pulse.interval_s < self._wakes_at:  # waking the thread for every job would cost too
                self._lock.notify()
        try:
            yield
        finally:
            with self._lock:
                self._pulse = None

    def _beat_for_ever(self) -> None:
        """The one loop of this thread; whatever one beat raises must not take the heartbeat from the next job."""
        with self._lock:
            while True:
                interval_s = self._settings.watch_s if self._pulse is None else self._pulse.interval_s
                self._wakes_at = time.monotonic() + interval_s
                is_new = self._lock.wait(interval_s)
                if self._pulse is not None and not is_new:
                    try:
                        self._pulse.beat()
                    except Exception:
                        log.exception("heartbeat_raised")


class _Pulse:
    """What the heartbeat knows of the one attempt."""

    def __init__(self, job: Job, jobs: JobStore, stop: StopSignal, settings: Settings, progress: Progress) -> None:
        self._fence = Fence(job.id, job.attempt)
        self._jobs = jobs
        self._stop = stop
        self._settings = settings
        self._progress = progress
        self._renewed_at = time.monotonic()
        self._deadline_s = job.deadline_s
        self._deadline_at = None if job.deadline_s is None else self._renewed_at + job.deadline_s
        self.interval_s = settings.watch_s
        """Seconds between two beats."""
        if job.deadline_s is not None:
            self.interval_s = min(settings.watch_s, max(0.05, job.deadline_s / 4))

    def beat(self) -> None:
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
