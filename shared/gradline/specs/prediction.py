"""The spec of a `prediction` job: an uploaded data set through the model of a finished job; and what may be asked of
predictions wherever they are made."""

from typing import Literal

from pydantic import Field

from gradline.specs.base import Id, Spec


class Rows(Spec):
    """An uploaded data set; it needs the model's columns and may have others."""

    source: Literal["dataset"] = "dataset"
    """As in the data of the job that trains; nothing else can be predicted."""
    dataset_id: Id


class PredictionOptions(Spec):
    """What is told of each row beside its prediction."""

    interval: float | None = Field(None, gt=0.0, lt=1.0)
    """A confidence level, such as 0.95: the interval of the mean (of two classes, of the probability of the second;
    for log-linear, of the geometric mean), and for gaussian and log-linear that of a new observation too. For models
    that tell standard errors, except multinomial ones and those of more than 200 parameters."""
    contributions: bool = False
    """What each column adds to the linear predictor (log-odds, or a logarithm): its coefficients times what its values
    are above their means over the training rows."""


class PredictionSpec(PredictionOptions):
    """Predictions for every row of a data set, as one file."""

    model_job_id: Id
    """A logistic-regression job that succeeded."""
    data: Rows
    format: Literal["parquet", "csv"] = "parquet"
    """Of the artifact: `predictions.parquet` or `predictions.csv`, rows in the order of the data set."""
    keep: list[str] = Field([], max_length=1000)
    """Columns of the data set that are copied beside the predictions, such as an identifier."""
