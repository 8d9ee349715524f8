"""The states of a job. Everything else that happens to it is a column or an event."""

from enum import StrEnum


class JobStatus(StrEnum):
    """`queued → running → succeeded | failed | cancelled`; a running job may go back to queued.

    Back to queued happens on release (the worker shuts down), retry (a transient error) and rescue
    (the lease lapsed). The last three never change again: a trigger in the database refuses it.
    """

    QUEUED = "queued"
    """Accepted and committed; waiting for a worker, perhaps until `not_before`."""
    RUNNING = "running"
    """One attempt holds the lease; its number is the fencing token."""
    SUCCEEDED = "succeeded"
    """The job did its work; `result` says how good it is."""
    FAILED = "failed"
    """It cannot be done; `error` says why and what to do."""
    CANCELLED = "cancelled"
    """Its owner asked for it to stop, and it has."""

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


class EventKind(StrEnum):
    """What the durable event log of a job can say."""

    SUBMITTED = "submitted"
    """The job row was committed."""
    STARTED = "started"
    """An attempt claimed the job; data: attempt, worker_id."""
    RELEASED = "released"
    """The worker shut down and gave the job back; nothing is counted against it."""
    RETRIED = "retried"
    """A transient error; the job waits until `not_before`."""
    RESCUED = "rescued"
    """The attempt's worker died or fell silent; the job is queued again."""
    CANCEL_REQUESTED = "cancel_requested"
    """The owner asked a running job to stop."""
    PRIORITY_CHANGED = "priority_changed"
    METRIC = "metric"
    """Values at one step, at most about 300 a job: data {step, values, ...}."""
    CHECKPOINT = "checkpoint"
    """The attempt can be resumed from this step."""
    RESUMED = "resumed"
    """The attempt goes on from a checkpoint; data {step, from_attempt}."""
    ARTIFACT = "artifact"
    """A file of the job can be fetched: data {name, kind, media_type, step}."""
    WARNING = "warning"
    """Something the owner should know: data {code, message}."""
    ENDED = "ended"
    """The job reached a terminal state: data {status, outcome or error}. At most one a job."""
