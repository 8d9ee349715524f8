"""Where the rows of a regression come from, and the roles of their columns."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradline.specs.base import Id, Misfit, Spec

Seed = Annotated[int, Field(ge=0, lt=2**63)]
ColumnName = Annotated[str, Field(min_length=1)]


class Blobs(Spec):
    """Two Gaussian clouds with unit variance in two dimensions.

    Class 0 is drawn around `(+mean + bias, +mean + bias)`, class 1 around `(-mean + bias, -mean + bias)`.
    """

    source: Literal["blobs"] = "blobs"
    samples_per_class: int = Field(100, ge=1, le=5_000_000)
    mean: float = 1.7
    bias: float = 1.0
    seed: Seed | None = None
    """None: drawn from the stream of the job's own seed, before the initial weights, as the notes' script does."""

    @property
    def n_rows(self) -> int:
        return 2 * self.samples_per_class


class Builtin(Spec):
    """One of the data sets that scikit-learn carries."""

    source: Literal["builtin"]
    name: Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]
    """The target of `diabetes` is a number, that of the others a class."""

    @property
    def has_classes(self) -> bool:
        return self.n_classes is not None

    @property
    def n_classes(self) -> int | None:
        """None: the target is a number."""
        return {"breast_cancer": 2, "digits": 10, "iris": 3, "wine": 3}.get(self.name)


class Dataset(Spec):
    """An uploaded data set and the roles of its columns; a column has one role."""

    source: Literal["dataset"]
    dataset_id: Id
    target: ColumnName
    features: list[str] | None = Field(None, min_length=1)
    """None: every column that has no other role."""
    positive_class: str | int | float | bool | None = None
    """The value of the target that counts as class 1; None: the last in sorted order. Two classes only."""
    missing_target: Literal["error", "drop"] = "error"
    """What to do with rows whose target has no value. `drop`: leave them out, as if the file did not have them; the
    result counts them."""
    weights: ColumnName | None = None
    """A numeric column of non-negative row weights; a row of weight 2 counts as that row twice."""
    offset: ColumnName | None = None
    """A numeric column that is added to the linear predictor with a coefficient of 1. Not for multinomial."""
    group: ColumnName | None = None
    """Rows with the same value in this column are never parted by a split: all train or all are held out."""
    fold: ColumnName | None = None
    """A column that names each row's fold of the cross-validation, in place of `split.folds`."""
    types: dict[ColumnName, Literal["numeric", "categorical"]] = Field({})
    """Features to be read otherwise than their values suggest: codes as levels, or text as numbers."""

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, by role."""
        named = {
            "target": self.target,
            "weights": self.weights,
            "offset": self.offset,
            "group": self.group,
            "fold": self.fold,
        }
        return {role: name for role, name in named.items() if name is not None}

    @model_validator(mode="after")
    def roles_are_distinct(self) -> Self:
        taken: dict[str, str] = {}
        for role, name in self.roles.items():
            if name in taken:
                reason = f"`{role}` and `{taken[name]}` are both {name!r}; a column has one role"
                raise Misfit(role, name, reason)
            taken[name] = role
        return self

    @model_validator(mode="after")
    def features_are_distinct(self) -> Self:
        taken = {name: f"the {role}" for role, name in self.roles.items()}
        for i, name in enumerate(self.features or []):
            if name in taken:
                raise Misfit(f"features[{i}]", name, f"column {name!r} is {taken[name]} already; a column has one role")
            taken[name] = f"features[{i}]"
        return self

    @model_validator(mode="after")
    def types_are_of_features(self) -> Self:
        for name, wanted in self.types.items():
            if name in self.roles.values() or (self.features is not None and name not in self.features):
                raise Misfit(f"types.{name}", wanted, f"`types` says how features are read, and {name!r} is none")
        return self
