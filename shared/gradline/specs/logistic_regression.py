"""The spec of a `logistic-regression` job."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradline.specs.base import Spec

Seed = Annotated[int, Field(ge=0, lt=2**63)]
MAX_REPORTS = 1_000_000


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


class Builtin(Spec):
    """One of the data sets that scikit-learn carries."""

    source: Literal["builtin"]
    name: Literal["breast_cancer", "digits", "iris", "wine"]


class Dataset(Spec):
    """An uploaded data set and the roles of its columns."""

    source: Literal["dataset"]
    dataset_id: str = Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    target: str = Field(min_length=1)
    features: list[str] | None = Field(None, min_length=1)
    """None: every column but the target and the weights."""
    positive_class: str | int | float | bool | None = None
    """The value of the target that counts as class 1; None: the last in sorted order. Two classes only."""
    weights: str | None = None
    """A numeric column of non-negative row weights; a row of weight 2 counts as that row twice."""

    @model_validator(mode="after")
    def roles_are_distinct(self) -> Self:
        if self.weights is not None and self.weights == self.target:
            raise ValueError(f"`weights` and `target` are both {self.target!r}; a column has one role")
        for role in (self.target, self.weights):
            if self.features is not None and role in self.features:
                raise ValueError(f"column {role!r} is both a feature and the target or the weights")
        if self.features is not None and len(set(self.features)) < len(self.features):
            raise ValueError("`features` names a column twice")
        return self


class Split(Spec):
    """The rows held out for validation. Everything is fitted on the training rows only."""

    validation_fraction: float = Field(0.0, ge=0.0, le=0.9)
    seed: Seed = 0
    stratify: bool = True
    """Keep the share of every class the same in both parts."""


class Preprocess(Spec):
    """How columns become features; fitted on the training rows only."""

    standardize: bool | None = None
    """Centre and scale every feature while training; coefficients are reported on the columns' own scale.
    None: true, except for blobs."""
    missing: Literal["error", "mean", "median", "indicator"] = "error"
    """What to do with missing values. `indicator`: the mean, and a further 0/1 feature that says where.
    In text columns a missing value becomes a level of its own, except under `error`."""
    categorical: Literal["onehot"] = "onehot"
    """One 0/1 feature for each level but the first (the reference level, in sorted order)."""


class Model(Spec):
    family: Literal["auto", "binomial", "multinomial"] = "auto"
    """`auto`: binomial for two classes in the target, multinomial for more."""
    fit_intercept: bool = True


class Penalty(Spec):
    """Added to the mean loss: `l1 * ||w||_1 + l2 / 2 * ||w||_2^2`. The intercept is not penalised.

    With n rows of weight 1, scikit-learn's `C` corresponds to `l2 = 1 / (C * n)`.
    """

    l1: float = Field(0.0, ge=0.0)
    l2: float = Field(0.0, ge=0.0)


class AutoSolver(Spec):
    """lbfgs, or fista where an l1 penalty makes the objective non-smooth."""

    name: Literal["auto"] = "auto"


class Sgd(Spec):
    """Gradient descent as torch.optim.SGD defines it; the whole data set each step unless `batch_size` is set."""

    name: Literal["sgd"]
    learning_rate: float = Field(0.01, gt=0.0)
    momentum: float = Field(0.0, ge=0.0, lt=1.0)
    nesterov: bool = False
    batch_size: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("`nesterov` needs a momentum above 0")
        return self


class Adam(Spec):
    """Adam (Kingma and Ba 2015) as torch.optim.Adam defines it."""

    name: Literal["adam"]
    learning_rate: float = Field(0.001, gt=0.0)
    beta1: float = Field(0.9, ge=0.0, lt=1.0)
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    epsilon: float = Field(1e-8, gt=0.0)
    batch_size: int | None = Field(None, ge=1)


class Lbfgs(Spec):
    """Limited-memory BFGS with a strong-Wolfe line search (Nocedal and Wright 2006, algorithms 7.5 and 3.5)."""

    name: Literal["lbfgs"]
    memory: int = Field(10, ge=1, le=100)
    """Pairs of steps and gradient changes kept."""


class Fista(Spec):
    """Proximal gradient with momentum and restarts, for l1 penalties (Beck and Teboulle 2009)."""

    name: Literal["fista"]


Solver = Annotated[AutoSolver | Sgd | Adam | Lbfgs | Fista, Field(discriminator="name")]


class Stop(Spec):
    max_steps: int = Field(1000, ge=1, le=10_000_000)
    tolerance: float = Field(1e-6, ge=0.0)
    """lbfgs and fista stop once the largest absolute entry of the (sub)gradient falls to this. 0: never."""
    accuracy_above: float | None = Field(None, ge=0.0, lt=1.0)
    """Stop at a report once the training accuracy is above this."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many reports without a lower validation log loss; needs a validation split."""


PlotName = Literal["boundary", "animation", "loss", "accuracy", "confusion_matrix"]


class Report(Spec):
    every: int | None = Field(None, ge=1)
    """Report, and look at the stop rules, every this many steps, from step 0. None: 20, but 1 for lbfgs and fista,
    whose steps are few."""
    plots: list[PlotName] = Field(["boundary", "animation", "loss", "accuracy", "confusion_matrix"])
    """`boundary` and `animation` need two features and two classes; elsewhere they are left out."""


class Checkpoint(Spec):
    every_s: float = Field(10.0, ge=0.0)
    """Seconds between checkpoints; 0: at every report."""


class LogisticRegressionSpec(Spec):
    """A logistic regression, binomial or multinomial."""

    data: Annotated[Blobs | Builtin | Dataset, Field(discriminator="source")] = Blobs()
    split: Split = Split()
    preprocess: Preprocess = Preprocess()
    model: Model = Model()
    penalty: Penalty = Penalty()
    solver: Solver = AutoSolver()
    stop: Stop = Stop()
    report: Report = Report()
    checkpoint: Checkpoint = Checkpoint()
    seed: Seed = 0
    dtype: Literal["float32", "float64"] | None = None
    """None: float32 for sgd and adam (what torch trains in by default), float64 for lbfgs and fista."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def solver_name(self) -> Literal["sgd", "adam", "lbfgs", "fista"]:
        """The solver that `auto` stands for, or the one named."""
        if self.solver.name == "auto":
            return "fista" if self.penalty.l1 > 0 else "lbfgs"
        return self.solver.name

    @property
    def is_first_order(self) -> bool:
        """sgd and adam take many cheap steps and start from drawn weights; the others take few and start from zero."""
        return self.solver_name in ("sgd", "adam")

    @property
    def report_every(self) -> int:
        return self.report.every or (20 if self.is_first_order else 1)

    @model_validator(mode="after")
    def parts_agree(self) -> Self:
        if self.stop.max_steps > MAX_REPORTS * self.report_every:
            raise ValueError(
                f"{self.stop.max_steps} steps with a report every {self.report_every}: "
                f"at most {MAX_REPORTS} reports are kept; raise report.every"
            )
        if self.penalty.l1 > 0 and self.solver.name == "lbfgs":
            raise ValueError(
                f"penalty.l1 is {self.penalty.l1}: lbfgs needs a smooth objective; use solver auto, fista, sgd or adam"
            )
        if self.stop.patience is not None and self.split.validation_fraction == 0.0:
            raise ValueError("stop.patience watches the validation log loss: set split.validation_fraction above 0")
        return self
