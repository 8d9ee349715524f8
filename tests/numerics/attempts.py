"""An attempt in memory: what a kind's runner said and saved, and a way to stop it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, BinaryIO

from gradline.errors import AttemptStopped
from gradline.specs import parse_spec
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.worker.context import Loaded
from gradline.worker.kinds import logistic_regression


class MemoryAttempt:
    """Fulfils `AttemptContext` without a database; `stop_at` is the number of steps after which `reason` is raised."""

    def __init__(
        self, *, loaded: Loaded | None = None, stop_at: int | None = None, reason: AttemptStopped | None = None
    ) -> None:
        self.job = SimpleNamespace(lane="cpu", owner="somebody")
        self.store: Any = None
        self.features_max_bytes: int | None = None
        self.points: dict[int, dict[str, Any]] = {}
        self.weights: dict[int, Any] = {}
        self.warnings: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.checkpoints: list[Loaded] = []
        self.ticks: list[Mapping[str, Any]] = []
        self.last_progress: tuple[Any, ...] = ()
        self.uploads: dict[str, Any] = {}
        self._loaded = loaded
        self.n_looks = 0
        self._stop_at, self._reason = stop_at, reason

    def get_dataset(self, dataset_id: str) -> Any:
        return self.uploads[dataset_id]

    def raise_if_stopped(self) -> None:
        self.n_looks += 1
        if self._reason is not None and self.n_looks == self._stop_at:
            raise self._reason

    def tick_is_due(self) -> bool:
        return True

    def tick(self, values: Mapping[str, Any]) -> None:
        self.ticks.append(values)

    def metric(self, step: int, values: Mapping[str, float | None], **more: Any) -> None:
        self.points[step] = dict(values)
        self.weights[step] = more

    def progress(self, step: int, total_steps: int, eta_s: float | None = None) -> None:
        self.last_progress = (step, total_steps, eta_s)

    def warn(self, code: str, message: str) -> None:
        self.warnings.setdefault(code, message)

    def save_artifact(
        self, name: str, data: bytes, media_type: str, kind: str = "table", step: int | None = None
    ) -> None:
        self.files[name] = data

    def save_file(self, name: str, file: BinaryIO, media_type: str, kind: str = "table") -> None:
        file.seek(0)
        self.files[name] = file.read()

    def checkpoint(self, step: int, data: bytes, fingerprint: dict[str, Any] | None = None) -> None:
        self.checkpoints.append(Loaded(step, data, fingerprint or {}))

    def checkpoint_is_due(self, every_s: float) -> bool:
        return False

    def latest_checkpoint(self) -> Loaded | None:
        return self._loaded


def regression_spec(**fields: Any) -> LogisticRegressionSpec:
    spec = parse_spec("logistic-regression", fields)
    assert isinstance(spec, LogisticRegressionSpec)
    return spec


def train(attempt: MemoryAttempt | None = None, **fields: Any) -> tuple[dict[str, Any], MemoryAttempt]:
    """Run a job of this spec to its end."""
    attempt = attempt or MemoryAttempt()
    return logistic_regression.run(regression_spec(**fields), attempt), attempt
