"""What a spec names must be there when it is submitted: data sets with columns that fit, and models."""

from functools import partial
from pathlib import Path
from typing import cast
from uuid import UUID

from gradline.api.deps import Services
from gradline.column_roles import check_columns
from gradline.db.datasets import StoredDataset
from gradline.errors import Conflict, InputFault, InvalidInput, NotFound
from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_contributions import terms_of
from gradline.scoring_intervals import uncertainty_of
from gradline.specs.base import Spec
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec
from gradline.specs.prediction import PredictionSpec
from gradline.tables import Format, first_row

SEARCHED_BYTES = 64 << 20
"""Of a file in which the row is looked for that a fault is about."""


def check_references(services: Services, owner: str, spec: Spec) -> None:
    """Raises InvalidInput naming what is not there or does not fit."""
    if isinstance(spec, PredictionSpec):
        _check_prediction(services, owner, spec)
    elif isinstance(spec, LogisticRegressionSpec) and isinstance(spec.data, Dataset):
        dataset = _dataset(services, owner, spec.data.dataset_id)
        check_columns(spec, dataset, partial(_row_of, services, dataset))


def _row_of(services: Services, dataset: StoredDataset, column: str, value: float) -> int | None:
    """Looked for in files that are read in no time: the request waits for it."""
    path = services.store.local_path(dataset.sha256)
    if path is None or dataset.size_bytes > SEARCHED_BYTES or not Path(path).exists():
        return None
    return first_row(path, cast("Format", dataset.format), column, value)


def _dataset(services: Services, owner: str, dataset_id: str) -> StoredDataset:
    try:
        return services.datasets.get(UUID(dataset_id), owner)
    except NotFound as missing:
        raise InvalidInput([InputFault("spec.data.dataset_id", dataset_id, missing.message)]) from missing


def _check_prediction(services: Services, owner: str, spec: PredictionSpec) -> None:
    dataset = _dataset(services, owner, spec.data.dataset_id)
    try:
        card, _ = services.models.get(owner, UUID(spec.model_job_id))
    except (NotFound, Conflict) as missing:
        raise InvalidInput([InputFault("spec.model_job_id", spec.model_job_id, missing.message)]) from missing
    names = [column["name"] for column in dataset.columns]
    faults = [
        InputFault("spec.data.dataset_id", spec.data.dataset_id, f"has no column {name!r}, which the model needs")
        for name in card.columns
        if name not in names
    ]
    faults += [
        InputFault(f"spec.keep[{i}]", name, f"no such column; the columns are: {', '.join(map(repr, names))}")
        for i, name in enumerate(spec.keep)
        if name not in names
    ]
    faults += _not_told(card, spec)
    if faults:
        raise InvalidInput(faults)


def _not_told(card: Scorecard, spec: PredictionSpec) -> list[InputFault]:
    """What the model cannot tell of predictions."""
    try:
        if spec.interval is not None:
            uncertainty_of(card, spec.interval)
        if spec.contributions:
            terms_of(card)
    except RowsRefused as refused:
        return [InputFault(f"spec.{fault.field}", fault.value, fault.reason) for fault in refused.faults]
    return []
