"""How columns become features: fill what is missing, one-hot text, standardise. Fitted on the training rows only.

Shapes: n rows, d features, j columns of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradline.data.sample import Block, NumericBlock, Sample, TextColumn
from gradline.errors import PermanentError

MISSING_LEVEL = "(missing)"
Warn = Callable[[str, str], None]


@dataclass(frozen=True, eq=False)
class NumericFeatures:
    """The features of a numeric block: its columns, then one 0/1 feature for each in `indicators`."""

    names: list[str]
    fill_j: Tensor
    """What stands in for a missing value."""
    indicators: list[int]
    """Columns whose missing values are told by a feature of their own."""
    is_bare: bool
    """Nothing may be missing (policy `error`), so that there is nothing to do."""

    @property
    def feature_names(self) -> list[str]:
        return [*self.names, *(f"{self.names[j]} is missing" for j in self.indicators)]

    @property
    def feature_kinds(self) -> list[str]:
        return ["numeric"] * len(self.names) + ["indicator"] * len(self.indicators)

    def transform(self, block: NumericBlock) -> Tensor:
        if self.is_bare:
            return block.values_nj
        is_missing_nj = torch.isnan(block.values_nj)
        filled_nj = torch.where(is_missing_nj, self.fill_j, block.values_nj)
        return torch.cat((filled_nj, is_missing_nj[:, self.indicators].to(filled_nj.dtype)), 1)

    def describe(self) -> dict[str, Any]:
        indicators = [self.names[j] for j in self.indicators]
        return {"kind": "numeric", "columns": self.names, "fill": self.fill_j.tolist(), "indicators": indicators}


@dataclass(frozen=True)
class TextFeatures:
    """One 0/1 feature for each level but the first of a text column."""

    name: str
    levels: list[str]
    """Of the training rows; the first is the reference."""

    @property
    def feature_names(self) -> list[str]:
        return [f"{self.name}={level}" for level in self.levels[1:]]

    @property
    def feature_kinds(self) -> list[str]:
        return ["level"] * (len(self.levels) - 1)

    def transform(self, column: TextColumn, dtype: torch.dtype) -> Tensor:
        """A level that the training rows lack gives zeros everywhere, as the reference does."""
        own = {level: i for i, level in enumerate(self.levels)}
        position_l = torch.tensor([own.get(level, -1) for level in [*column.levels, MISSING_LEVEL]])
        position_n = position_l[column.code_n]
        return (position_n.unsqueeze(1) == torch.arange(1, len(self.levels))).to(dtype)

    def unseen(self, column: TextColumn) -> list[str]:
        levels = [*column.levels, MISSING_LEVEL]
        return sorted({levels[code] for code in column.code_n.unique().tolist()} - set(self.levels))

    def describe(self) -> dict[str, Any]:
        return {"kind": "text", "columns": [self.name], "levels": self.levels}


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """Fitted on training rows; `centre_d` and `scale_d` are 0 and 1 where nothing is standardised."""

    parts: list[NumericFeatures | TextFeatures]
    centre_d: Tensor
    scale_d: Tensor
    is_standardized: bool

    @property
    def feature_names(self) -> list[str]:
        return [name for part in self.parts for name in part.feature_names]

    @property
    def feature_kinds(self) -> list[str]:
        return [kind for part in self.parts for kind in part.feature_kinds]

    def features(self, sample: Sample) -> Tensor:
        """x_nd on the columns' own scale."""
        return _features(self.parts, sample.blocks, self.centre_d.dtype)

    def transform(self, sample: Sample) -> Tensor:
        """x_nd as training sees it."""
        x_nd = self.features(sample)
        return (x_nd - self.centre_d) / self.scale_d if self.is_standardized else x_nd

    def on_own_scale(self, theta_kp: Tensor) -> tuple[Tensor, Tensor]:
        """w_kd and c_k in float64 for the columns as given, from parameters of the features that training saw."""
        theta_kp, d = theta_kp.double(), len(self.scale_d)
        w_kd = theta_kp[:, :d]
        c_k = theta_kp[:, d] if theta_kp.shape[1] > d else torch.zeros_like(theta_kp[:, 0])
        if not self.is_standardized:
            return w_kd, c_k
        w_kd = w_kd / self.scale_d.double()
        return w_kd, c_k - w_kd @ self.centre_d.double()

    def rows_on_own_scale(self, x_nd: Tensor) -> Tensor:
        """Rows of features as training saw them, back on the scale of the columns as given; float64."""
        x_nd = x_nd.double()
        return x_nd * self.scale_d.double() + self.centre_d.double() if self.is_standardized else x_nd

    def warn_of_unseen(self, sample: Sample, warn: Warn) -> None:
        for part, block in zip(self.parts, sample.blocks, strict=True):
            if isinstance(part, TextFeatures) and isinstance(block, TextColumn) and (unseen := part.unseen(block)):
                shown = ", ".join(repr(level) for level in unseen[:5])
                warn(
                    f"unseen_level:{part.name}",
                    f"column {part.name!r}: {len(unseen)} levels of the validation rows do not occur in training "
                    f"and count as the reference level {part.levels[0]!r}: {shown}",
                )


