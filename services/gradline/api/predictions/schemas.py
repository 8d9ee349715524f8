"""What is answered to rows."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from gradline.api.answers import View
from gradline.specs.prediction import PredictionOptions


class PredictionQuery(PredictionOptions):
    """What is told beside predictions; numbers in an address are text."""

    model_config = ConfigDict(strict=False)


class IntervalsView(View):
    """Of each row; null where an end overflows."""

    confidence: float
    df: float | None = Field(description="Degrees of freedom of Student's t; null: from the normal distribution")
    std_errors: list[float] = Field(description="Of the linear predictor: log-odds, logarithm, or the mean itself")
    low: list[float | None] = Field(
        description="Of the mean: of two classes of the probability of the second, for log-linear models of the "
        "geometric mean"
    )
    high: list[float | None]
    observation_low: list[float | None] | None = Field(
        description="Of a new observation; null for families other than gaussian and log-linear"
    )
    observation_high: list[float | None] | None


class ContributionsView(View):
    """What each column adds to the linear predictor of a row (log-odds, logarithm, or the mean itself): coefficients
    times what the values are above their means over the training rows."""

    terms: list[str] = Field(
        description="Columns, with their levels and indicators added up; `a:b` for an interaction; last the offset's "
        "column where the model has one"
    )
    base: list[float] = Field(
        description="The mean linear predictor of the training rows: one number, of several classes one each. With the "
        "contributions of a row it adds up to the row's"
    )
    rows: list[list[list[float]]] = Field(
        description="Of each row as many lists as `base` has numbers, in the order of `terms`"
    )


class PredictionView(View):
    """Predictions in the order of the rows: probabilities and classes, or values where the target is a number."""

    job_id: UUID
    model_sha256: str = Field(description="Of the model file that predicted")
    family: str
    target: str | None = Field(description="The column that is predicted; null where the data had no name for it")
    n_rows: int
    class_names: list[Any] | None = Field(description="The target's values; null where the target is a number")
    threshold: float | None = Field(description="Of two classes the second is predicted from this probability on")
    classes: list[Any] | None = Field(description="The predicted class of each row")
    probabilities: list[list[float]] | None = Field(description="Of each row, one a class, as in `class_names`")
    values: list[float | None] | None = Field(
        description="Where the target is a number: the predicted mean, for "
        "log-linear models the geometric mean; null where it overflows"
    )
    interval: IntervalsView | None = Field(description="Where `interval` was asked for")
    contributions: ContributionsView | None = Field(description="Where `contributions` was asked for")
