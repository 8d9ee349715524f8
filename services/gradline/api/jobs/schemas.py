"""What is sent and answered about jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from gradline.api.answers import View
from gradline.api.paging import LIMIT_MAX
from gradline.specs.base import Spelled
from gradline.status import EventKind, JobStatus

WAIT_MAX_S = 60
LABELS_MAX = 50


def _printable(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not hold control characters")
    return text


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
LABEL_KEY = "at most 63 letters, digits and _ . / -, of which the first is a letter or a digit"
LabelKey = Annotated[str, Spelled(r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$", f"a label's key must be {LABEL_KEY}")]
LabelValue = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]


LABEL = Spelled(
    r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}:[^\x00-\x1f\x7f]{0,200}$",
    f"must be key:value, the key {LABEL_KEY}, the value at most 200 characters",
)


class Closed(BaseModel):
    """Unknown fields and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class JobRequest(Closed):
    """What to run and how to queue it; `spec` is checked by the kind."""

    kind: str
    spec: dict[str, Any]
    name: ShortText | None = None
    """For people; need not be unique."""
    experiment: ShortText | None = None
    """MLflow experiment of the run; the kind's name where none is given."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=LABELS_MAX)
    """To find jobs again: `GET /v1/jobs?label=key:value`."""
    lane: Literal["auto", "cpu", "gpu"] = "auto"
    """Which workers may take it; `auto`: `gpu` where the spec asks for device `cuda`, else `cpu`."""
    priority: int = Field(5, ge=0, le=9)
    """Higher is claimed first."""
    max_attempts: int = Field(3, ge=1, le=20)
    """Transient errors after which the job fails."""
    deadline_s: float | None = Field(None, gt=0.0, le=2_592_000.0)
    """Longest time an attempt may run."""


class PriorityChange(Closed):
    """A new place in the queue."""

    priority: int = Field(ge=0, le=9)


class JobFilter(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    status: JobStatus | None = None
    kind: Annotated[str, Spelled(r"^[a-z0-9-]{1,60}$", "must be a kind, as in logistic-regression")] | None = None
    label: Annotated[str, LABEL] | None = Field(None, description="`key:value`")
    limit: int = Field(50, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


class Progress(View):
    """How far the job is, as last committed; `tick` events of the stream are finer."""

    step: int
    total_steps: int
    fraction: float
    eta_s: float | None = None


class MlflowView(View):
    """The job's run in MLflow."""

    experiment_id: str | None = None
    run_id: str | None = None
    url: str | None = None
    """The run in the MLflow UI, once there is one."""
    synced: bool = False
    """Whether everything committed so far is in MLflow."""


class JobLinks(View):
    """Where the rest is."""

    self: str
    events: str
    metrics: str
    artifacts: str
    cancel: str


class JobView(View):
    """A job as it stands."""

    id: UUID
    kind: str
    name: str | None
    experiment: str | None
    labels: dict[str, str]
    spec: dict[str, Any]
    """With every default filled in."""
    status: JobStatus
    lane: str
    priority: int
    max_attempts: int
    deadline_s: float | None
    attempt: int
    """Number of the newest attempt, 0 before the first."""
    n_errors: int
    """Transient errors so far."""
    n_crashes: int
    """Workers that died under it so far."""
    created_at: datetime
    not_before: datetime | None
    """Not claimed earlier: the wait after a transient error."""
    started_at: datetime | None
    """When the newest attempt began."""
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    worker_id: str | None
    progress: Progress | None
    queue_position: int | None
    """Place in its lane, from 1; given by `GET /v1/jobs/{id}` while queued."""
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    mlflow: MlflowView
    links: JobLinks


class JobPage(View):
    items: list[JobView]
    next_cursor: str | None
    """Pass it as `cursor`, with the same filters; null on the last page."""


class MetricPoint(View):
    """Values at one step."""

    step: int
    values: dict[str, float | None]
    """Null where a value was not a number."""
    at: datetime


class MetricList(View):
    items: list[MetricPoint]


class ArtifactView(View):
    """A file of the job."""

    name: str
    kind: str
    """curve, plot, image (one of a series with steps), animation, model or table."""
    media_type: str
    size_bytes: int
    sha256: str
    step: int | None
    created_at: datetime
    href: str


class ArtifactList(View):
    items: list[ArtifactView]
    pending: list[str]
    """Plots that are still being drawn."""


class StreamEvent(View):
    """The `data` of an event of the stream."""

    seq: int | None
    """Also the event's `id`; null for a tick, which is not kept."""
    kind: EventKind | Literal["tick"]
    attempt: int | None
    at: datetime
    data: dict[str, Any]
