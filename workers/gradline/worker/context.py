"""What a kind's runner sees of the attempt it is: somewhere to say things, to save, and to be told to stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from gradline.db.datasets import StoredDataset
from gradline.db.records import Job
from gradline.storage import ArtifactStore


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that an earlier attempt of this job committed."""

    step: int
    data: bytes
    fingerprint: dict[str, Any]


class AttemptContext(Protocol):
    """One attempt of one job. Everything durable is buffered and committed under the fence: at once for a checkpoint,
    within a fraction of a second for the rest, and in any case with the end of the job."""

    job: Job
    store: ArtifactStore
    features_max_bytes: int | None
    """How large features may be in memory; None: without a bound."""
    warnings: dict[str, str]
    """What this attempt has warned of: messages by code."""

    def get_dataset(self, dataset_id: str) -> StoredDataset:
        """A data set of the job's owner; raises PermanentError where it is gone."""

    def get_model(self, job_id: str) -> bytes:
        """The scorecard of another job of the owner; raises PermanentError where there is none."""

    def raise_if_stopped(self) -> None:
        """Call between steps; nearly free. Raises an AttemptStopped: let it pass, ShuttingDown after a checkpoint."""

    def tick_is_due(self) -> bool:
        """Whether a tick would be sent now: ask before computing one. At most twenty a second."""

    def tick(self, values: Mapping[str, Any]) -> None:
        """Ephemeral progress for whoever is watching: step, loss, accuracy, rate, eta_s, weights."""

    def metric(self, step: int, values: Mapping[str, float | None], **more: Any) -> None:
        """A durable point, once per step also across attempts; not-a-number values must be None."""

    def progress(self, step: int, total_steps: int, eta_s: float | None = None) -> None:
        """How far the job is; shown on the job and committed with whatever is next."""

    def warn(self, code: str, message: str) -> None:
        """Something the owner should know; once per code."""

    def save_artifact(
        self, name: str, data: bytes, media_type: str, kind: str = "table", step: int | None = None
    ) -> None:
        """A file of the job: kind is curve, plot, image, animation, model or table. The same name replaces the file."""

    def save_file(self, name: str, file: BinaryIO, media_type: str, kind: str = "table") -> None:
        """The same of all that an open file holds, which is not read into memory. It is stored when this returns."""

    def checkpoint(self, step: int, data: bytes, fingerprint: dict[str, Any] | None = None) -> None:
        """Committed when this returns, with everything buffered so far."""

    def checkpoint_is_due(self, every_s: float) -> bool:
        """Whether the last checkpoint (or the attempt's start) is that long ago."""

    def latest_checkpoint(self) -> Loaded | None:
        """The newest whole checkpoint of an earlier attempt; a damaged one is passed over with a warning."""