def fit_preprocessing(
    sample: Sample, dtype: torch.dtype, *, missing: str, standardize: bool, centre: bool
) -> Preprocessing:
    """From the training rows. `centre`: also subtract the means, which needs an intercept to take them up."""
    parts = [_fit_part(block, sample, missing) for block in sample.blocks]
    names = [name for part in parts for name in part.feature_names]
    if not names:
        raise PermanentError("no feature is left: every text column has one level only", code="bad_data")
    centre_d, scale_d = torch.zeros(len(names), dtype=dtype), torch.ones(len(names), dtype=dtype)
    if standardize:
        x_nd = _features(parts, sample.blocks, dtype).double()
        share_n = _shares(sample)
        mean_d = share_n @ x_nd
        deviation_d = (share_n @ (x_nd - mean_d).square()).sqrt()
        is_constant_d = deviation_d <= 1e-12 * x_nd.abs().amax(0)
        scale_d = torch.where(is_constant_d, 1.0, deviation_d).to(dtype)
        centre_d = mean_d.to(dtype) if centre else centre_d
    return Preprocessing(parts, centre_d, scale_d, standardize)


def check_complete(sample: Sample) -> None:
    """The policy `error`: raises PermanentError naming each column with missing values and how many."""
    faults = []
    for block in sample.blocks:
        if isinstance(block, TextColumn):
            counts = {block.name: int((block.code_n < 0).sum())}
        else:
            counts = dict(zip(block.names, torch.isnan(block.values_nj).sum(0).tolist(), strict=True))
        faults += [f"{name!r} ({count})" for name, count in counts.items() if count]
    if faults:
        raise PermanentError(
            f"missing values in {', '.join(faults)}; set spec.preprocess.missing to mean, median or indicator",
            code="missing_values",
        )


def _fit_part(block: Block, sample: Sample, missing: str) -> NumericFeatures | TextFeatures:
    if isinstance(block, TextColumn):
        levels = [*block.levels, MISSING_LEVEL]
        seen = sorted(block.code_n.unique().tolist(), key=lambda code: code % len(levels))
        return TextFeatures(block.name, [levels[code] for code in seen])
    is_missing_nj = torch.isnan(block.values_nj)
    fill_j = torch.zeros(len(block.names), dtype=block.values_nj.dtype)
    if missing == "error":
        return NumericFeatures(block.names, fill_j, [], is_bare=True)
    for j, name in enumerate(block.names):
        present_n = ~is_missing_nj[:, j]
        if not bool(present_n.any()):
            raise PermanentError(f"column {name!r} has no value in the training rows; leave it out", code="bad_data")
        fill_j[j] = _fill(block.values_nj[present_n, j].double(), _shares(sample)[present_n], missing)
    indicators = is_missing_nj.any(0).nonzero().squeeze(1).tolist() if missing == "indicator" else []
    return NumericFeatures(block.names, fill_j, indicators, is_bare=False)


def _fill(value_r: Tensor, share_r: Tensor, missing: str) -> float:
    """The weighted mean, or the weighted median: halfway between the two values where the halves meet."""
    if missing != "median":
        return float(value_r @ share_r / share_r.sum())
    order_r = value_r.argsort()
    below_r, half = share_r[order_r].cumsum(0), share_r.sum() / 2
    tolerance = 1e-12 * half
    low = value_r[order_r[torch.searchsorted(below_r, half - tolerance)]]
    high = value_r[order_r[torch.searchsorted(below_r, half + tolerance)]]
    return float((low + high) / 2)


def _features(parts: list[NumericFeatures | TextFeatures], blocks: list[Block], dtype: torch.dtype) -> Tensor:
    pieces = []
    for part, block in zip(parts, blocks, strict=True):
        if isinstance(part, NumericFeatures) and isinstance(block, NumericBlock):
            pieces.append(part.transform(block))
        elif isinstance(part, TextFeatures) and isinstance(block, TextColumn):
            pieces.append(part.transform(block, dtype))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


def _shares(sample: Sample) -> Tensor:
    if sample.weight_n is None:
        return torch.full((sample.n,), 1 / sample.n, dtype=torch.float64)
    weight_n = sample.weight_n.double()
    return weight_n / weight_n.sum()
