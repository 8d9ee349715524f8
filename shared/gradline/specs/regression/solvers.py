"""What minimises the objective, and when it stops."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradline.specs.base import Misfit, Spec

MAX_REPORTS = 1_000_000
MAX_LEARNING_RATE = 1e30
"""Far beyond any that serves, and its steps are numbers in float32 still, so that fits that diverge say so."""
LearningRate = Annotated[float, Field(gt=0.0, le=MAX_LEARNING_RATE)]


class StepSchedule(Spec):
    """The learning rate times `factor` after every `every` steps, as torch's StepLR."""

    name: Literal["step"]
    every: int = Field(ge=1)
    factor: float = Field(0.1, gt=0.0, lt=1.0)


class ExponentialSchedule(Spec):
    """The learning rate times `factor` after every step, as torch's ExponentialLR."""

    name: Literal["exponential"]
    factor: float = Field(gt=0.0, lt=1.0)


class CosineSchedule(Spec):
    """Half a cosine, from the learning rate to `final` of it at `stop.max_steps`, as torch's CosineAnnealingLR."""

    name: Literal["cosine"]
    final: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the learning rate that is left at the end."""


Schedule = Annotated[StepSchedule | ExponentialSchedule | CosineSchedule, Field(discriminator="name")]


class AutoSolver(Spec):
    """Chosen by the shape of the data, the penalty, sparsity and the device; the result says which and why."""

    name: Literal["auto"] = "auto"


class FirstOrder(Spec):
    """What the solvers that take many cheap steps share."""

    learning_rate: LearningRate
    batch_size: int | None = Field(None, ge=1)
    """Rows a step looks at; None: all."""
    schedule: Schedule | None = None
    """How the learning rate falls; None: it stays."""


class Sgd(FirstOrder):
    """Gradient descent as torch.optim.SGD defines it; the whole data set each step unless `batch_size` is set."""

    name: Literal["sgd"]
    learning_rate: LearningRate = 0.01
    momentum: float = Field(0.0, ge=0.0, lt=1.0)
    nesterov: bool = False

    @model_validator(mode="after")
    def nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0.0:
            raise Misfit("nesterov", self.nesterov, "`nesterov` needs a momentum above 0")
        return self


class _Moments(FirstOrder):
    learning_rate: LearningRate = 0.001
    beta1: float = Field(0.9, ge=0.0, lt=1.0)
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    epsilon: float = Field(1e-8, gt=0.0)


class Adam(_Moments):
    """Adam (Kingma and Ba 2015) as torch.optim.Adam defines it."""

    name: Literal["adam"]


class AdamW(_Moments):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) as torch.optim.AdamW defines it."""

    name: Literal["adamw"]
    weight_decay: float = Field(0.01, ge=0.0)
    """Share of every coefficient taken away at a step, times the learning rate; no part of the objective. The intercept
    is left alone."""


class Lbfgs(Spec):
    """Limited-memory BFGS with a strong-Wolfe line search (Nocedal and Wright 2006, algorithms 7.5 and 3.5)."""

    name: Literal["lbfgs"]
    memory: int = Field(10, ge=1, le=100)
    """Pairs of steps and gradient changes kept."""


class Newton(Spec):
    """Newton's method with Cholesky factors of the Hessian, started on a growing part of the rows."""

    name: Literal["newton"]


class NewtonCg(Spec):
    """Newton's method with steps from truncated conjugate gradients, for many features or sparse ones."""

    name: Literal["newton-cg"]


class Fista(Spec):
    """Proximal gradient with momentum and restarts, for l1 penalties and bounds (Beck and Teboulle 2009)."""

    name: Literal["fista"]


class ProximalNewton(Spec):
    """Newton's method with penalised least squares as its steps, for l1 penalties and bounds (Lee, Sun and Saunders
    2014)."""

    name: Literal["proximal-newton"]


Solver = Annotated[
    AutoSolver | Sgd | Adam | AdamW | Lbfgs | Newton | NewtonCg | Fista | ProximalNewton, Field(discriminator="name")
]
FIRST_ORDER = ("sgd", "adam", "adamw")
SMOOTH_ONLY = ("lbfgs", "newton", "newton-cg")
"""Those that cannot minimise with an l1 penalty or bounds."""


class Stop(Spec):
    max_steps: int = Field(1000, ge=1, le=10_000_000)
    tolerance: float = Field(1e-6, ge=0.0)
    """auto, the Newton solvers and fista stop once the objective is within this share of its minimum, by the bound that
    the certificate states; lbfgs, and fista without a penalty, once the largest absolute entry of the gradient falls to
    this. 0: never.
    sgd, adam and adamw do not look at it."""
    accuracy_above: float | None = Field(None, ge=0.0, lt=1.0)
    """Stop at a report once the training accuracy is above this."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many reports without a better `metric` on the validation rows; needs a validation split."""
    metric: Literal["loss", "accuracy"] = "loss"
    """What `patience` watches: the loss, which for classes is the log loss, or the accuracy."""
    restore_best: bool = True
    """With `patience`, a fit that stopped early or took all its steps gives the parameters of its report with the best
    `metric` on the validation rows, `best_step` in the result; false: those of its last step."""
