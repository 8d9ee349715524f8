"""What is answered about workers and lanes."""

from datetime import datetime
from uuid import UUID

from gradline.api.answers import View


class WorkerJob(View):
    """What a worker is training."""

    id: UUID
    kind: str
    name: str | None
    attempt: int
    started_at: datetime | None


class WorkerView(View):
    """A worker that said within the last half minute that a child of it takes jobs."""

    id: str
    hostname: str
    pid: int
    lane: str
    device: str
    n_slots: int
    """Jobs it can train at once."""
    n_running: int
    """Jobs it trains now, of all owners; one that has trained counts until its end is written."""
    started_at: datetime
    last_seen_at: datetime
    jobs: list[WorkerJob]
    """Those of them that are yours."""


class WorkerList(View):
    items: list[WorkerView]


class LaneView(View):
    """What waits and runs in a lane."""

    lane: str
    n_queued: int
    n_running: int
    n_workers: int
    oldest_wait_s: float | None
    """How long the oldest queued job has waited."""
    n_waiting_rings: int | None
    """Rings no worker has taken yet, the signal to scale by; null while Redis does not answer."""
    n_ended_last_minute: int


class LaneList(View):
    items: list[LaneView]
