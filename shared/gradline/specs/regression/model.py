"""What is fitted: the family, the weights of classes and the penalty."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from gradline.specs.base import Misfit, Spec

FamilyName = Literal["auto", "binomial", "multinomial", "gaussian", "log-linear", "poisson"]
NUMERIC_FAMILIES = ("gaussian", "log-linear", "poisson")
"""Those whose target is a number; `auto` never chooses one of them."""


def _spelling(weights: Any) -> str:
    return "each" if isinstance(weights, dict) else "rule"


ClassWeights = Annotated[
    Annotated[Literal["balanced"], Tag("rule")]
    | Annotated[dict[str, Annotated[float, Field(gt=0.0)]], Field(min_length=1), Tag("each")],
    Discriminator(_spelling),
]


class Bounds(Spec):
    """What a coefficient may be, on the scale of the columns as given; the same number twice holds it there."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def there_is_something_between(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise Misfit("at_least", None, "bounds nothing: give `at_least`, `at_most` or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            reason = f"nothing is at least {self.at_least:g} and at most {self.at_most:g}"
            raise Misfit("at_least", self.at_least, reason)
        return self


class Model(Spec):
    family: FamilyName = "auto"
    """`auto`: binomial for two classes in the target, multinomial for more; a target of numbers needs its family named,
    and so do classes that are numbers with fractions or more than 20 whole numbers.
    `gaussian`: linear regression, least squares. `log-linear`: least squares on the logarithm of a positive target.
    `poisson`: counts or rates, with the logarithm as link."""
    fit_intercept: bool = True
    class_weights: ClassWeights | None = None
    """Factors on the weights of rows by their class. `balanced`: every class weighs the same in sum, and the rows as
    much as without. Or a weight for each class by its name; a class that is not named keeps 1."""
    bounds: Annotated[dict[str, Bounds], Field(min_length=1)] | None = None
    """On coefficients, by the name of a column or of a feature as the result spells it. Those of a column are for its
    own coefficients, those of all its levels if it has any, and not for `... is missing` or interactions, which have
    names of their own. Where both a column and one of its levels are named, both hold. For multinomial they are for
    each class's coefficient, and need a penalty: without one, only differences between classes mean anything."""
    non_negative: bool = False
    """All coefficients but the intercept are at least 0."""

    @property
    def is_bounded(self) -> bool:
        return self.bounds is not None or self.non_negative

    @property
    def is_numeric(self) -> bool:
        """Whether the target is a number rather than a class."""
        return self.family in NUMERIC_FAMILIES

    @model_validator(mode="after")
    def something_is_not_negative(self) -> Self:
        for name, bounds in (self.bounds or {}).items():
            if self.non_negative and bounds.at_most is not None and bounds.at_most < 0:
                reason = f"`non_negative` leaves nothing at most {bounds.at_most:g}"
                raise Misfit(f"bounds.{name}.at_most", bounds.at_most, reason)
        return self

    @model_validator(mode="after")
    def class_weights_need_classes(self) -> Self:
        if self.class_weights is not None and self.is_numeric:
            shown = self.class_weights if isinstance(self.class_weights, str) else None
            reason = f"`class_weights` weigh classes, and the family {self.family} has none; use data.weights"
            raise Misfit("class_weights", shown, reason)
        return self


class PenaltyPath(Spec):
    """Fits for a falling row of penalty strengths, one started from another, and the choice by cross-validation.

    Strength s is the penalty `s * (l1_ratio * ||w||_1 + (1 - l1_ratio) / 2 * ||w||_2^2)`. The largest is the smallest
    for which every coefficient is 0 (for an `l1_ratio` below 0.001, that of 0.001), and they fall geometrically.
    """

    n_values: int = Field(50, ge=2, le=1000)
    smallest: float = Field(1e-4, gt=0.0, lt=1.0)
    """The last strength as a share of the largest."""
    l1_ratio: float = Field(1.0, ge=0.0, le=1.0)
    choose: Literal["best", "one_standard_error"] = "best"
    """By the held-out loss: the lowest, or the strongest penalty within one standard error of it."""


class Penalty(Spec):
    """Added to the mean loss: `l1 * ||w||_1 + l2 / 2 * ||w||_2^2`. The intercept is not penalised.

    With n rows of weight 1, scikit-learn's `C` corresponds to `l2 = 1 / (C * n)`.
    """

    l1: float = Field(0.0, ge=0.0)
    l2: float = Field(0.0, ge=0.0)
    path: PenaltyPath | None = None
    """Let cross-validation choose how strong the penalty is, with `split.folds` folds (5 unless set)."""

    @model_validator(mode="after")
    def strength_is_given_or_chosen(self) -> Self:
        if self.path is not None and (self.l1 > 0 or self.l2 > 0):
            field, value = ("l1", self.l1) if self.l1 > 0 else ("l2", self.l2)
            raise Misfit(field, value, "`path` chooses the penalty: leave out l1 and l2")
        return self

    @property
    def is_there(self) -> bool:
        return self.l1 > 0 or self.l2 > 0 or self.path is not None

    @property
    def has_l1(self) -> bool:
        return self.l1 > 0 or (self.path is not None and self.path.l1_ratio > 0)
