"""What a fit reported so far: the curve, the path of the weights, and which of its points are kept where."""

import math
from array import array
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MAX_POINTS = 300
"""Durable metric points of a job: what MLflow's charts draw."""
MAX_FRAMES = 60


class History:
    """One row a report: named numbers, NaN where there is none, and the weights where a path is drawn of them."""

    def __init__(self, names: Sequence[str], n_weights: int) -> None:
        self.steps = array("q")
        self.columns = {name: array("d") for name in names}
        self._n_weights = n_weights
        self._weights = array("d")

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, step: int, values: dict[str, float], weights: Sequence[float]) -> None:
        self.steps.append(step)
        for name, column in self.columns.items():
            column.append(values[name])
        self._weights.extend(weights[: self._n_weights])

    def weights_at(self, row: int) -> list[float]:
        return self._weights[row * self._n_weights : (row + 1) * self._n_weights].tolist()

    def last(self) -> dict[str, float]:
        """The newest report; empty before the first."""
        return {name: column[-1] for name, column in self.columns.items()} if self.steps else {}

    def state(self) -> dict[str, Tensor]:
        columns = {name: torch.tensor(column, dtype=torch.float64) for name, column in self.columns.items()}
        return {
            "steps": torch.tensor(self.steps, dtype=torch.int64),
            "weights": torch.tensor(self._weights, dtype=torch.float64),
            **{f"column.{name}": column for name, column in columns.items()},
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        self.steps = array("q", tensors["steps"].tolist())
        self._weights = array("d", tensors["weights"].tolist())
        self.columns = {name: array("d", tensors[f"column.{name}"].tolist()) for name in self.columns}


def point_stride(max_steps: int, report_every: int) -> int:
    """Every so many reports become a durable point."""
    return max(1, math.ceil(math.ceil(max_steps / report_every) / (MAX_POINTS - 1)))


def frame_rows(n_reports: int) -> list[int]:
    """Rows of the history that are drawn: first and last, and evenly between."""
    if n_reports <= MAX_FRAMES:
        return list(range(n_reports))
    return [round(i * (n_reports - 1) / (MAX_FRAMES - 1)) for i in range(MAX_FRAMES)]


def report_steps(last_step: int, report_every: int) -> list[int]:
    """Steps at which a fit that ended at `last_step` reported."""
    steps = list(range(0, last_step + 1, report_every))
    return steps if steps[-1] == last_step else [*steps, last_step]


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def finite_all(values: dict[str, float]) -> dict[str, float | None]:
    return {name: finite(value) for name, value in values.items()}


def as_json(value: Any) -> Any:
    """Nested lists of floats with None for what is not finite."""
    return [as_json(v) for v in value] if isinstance(value, list) else finite(value)
