"""The spec of a `prediction` job: an uploaded data set through the model of a finished job."""

from typing import Literal

from pydantic import Field

from gradline.specs.base import Id, Spec


class Rows(Spec):
    """An uploaded data set; it needs the model's columns and may have others."""

    source: Literal["dataset"] = "dataset"
    """As in the data of the job that trains; nothing else can be predicted."""
    dataset_id: Id


class PredictionSpec(Spec):
    """Predictions for every row of a data set, as one file."""

    model_job_id: Id
    """A logistic-regression job that succeeded."""
    data: Rows
    format: Literal["parquet", "csv"] = "parquet"
    """Of the artifact: `predictions.parquet` or `predictions.csv`, rows in the order of the data set."""
    keep: list[str] = Field([], max_length=1000)
    """Columns of the data set that are copied beside the predictions, such as an identifier."""
