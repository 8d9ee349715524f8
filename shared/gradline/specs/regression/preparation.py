"""How rows are split and columns become features."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradline.specs.base import Misfit, Spec
from gradline.specs.regression.sources import Seed


class Split(Spec):
    """The rows held out for validation. Everything is fitted on the training rows only."""

    validation_fraction: float = Field(0.0, ge=0.0, le=0.9)
    seed: Seed = 0
    stratify: bool = True
    """Keep the share of every class the same in all parts, where the target has classes and rows have no group."""
    folds: int | None = Field(None, ge=2, le=50)
    """Cross-validate on the training rows with this many folds; None: not at all, unless `data.fold` names folds or
    `penalty.path` needs them."""


class Preprocess(Spec):
    """How columns become features; fitted on the training rows only."""

    standardize: bool | None = None
    """Centre and scale every feature while training; coefficients are reported on the columns' own scale.
    None: true, except for blobs. Sparse features are scaled but not centred."""
    missing: Literal["error", "mean", "median", "most_frequent", "indicator"] = "error"
    """What to do with missing values. `indicator`: the mean, and a further 0/1 feature that says where.
    In text columns a missing value becomes a level of its own, except under `error` and `most_frequent`."""
    categorical: Literal["onehot"] = "onehot"
    """One 0/1 feature for each level but the first (the reference level, in sorted order)."""
    unseen: Literal["error", "ignore", "own_level"] = "ignore"
    """What to do with levels that the training rows lack, where no `(other)` stands for them. `ignore`: they count as
    the reference level. `own_level`: the rarest level becomes `(other)`, and they count as it."""
    max_levels: int = Field(1000, ge=2, le=1_000_000)
    """Of a column with more levels the most frequent are kept and the others become one level, `(other)`."""
    interactions: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field([], max_length=1000)
    """Pairs of feature columns whose products are features too: of numbers, of numbers with levels, of levels."""
    sparse: Literal["auto", True, False] = "auto"
    """Keep features as a sparse matrix; `auto`: where there are many and few of their entries are not 0."""

    @model_validator(mode="after")
    def interactions_are_pairs(self) -> Self:
        seen: set[frozenset[str]] = set()
        for i, pair in enumerate(self.interactions):
            if pair[0] == pair[1]:
                raise Misfit(f"interactions[{i}]", None, f"pairs {pair[0]!r} with itself")
            if frozenset(pair) in seen:
                raise Misfit(f"interactions[{i}]", None, f"names the pair {pair[0]!r}, {pair[1]!r} twice")
            seen.add(frozenset(pair))
        return self
