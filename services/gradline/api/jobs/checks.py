"""What a spec names must be there when it is submitted: data sets with columns that fit, and models."""

from uuid import UUID

from gradline.api.deps import Services
from gradline.column_roles import check_columns
from gradline.db.datasets import StoredDataset
from gradline.errors import Conflict, InputFault, InvalidInput, NotFound
from gradline.specs.base import Spec
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec
from gradline.specs.prediction import PredictionSpec


def check_references(services: Services, owner: str, spec: Spec) -> None:
    """Raises InvalidInput naming what is not there or does not fit."""
    if isinstance(spec, PredictionSpec):
        _check_prediction(services, owner, spec)
    elif isinstance(spec, LogisticRegressionSpec) and isinstance(spec.data, Dataset):
        check_columns(spec, _dataset(services, owner, spec.data.dataset_id))


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
    if faults:
        raise InvalidInput(faults)
