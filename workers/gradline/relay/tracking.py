"""The MLflow server, in the few calls that the relay makes. Each call is safe to repeat."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, InputTag, Metric, Param, RunTag
from mlflow.entities import DatasetInput as MlflowDatasetInput
from mlflow.exceptions import MlflowException
from mlflow.utils import credentials, rest_utils

from gradline.relay.content import DatasetInput, Point

METRICS_PER_CALL = 800
PAIRS_PER_CALL = 100
"""MLflow takes at most 1,000 entries a call, of them at most 100 parameters and 100 tags."""
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 5000

_request: Any = rest_utils.http_request  # neither carries types
_credentials: Any = credentials.get_default_host_creds

JOB_TAG = "gradline.job_id"
EXPERIMENT_KIND = "custom_model_development"
"""Tells the UI that the experiment holds training runs rather than traces of language models."""


class Tracking:
    """One MLflow server. Calls raise whatever the client raises."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.client = MlflowClient(tracking_uri=uri)
        self._experiments: dict[str, str] = {}

    def is_up(self) -> bool:
        try:
            answer = _request(_credentials(self._uri), "/health", "GET")
        except MlflowException:
            return False
        return bool(answer.status_code == 200)

    def experiment_id(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_or_create_experiment(name)
        return self._experiments[name]

    def forget_experiments(self) -> None:
        """After a failure: the cached ids may be of experiments that are gone."""
        self._experiments.clear()

    def find_run(self, experiment_id: str, job_id: str) -> str | None:
        """The oldest run of the job."""
        wanted = f"tags.`{JOB_TAG}` = '{job_id}'"
        runs = self.client.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"])
        return runs[0].info.run_id if runs else None

    def create_run(self, experiment_id: str, name: str, start_ms: int, tags: dict[str, str]) -> str:
        cut = {key: value[:MAX_TAG_LENGTH] for key, value in tags.items()}
        run = self.client.create_run(experiment_id, start_time=start_ms, tags=cut, run_name=name)
        return str(run.info.run_id)

    def run_state(self, run_id: str) -> str:
        """`active`, `deleted` by somebody, or `missing`: the server has never heard of it."""
        try:
            return str(self.client.get_run(run_id).info.lifecycle_stage)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "missing"
            raise

    def log(
        self,
        run_id: str,
        points: Sequence[Point],
        params: dict[str, str],
        tags: dict[str, str],
    ) -> None:
        """Metrics, parameters and tags, in as few calls as MLflow's limits allow."""
        metrics = [Metric(p.key, p.value, p.timestamp_ms, p.step) for p in points]
        mlflow_params = [Param(key, value[:MAX_PARAM_LENGTH]) for key, value in params.items()]
        mlflow_tags = [RunTag(key, value[:MAX_TAG_LENGTH]) for key, value in tags.items()]
        calls = zip_longest(
            _chunks(metrics, METRICS_PER_CALL),
            _chunks(mlflow_params, PAIRS_PER_CALL),
            _chunks(mlflow_tags, PAIRS_PER_CALL),
            fillvalue=(),
        )
        for some_metrics, some_params, some_tags in calls:
            self.client.log_batch(run_id, some_metrics, some_params, some_tags, synchronous=True)

    def log_of_model(self, run_id: str, model_id: str, points: Sequence[Point], dataset: DatasetInput | None) -> None:
        """Metrics of the run that are also the model's, measured on the data set; in the run they stay one point."""
        name, digest = (None, None) if dataset is None else (dataset.name, dataset.digest)
        metrics = [Metric(p.key, p.value, p.timestamp_ms, p.step, model_id, name, digest, run_id) for p in points]
        self.client.log_batch(run_id, metrics, synchronous=True)

    def log_dataset(self, run_id: str, dataset: DatasetInput) -> None:
        described = Dataset(
            dataset.name, dataset.digest, dataset.source_type, dataset.source, dataset.schema, dataset.profile
        )
        self.client.log_inputs(run_id, [MlflowDatasetInput(described, [InputTag("mlflow.data.context", "training")])])

    def log_json(self, run_id: str, name: str, value: dict[str, Any]) -> None:
        """A file of the run; one of that name is replaced."""
        self.client.log_dict(run_id, value, name)

    def upload(self, run_id: str, folder: Path) -> None:
        """Every file under `folder`, at its path there; a file of that path is replaced."""
        self.client.log_artifacts(run_id, str(folder))

    def end_run(self, run_id: str, status: str, end_ms: int) -> None:
        self.client.set_terminated(run_id, status, end_ms)

    def _find_or_create_experiment(self, name: str) -> str:
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self.client.create_experiment(name, tags={"mlflow.experimentKind": EXPERIMENT_KIND}))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self._find_or_create_experiment(name)  # another relay was faster
        if experiment.lifecycle_stage == "deleted":  # its name stays taken, and there are new runs for it
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
