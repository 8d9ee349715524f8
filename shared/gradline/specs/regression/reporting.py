"""What a running fit tells and keeps."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from gradline.specs.base import Spec, Spelled

ExportName = Literal["sql", "onnx", "pt2"]
PlotName = Literal[
    "boundary",
    "animation",
    "loss",
    "accuracy",
    "confusion_matrix",
    "roc",
    "precision_recall",
    "calibration",
    "thresholds",
    "gains",
    "coefficients",
    "importance",
    "residuals",
    "regions",
    "path",
    "gradient_norm",
]
RegisteredName = Annotated[
    str,
    Spelled(
        r"^[A-Za-z0-9_]([A-Za-z0-9_. -]{0,198}[A-Za-z0-9_-])?$",
        "must be 1 to 200 letters, digits, blanks and _ . -, beginning with a letter, a digit or _ and ending with no "
        "dot or blank",
    ),
]


class Report(Spec):
    every: int | None = Field(None, ge=1)
    """Report, and look at the stop rules, every this many steps, from step 0. None: 20 for sgd, adam and adamw, 1 for
    the others, whose steps are few."""
    plots: list[PlotName] = Field([name for name in get_args(PlotName) if name != "gradient_norm"])
    """`boundary` and `animation` need two features and two classes, `regions` two features and more classes,
    `thresholds` two classes, `residuals` a target of numbers, and all but `loss`, `coefficients` and `importance` of
    the others classes, `path` a `penalty.path`; elsewhere they are left out. The numbers of the curves are in
    `curves.json`, those of the path in `path.json` and of the importance in `importance.json`. `gradient_norm` costs a
    pass over the rows at each report, and is drawn only where it is asked for."""
    exports: list[ExportName] | None = None
    """Formats, besides the scorecard, that the model is written in once the job has ended, each checked on rows of the
    data: `sql`, `onnx`, and `pt2` for torch.export, which takes seconds. None: sql and onnx, but none where `plots` is
    empty."""
    register_as: RegisteredName | None = None
    """Name in MLflow's model registry under which the relay makes the model of a finished job the next version."""

    @property
    def chosen_exports(self) -> list[ExportName]:
        if self.exports is not None:
            return self.exports
        return ["sql", "onnx"] if self.plots else []


class Checkpoint(Spec):
    every_s: float = Field(10.0, ge=0.0)
    """Seconds between checkpoints; 0: at every report."""
