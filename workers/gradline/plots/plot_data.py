"""What the plots of a job are drawn from: the artifact `plot_data.json` that its attempt wrote."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.plots.curve_numbers import Array, Scores

NAME = "plot_data.json"
MAX_POINTS = 5000
"""More points than this hide each other; every n-th is drawn."""


@dataclass(frozen=True)
class Frame:
    """The fit at one report."""

    step: int
    weights: Array | None
    """Of the two features; None where the fit was no longer finite."""
    bias: float
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Residuals:
    """Of at most some thousands of rows."""

    predicted_n: Array
    residual_n: Array

    @classmethod
    def parse(cls, raw: dict[str, list[float]]) -> "Residuals":
        return cls(np.asarray(raw["predicted"], float), np.asarray(raw["residual"], float))


@dataclass(frozen=True)
class Plane:
    """z_k = w_k2 x + c_k of the last parameters."""

    weights_k2: Array
    intercepts_k: Array

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "Plane":
        return cls(np.asarray(raw["weights"], float), np.asarray(raw["intercepts"], float))


@dataclass(frozen=True)
class PathLine:
    """One coefficient along the path."""

    label: str
    coefficient_t: Array


@dataclass(frozen=True)
class Path:
    """The regularisation path: s strengths with their held-out losses, t of them with coefficients."""

    points: list[dict[str, Any]]
    """As in the job's result."""
    choices: dict[str, int]
    """Indices of the points `best` and `one_standard_error`."""
    choose: str
    n_folds: int
    n_features: int
    n_lines: int
    """Coefficients that there are; of many only the largest have a line."""
    strength_t: Array
    lines: list[PathLine]
    """The largest at the weakest penalty first."""

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> "Path":
        return cls(
            points=raw["points"],
            choices={name: int(raw[name]) for name in ("best", "one_standard_error")},
            choose=str(raw["choose"]),
            n_folds=int(raw["folds"]),
            n_features=int(raw["n_features"]),
            n_lines=int(raw["n_coefficients"]),
            strength_t=np.asarray(raw["strengths"], float),
            lines=[PathLine(_line_label(line), np.asarray(line["coefficients"], float)) for line in raw["lines"]],
        )


@dataclass(frozen=True)
class PlotData:
    """The numbers behind every plot of a job."""

    feature_names: list[str]
    class_names: list[str]
    x_nd: Array | None
    """Points of a problem with two features, (n, 2); None for other problems."""
    y_n: NDArray[np.int64] | None
    """Class index of each point."""
    frames: list[Frame]
    best: Frame | None
    """The report whose parameters the fit gives, where they are not those of its last step."""
    history: dict[str, list[float | None]]
    """`step`, and the metrics at those steps."""
    confusion: dict[str, Array]
    """Part of the rows (`train`, `validation`) to counts, row = true class, column = predicted class."""
    title: str
    scores: dict[str, dict[int, Scores]]
    """Part of the rows to class to its rows by their scores; of two classes the second only."""
    residuals: dict[str, Residuals]
    """Where the target is a number: part of the rows to what was predicted and by how much it was missed."""
    coefficients: list[dict[str, Any]]
    """As in the job's result."""
    importance: list[dict[str, Any]]
    """As in the job's result; empty where it has none."""
    threshold: float
    plane: Plane | None
    """Where there are two features and several classes: the linear predictors of the classes over them."""
    path: Path | None
    """Where cross-validation chose the penalty."""

    @classmethod
    def parse(cls, text: bytes) -> "PlotData":
        raw = json.loads(text)
        points = raw.get("points")
        x_nd, y_n = (None, None) if points is None else _points(points)
        parts = raw.get("confusion_matrix") or {}
        return cls(
            feature_names=[str(name) for name in raw["feature_names"]],
            class_names=[str(name) for name in raw["class_names"]],
            x_nd=x_nd,
            y_n=y_n,
            frames=[_frame(frame) for frame in raw.get("frames") or []],
            best=_frame(raw["best"]) if raw.get("best") else None,
            history=raw["history"],
            confusion={part: np.asarray(counts, float) for part, counts in parts.items() if counts is not None},
            title=str(raw.get("title") or ""),
            scores={part: _scores(tables) for part, tables in (raw.get("scores") or {}).items()},
            residuals={part: Residuals.parse(table) for part, table in (raw.get("residuals") or {}).items()},
            coefficients=raw.get("coefficients") or [],
            importance=raw.get("importance") or [],
            threshold=float(raw.get("threshold") or 0.5),
            plane=Plane.parse(raw["plane"]) if raw.get("plane") else None,
            path=Path.parse(raw["path"]) if raw.get("path") else None,
        )

    def class_label(self, index: int) -> str:
        """How a legend names a class: `class 1 (positive)`, or `malignant (class 1, positive)`."""
        name, role = self.class_names[index], ""
        if len(self.class_names) == 2:
            role = "positive" if index == 1 else "negative"
        if name == str(index):
            return f"class {name} ({role})" if role else f"class {name}"
        return f"{name} (class {index}, {role})" if role else name


def _line_label(line: dict[str, Any]) -> str:
    return str(line["feature"]) + (f" ({line['class']})" if "class" in line else "")


def _points(points: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
    x_nd, y_n = np.asarray(points["x"], float), np.asarray(points["y"], int)
    every = -(-len(y_n) // MAX_POINTS)
    return x_nd[::every], y_n[::every]


def _scores(tables: dict[str, Any]) -> dict[int, Scores]:
    return {int(c): Scores.parse(table) for c, table in tables.items()}


def _frame(raw: dict[str, Any]) -> Frame:
    is_finite = raw["bias"] is not None and None not in raw["weights"]
    weights, bias = (np.asarray(raw["weights"], float), raw["bias"]) if is_finite else (None, 0.0)
    return Frame(int(raw["step"]), weights, bias, raw.get("loss"), raw.get("accuracy"))
