"""Every error of ours, in one tree.

    GradlineError
    ├── CallerError              the caller can mend it: becomes a 4xx problem document
    │   ├── InvalidInput         422, with a list of faults {field, value, reason}
    │   ├── Unauthorized         401, no key or a bad one
    │   ├── NotFound             404, also for what belongs to another owner
    │   ├── Conflict             409, the state or a key stands against it
    │   └── TooLarge             413, over a limit that the message names
    ├── AttemptError             an attempt of a job failed
    │   ├── PermanentError       another attempt would fail the same way
    │   └── TransientError       another attempt may succeed
    ├── AttemptStopped           an attempt must end now; not a failure of the training
    │   ├── CancelRequested      the owner asked for it
    │   ├── DeadlineExceeded     the job's `deadline_s` passed
    │   ├── LeaseLost            another attempt has begun, or the job has ended: write nothing more
    │   └── ShuttingDown         the worker was told to stop: checkpoint and release
    └── DependencyDown           the database, Redis, the artifact store or MLflow does not answer (503)

How a fit ended (converged, diverged, step limit) is a value in its result, never an error.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class InputFault:
    """One thing wrong with what the caller sent."""

    field: str
    """Dotted path of the field, as the caller spells it: `spec.solver.learning_rate`."""
    value: Any
    """The value that was sent, or None where it was missing."""
    reason: str
    """What is wrong and what would be right."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class GradlineError(Exception):
    """Root of the tree. `code` is stable and machine-readable; the message is for people."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CallerError(GradlineError):
    """The caller can mend it; nothing was changed."""

    code = "bad_request"
    http_status: ClassVar[int] = 400


class InvalidInput(CallerError):
    """The input is well-formed but wrong; every fault is listed."""

    code = "invalid_input"
    http_status = 422

    def __init__(self, faults: Sequence[InputFault], message: str | None = None) -> None:
        super().__init__(message or "; ".join(f"{f.field}: {f.reason}" for f in faults))
        self.faults = list(faults)


class Unauthorized(CallerError):
    code = "unauthorized"
    http_status = 401


class NotFound(CallerError):
    code = "not_found"
    http_status = 404


class Conflict(CallerError):
    """The request is right but stands against the state. `code` says which conflict."""

    http_status = 409

    def __init__(self, message: str, code: str = "conflict") -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # narrows the class's default for one instance


class TooLarge(CallerError):
    code = "too_large"
    http_status = 413


class AttemptError(GradlineError):
    """An attempt failed; `code` lands in the job's `error.code`."""

    code = "attempt_failed"

    def __init__(self, message: str, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code  # type: ignore[misc]  # narrows the class's default for one instance
        self.details = details


class PermanentError(AttemptError):
    """Another attempt would fail the same way: bad data, an impossible spec."""


class TransientError(AttemptError):
    """Another attempt may succeed: the artifact store or the database was away."""

    code = "transient"


class AttemptStopped(GradlineError):
    """The attempt must end now."""


class CancelRequested(AttemptStopped):
    code = "cancelled"


class DeadlineExceeded(AttemptStopped):
    code = "deadline_exceeded"


class LeaseLost(AttemptStopped):
    code = "lease_lost"


class ShuttingDown(AttemptStopped):
    code = "shutting_down"


class DependencyDown(GradlineError):
    """Something we need does not answer; trying again later is right."""

    code = "dependency_down"
