"""What is answered to rows."""

from typing import Any
from uuid import UUID

from pydantic import Field

from gradline.api.answers import View


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
