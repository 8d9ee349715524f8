"""What is known of a job while it is watched: built up from its events."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from gradline.cli.client import Event
from gradline.status import EventKind, JobStatus

TICK = "tick"


@dataclass
class JobView:
    """One watched job. `apply` takes an event and returns what to tell people about it, if anything."""

    job_id: str
    title: str
    status: str = JobStatus.QUEUED.value
    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    rate: float | None = None
    """Steps per second."""
    eta_s: float | None = None
    outcome: str = ""
    """Why the job ended, in a word or two."""
    attempt: int = 0
    started_at: datetime | None = None
    """When its newest attempt began."""
    trained_s: float | None = None
    """How long the attempt that ended it took."""
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, job: dict[str, Any]) -> Self:
        view = cls(job["id"], job.get("name") or job["kind"])
        if job["status"] == JobStatus.RUNNING:  # the past of one that has ended comes again, from its beginning
            progress = job.get("progress") or {}
            view.status, view.step, view.total_steps = job["status"], progress.get("step"), progress.get("total_steps")
        return view

    @property
    def has_ended(self) -> bool:
        return self.status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)

    @property
    def has_figures(self) -> bool:
        """Whether it trains something: a program that is explained has steps too, but nothing to tell of them."""
        return self.step is not None and (self.loss is not None or self.total_steps is not None)

    def apply(self, event: Event) -> str | None:
        self.attempt = max(self.attempt, event.attempt)
        if event.kind in (TICK, EventKind.METRIC):
            values = event.data.get("values") or {}
            self._advance({**event.data, **values})
            return None
        self._clock(event)
        return self._tell(event.kind, event.data)

    def _clock(self, event: Event) -> None:
        if event.kind == EventKind.STARTED:
            self.started_at = datetime.fromisoformat(event.at)
        elif event.kind == EventKind.ENDED and self.started_at is not None:
            self.trained_s = (datetime.fromisoformat(event.at) - self.started_at).total_seconds()

    def _advance(self, values: dict[str, Any]) -> None:
        # After a resume the steps since the checkpoint come again: the bar waits instead of going back.
        step = values.get("step")
        if step is None or (self.step is not None and step < self.step):
            return
        self.step = step
        for name in ("total_steps", "loss", "accuracy", "rate", "eta_s"):
            if values.get(name) is not None:
                setattr(self, name, values[name])

    def _tell(self, kind: str, data: dict[str, Any]) -> str | None:
        match kind:
            case EventKind.STARTED:
                self.status = JobStatus.RUNNING.value
                return f"started by {data['worker_id']}" if data.get("worker_id") else "started"
            case EventKind.RELEASED | EventKind.RETRIED | EventKind.RESCUED:
                self.status = JobStatus.QUEUED.value
                return _BACK_IN_QUEUE[kind] + _because(data)
            case EventKind.RESUMED:
                return f"goes on from step {data.get('step')}"
            case EventKind.CANCEL_REQUESTED:
                return "was asked to stop"
            case EventKind.WARNING:
                self.warnings.append(str(data.get("message", data)))
                return f"warning: {data.get('message', data)}"
            case EventKind.ENDED:
                self.status = data.get("status", JobStatus.SUCCEEDED.value)
                self.outcome = str(data.get("outcome") or (data.get("error") or {}).get("code") or "")
                return f"{self.status}" + (f": {self.outcome.replace('_', ' ')}" if self.outcome else "")
            case _:
                return None


_BACK_IN_QUEUE: dict[str, str] = {
    EventKind.RELEASED.value: "its worker shut down; the job waits for another",
    EventKind.RETRIED.value: "will be tried again",
    EventKind.RESCUED.value: "its worker died; the job waits for another",
}


def _because(data: dict[str, Any]) -> str:
    error = data.get("error") or {}
    return f" ({error['message']})" if isinstance(error, dict) and error.get("message") else ""
