"""The spec of a `logistic-regression` job; its parts stand in `regression`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gradline.specs.base import Misfit, Spec
from gradline.specs.regression.judgement import Evaluation, Inference, ThresholdTarget
from gradline.specs.regression.model import Model, Penalty, PenaltyPath
from gradline.specs.regression.preparation import Preprocess, Split
from gradline.specs.regression.reporting import Checkpoint, PlotName, Report
from gradline.specs.regression.solvers import (
    FIRST_ORDER,
    MAX_REPORTS,
    SMOOTH_ONLY,
    Adam,
    AdamW,
    AutoSolver,
    Fista,
    Lbfgs,
    Newton,
    NewtonCg,
    ProximalNewton,
    Sgd,
    Solver,
    Stop,
)
from gradline.specs.regression.sources import Blobs, Builtin, Dataset, Seed

__all__ = [
    "Adam",
    "AdamW",
    "AutoSolver",
    "Blobs",
    "Builtin",
    "Checkpoint",
    "Dataset",
    "Evaluation",
    "Fista",
    "Inference",
    "Lbfgs",
    "LogisticRegressionSpec",
    "Model",
    "Newton",
    "NewtonCg",
    "Penalty",
    "PenaltyPath",
    "PlotName",
    "Preprocess",
    "ProximalNewton",
    "Report",
    "Sgd",
    "Solver",
    "Split",
    "Stop",
    "ThresholdTarget",
]

DEFAULT_FOLDS = 5
MULTINOMIAL_BOUNDS = (
    "bounds on multinomial coefficients mean nothing without a penalty, because only differences between classes are "
    "determined: set penalty.l2 above 0, or leave out model.bounds and non_negative"
)
ONE_PREDICTOR = "the influence of rows is told of families with one linear predictor"


class LogisticRegressionSpec(Spec):
    """A logistic regression, binomial or multinomial, or one of its relatives for numbers."""

    data: Annotated[Blobs | Builtin | Dataset, Field(discriminator="source")] = Blobs()
    split: Split = Split()
    preprocess: Preprocess = Preprocess()
    model: Model = Model()
    penalty: Penalty = Penalty()
    solver: Solver = AutoSolver()
    stop: Stop = Stop()
    on_separation: Literal["warn", "firth", "ridge", "error"] = "warn"
    """What to do where classes can be separated, so that coefficients have no finite estimate. `warn`: say so, with the
    columns that separate. `firth`: fit by Firth's penalised likelihood (Firth 1993). `ridge`: fit again with a small l2
    penalty. `error`: fail."""
    inference: Inference = Inference()
    evaluation: Evaluation = Evaluation()
    report: Report = Report()
    checkpoint: Checkpoint = Checkpoint()
    seed: Seed = 0
    dtype: Literal["float32", "float64"] | None = None
    """None: float32 for sgd, adam and adamw (what torch trains in by default), float64 for the others; but float32 for
    two classes and 100,000 rows or more without weights, where that holds all features of the file exactly and
    they are standardised and not sparse."""
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def is_first_order(self) -> bool:
        """Many cheap steps from drawn weights; the other solvers take few and draw nothing."""
        return self.solver.name in FIRST_ORDER

    @property
    def report_every(self) -> int:
        return self.report.every or (20 if self.is_first_order else 1)

    @property
    def n_folds(self) -> int | None:
        """Of the cross-validation; None where there is none, or a column names the folds."""
        if isinstance(self.data, Dataset) and self.data.fold is not None:
            return None
        return self.split.folds or (DEFAULT_FOLDS if self.penalty.path is not None else None)

    @model_validator(mode="after")
    def parts_agree(self) -> Self:
        if self.stop.max_steps > MAX_REPORTS * self.report_every:
            raise Misfit(
                "stop.max_steps",
                self.stop.max_steps,
                f"{self.stop.max_steps} steps with a report every {self.report_every}: "
                f"at most {MAX_REPORTS} reports are kept; raise report.every",
            )
        if self.stop.patience is not None and self.split.validation_fraction == 0.0:
            reason = "stop.patience watches the validation rows: set split.validation_fraction above 0"
            raise Misfit("stop.patience", self.stop.patience, reason)
        return self

    @model_validator(mode="after")
    def solver_fits_the_penalty(self) -> Self:
        name = self.solver.name
        if self.penalty.has_l1 and name in SMOOTH_ONLY:
            given = f"l1 is {self.penalty.l1}" if self.penalty.path is None else "path has an l1 part"
            raise Misfit(
                "solver.name",
                name,
                f"penalty.{given}: {name} needs a smooth objective; "
                "use solver auto, fista, proximal-newton, sgd or adam",
            )
        if self.model.is_bounded and name in (*SMOOTH_ONLY, *FIRST_ORDER):
            given = "non_negative" if self.model.non_negative else "bounds"
            reason = f"model.{given}: {name} knows no bounds; use solver auto, proximal-newton or fista"
            raise Misfit("solver.name", name, reason)
        if self.penalty.path is not None and name in FIRST_ORDER:
            reason = f"penalty.path needs fits that end at the minimum, which {name} does not; use solver auto"
            raise Misfit("solver.name", name, reason)
        return self

    @model_validator(mode="after")
    def family_fits_the_data(self) -> Self:
        has_classes = not isinstance(self.data, Builtin) or self.data.has_classes
        if has_classes and self.model.is_numeric and not isinstance(self.data, Dataset):
            reason = f"model.family is {self.model.family}, but the target of this data set is a class"
            raise Misfit("model.family", self.model.family, reason)
        if not has_classes and not self.model.is_numeric:
            raise Misfit(
                "model.family",
                self.model.family,
                f"model.family is {self.model.family}, but the target of this data set is a number: "
                "name gaussian, log-linear or poisson",
            )
        return self

    @model_validator(mode="after")
    def classes_are_as_many_as_the_family_takes(self) -> Self:
        """As far as the data are known before a file is looked at."""
        n_classes = self.data.n_classes if isinstance(self.data, Builtin) else None
        if n_classes is None or n_classes == 2:
            return self
        if self.model.family == "binomial":
            raise Misfit("model.family", "binomial", f"the target of this data set has {n_classes} classes")
        if self.evaluation.threshold != 0.5:
            reason = f"decides between two classes; the target of this data set has {n_classes}"
            raise Misfit("evaluation.threshold", _plain(self.evaluation.threshold), reason)
        if self.inference.influence is not None:
            reason = f"{ONE_PREDICTOR}; the target of this data set has {n_classes} classes"
            raise Misfit("inference.influence", self.inference.influence, reason)
        return self

    @model_validator(mode="after")
    def no_fold_of_blobs_is_empty(self) -> Self:
        if isinstance(self.data, Blobs) and self.n_folds is not None and self.n_folds > self.data.n_rows:
            reason = f"{self.n_folds} folds of {self.data.n_rows} rows leave one empty; ask for fewer"
            raise Misfit("split.folds", self.split.folds, reason)
        return self

    @model_validator(mode="after")
    def classes_are_there_where_asked_for(self) -> Self:
        """Numbers have no classes to count, separate or decide between."""
        if not self.model.is_numeric:
            return self
        asked: dict[str, tuple[Any, Any]] = {
            "data.positive_class": (getattr(self.data, "positive_class", None), None),
            "stop.accuracy_above": (self.stop.accuracy_above, None),
            "stop.metric": (self.stop.metric, "loss"),
            "on_separation": (self.on_separation, "warn"),
            "evaluation.threshold": (self.evaluation.threshold, 0.5),
        }
        for field, (value, without) in asked.items():
            if value != without:
                shown = f"{field} {value}" if isinstance(value, str) else field
                raise Misfit(
                    field, _plain(value), f"{shown} needs classes, and the family {self.model.family} has none"
                )
        return self

    @model_validator(mode="after")
    def roles_fit_the_family_and_the_split(self) -> Self:
        if self.model.family == "multinomial" and self.evaluation.threshold != 0.5:
            reason = "evaluation.threshold decides between two classes; model.family is multinomial"
            raise Misfit("evaluation.threshold", _plain(self.evaluation.threshold), reason)
        if self.model.family == "multinomial" and self.inference.influence is not None:
            reason = f"{ONE_PREDICTOR}; model.family is multinomial"
            raise Misfit("inference.influence", self.inference.influence, reason)
        if not isinstance(self.data, Dataset):
            return self
        if self.data.offset is not None and self.model.family == "multinomial":
            reason = "data.offset is for families with one linear predictor; model.family is multinomial"
            raise Misfit("data.offset", self.data.offset, reason)
        if self.data.fold is None:
            return self
        for field, value in (
            ("split.folds", self.split.folds),
            ("split.validation_fraction", self.split.validation_fraction),
            ("data.group", self.data.group),
        ):
            if value:
                raise Misfit(field, value, f"data.fold says which rows are held out together: leave out {field}")
        return self

    @model_validator(mode="after")
    def firth_is_the_only_penalty(self) -> Self:
        if self.on_separation == "firth" and (self.penalty.l1 > 0 or self.penalty.l2 > 0 or self.penalty.path):
            reason = "on_separation firth is a penalty of its own: leave out penalty"
            raise Misfit("on_separation", "firth", reason)
        return self

    @model_validator(mode="after")
    def bounds_are_kept_by_every_fit(self) -> Self:
        if not self.model.is_bounded:
            return self
        if self.on_separation in ("firth", "ridge"):
            reason = f"on_separation {self.on_separation} fits without bounds: leave out model.bounds and non_negative"
            raise Misfit("on_separation", self.on_separation, reason)
        if self.inference.bootstrap > 0:
            reason = "the bootstrap fits without bounds, and its spread means little where one holds: leave it out"
            raise Misfit("inference.bootstrap", self.inference.bootstrap, reason)
        if self.model.family == "multinomial" and not self.penalty.is_there:
            raise Misfit("model.family", "multinomial", MULTINOMIAL_BOUNDS)
        return self


def _plain(value: Any) -> Any:
    """A value to show; parts of a spec are not."""
    return None if isinstance(value, Spec) else value
