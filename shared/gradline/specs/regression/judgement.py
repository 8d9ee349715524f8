"""What is said of a finished fit: how sure its coefficients are, and how well it predicts."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gradline.specs.base import Misfit, Spec


class Inference(Spec):
    """Standard errors, tests and intervals of the coefficients."""

    std_errors: Literal["auto", "none", "hessian", "hc0", "hc1", "hc2", "hc3"] = "auto"
    """`hessian`: from the exact Hessian at the minimum. `hc0` to `hc3`: robust against a wrong variance (MacKinnon and
    White 1985). `auto`: from the Hessian where no penalty makes them meaningless and it is small enough to invert."""
    intervals: Literal["wald", "profile", "none"] = "wald"
    """`wald`: the estimate and its standard error. `profile`: from the profile likelihood, one fit for each end."""
    confidence: float = Field(0.95, gt=0.0, lt=1.0)
    """Chance that an interval covers the true coefficient."""
    bootstrap: int = Field(0, ge=0, le=10_000)
    """Fits to rows drawn with replacement, whose spread is told beside the standard errors. 0: none."""
    marginal_effects: bool = False
    """Tell by how much the mean of the target (of classes, their chances; for log-linear, the mean logarithm) goes with
    a unit of each column as given, on the average over the training rows, in the way of statsmodels' `get_margeff`: for
    levels the change from the reference level, for columns that hold only 0 and 1 that from 0 to 1, for others the
    derivative, all through interactions too. It reads the rows again."""
    influence: int | None = Field(None, ge=1, le=1000)
    """How many training rows to name that pull the estimates most, by Cook's distance. None: no row is looked at."""

    @property
    def is_asked(self) -> bool:
        """Whether standard errors are asked for, so that they may take long against the fit itself."""
        return self.std_errors not in ("auto", "none") or self.marginal_effects or self.influence is not None

    @model_validator(mode="after")
    def effects_have_errors(self) -> Self:
        if self.marginal_effects and self.std_errors == "none":
            reason = "`marginal_effects` come with standard errors, and `std_errors` is none; leave one of the two out"
            raise Misfit("marginal_effects", self.marginal_effects, reason)
        return self


class ThresholdTarget(Spec):
    """Which threshold to choose on the validation rows (without any, the training rows).

    `recall` and `precision`: the one that reaches `at_least` and is best in the other of the two. `f1`: the best.
    """

    metric: Literal["recall", "precision", "f1"]
    at_least: float | None = Field(None, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def target_is_whole(self) -> Self:
        if (self.metric == "f1") != (self.at_least is None):
            reason = "f1 is made as high as it goes; leave out" if self.metric == "f1" else f"{self.metric} needs"
            raise Misfit("at_least", self.at_least, f"{reason} `at_least`")
        return self


def _spelling(threshold: Any) -> str:
    return "target" if isinstance(threshold, dict | ThresholdTarget) else "number"


Threshold = Annotated[
    Annotated[float, Field(gt=0.0, lt=1.0), Tag("number")] | Annotated[ThresholdTarget, Tag("target")],
    Discriminator(_spelling),
]


class Evaluation(Spec):
    """How predictions are judged."""

    threshold: Threshold = 0.5
    """Class 1 is predicted from this probability on; or what to choose it for. Two classes only."""
    bootstrap: int = Field(200, ge=0, le=10_000)
    """Draws of the validation rows from which the intervals of the metrics come. 0: no intervals."""
