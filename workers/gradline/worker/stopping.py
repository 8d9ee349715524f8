"""Why an attempt must end: set by the heartbeat or a signal, read by the training loop between two steps."""

import time

from gradline.errors import AttemptStopped


class StopSignal:
    """The first reason wins; reading it costs an attribute."""

    def __init__(self) -> None:
        self.reason: AttemptStopped | None = None
        self._requested_at = 0.0

    def request(self, reason: AttemptStopped) -> None:
        if self.reason is None:
            self._requested_at = time.monotonic()
            self.reason = reason

    def is_overdue(self, grace_s: float) -> bool:
        """Whether the attempt was asked to end longer than the grace ago and is still here."""
        return self.reason is not None and time.monotonic() - self._requested_at > grace_s
