"""What is learned of columns from the training rows: fills for missing numbers, and levels.

Shapes: n rows, r of them with a value, l levels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gradline.data.features import (
    MISSING_LEVEL,
    OTHER_LEVEL,
    InteractionFeatures,
    NumericFeatures,
    Part,
    TextFeatures,
)
from gradline.data.sample import CODES_AT_ONCE, Sample, TextColumn
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Preprocess

Warn = Callable[[str, str], None]


def learn_parts(sample: Sample, policy: Preprocess, warn: Warn) -> list[Part]:
    """One part a column, in their order, then one an interaction."""
    share_n = shares(sample)
    missing = {} if policy.missing == "error" else _columns_with_missing(sample)
    columns: dict[str, NumericFeatures | TextFeatures] = {}
    for name in sample.order:
        if name in sample.texts:
            columns[name] = learn_levels(sample.texts[name], share_n, policy, warn)
        else:
            columns[name] = _learn_number(sample, name, name in missing, share_n, policy.missing)
    return [*columns.values(), *_interactions(policy, columns)]


def shares(sample: Sample) -> Tensor:
    """Each row's share of the whole weight, float64."""
    weight_n = sample.roles.weight_n
    if weight_n is None:
        return torch.full((1,), 1 / sample.n, dtype=torch.float64).expand(sample.n)
    return weight_n.double() / weight_n.double().sum()


def _columns_with_missing(sample: Sample) -> dict[str, int]:
    """How many values are missing, of the columns that lack any. A sum tells without looking at each value."""
    values_nj = sample.numbers.values_nj
    suspects = torch.nonzero(torch.isnan(values_nj.sum(0))).squeeze(1).tolist()
    counts = {sample.numbers.names[j]: int(torch.isnan(values_nj[:, j]).sum()) for j in suspects}
    counts |= {name: int((column.code_n < 0).sum()) for name, column in sample.texts.items()}
    return {name: counts[name] for name in sample.order if counts.get(name)}


def _learn_number(sample: Sample, name: str, lacks: bool, share_n: Tensor, missing: str) -> NumericFeatures:
    numbers = sample.numbers
    is_boolean = name in numbers.booleans
    if missing == "error":
        return NumericFeatures(name, None, is_boolean=is_boolean)
    at = numbers.names.index(name)
    value_n = numbers.values_nj[:, at].double()
    if lacks:
        is_present_n = ~torch.isnan(value_n)
        value_n, share_n = value_n[is_present_n], _of_some_weight(share_n[is_present_n])
        if len(value_n) == 0:
            raise PermanentError(f"column {name!r} has no value in the training rows; leave it out", code="bad_data")
    fill = _FILLS[missing](value_n, share_n) + float(numbers.shift_j[at])
    return NumericFeatures(name, fill, has_indicator=missing == "indicator" and lacks, is_boolean=is_boolean)


def _of_some_weight(share_r: Tensor) -> Tensor:
    """Where all values are in rows of weight 0, as in a fold that lacks them, those fill the column."""
    return share_r if bool((share_r > 0).any()) else torch.ones_like(share_r)


def _mean(value_r: Tensor, share_r: Tensor) -> float:
    return float(value_r @ share_r / share_r.sum())


def _median(value_r: Tensor, share_r: Tensor) -> float:
    """Weighted: halfway between the two values where the halves meet."""
    order_r = value_r.argsort()
    below_r, half = share_r[order_r].cumsum(0), share_r.sum() / 2
    tolerance = 1e-12 * half
    low = value_r[order_r[torch.searchsorted(below_r, half - tolerance)]]
    high = value_r[order_r[torch.searchsorted(below_r, half + tolerance)]]
    return float((low + high) / 2)


def _most_frequent(value_r: Tensor, share_r: Tensor) -> float:
    """The value with most weight; of several, the lowest."""
    value_v, index_r = torch.unique(value_r, return_inverse=True)
    weight_v = torch.zeros(len(value_v), dtype=torch.float64).index_add_(0, index_r, share_r.contiguous())
    return float(value_v[torch.nonzero(weight_v >= weight_v.max() * (1 - 1e-12))[0]])


_FILLS: dict[str, Callable[[Tensor, Tensor], float]] = {
    "mean": _mean,
    "indicator": _mean,
    "median": _median,
    "most_frequent": _most_frequent,
}


def learn_levels(column: TextColumn, share_n: Tensor, policy: Preprocess, warn: Warn) -> TextFeatures:
    """Levels of the training rows in the column's order; `(missing)` and `(other)` stand last."""
    weight_l = torch.zeros(len(column.levels) + 1, dtype=torch.float64)
    for code_r, share_r in zip(column.code_n.split(CODES_AT_ONCE), share_n.split(CODES_AT_ONCE), strict=True):
        weight_l.index_add_(0, code_r.long() % len(weight_l), share_r.contiguous())
    if len(weight_l) > 1:
        weight_l[:-1] = _of_some_weight(weight_l[:-1])
    seen = [code for code in range(len(column.levels)) if weight_l[code] > 0]
    by_weight = sorted(seen, key=lambda code: -float(weight_l[code]))
    n_kept = len(seen) if len(seen) <= policy.max_levels else policy.max_levels - 1
    if policy.unseen == "own_level" and 1 < n_kept == len(seen):
        n_kept -= 1
    if len(seen) > policy.max_levels:
        warn(
            f"levels_gathered:{column.name}",
            f"column {column.name!r}: of {len(seen)} levels the {n_kept} most frequent are kept, and the others become "
            f"one level, {OTHER_LEVEL!r}; spec.preprocess.max_levels is {policy.max_levels}",
        )
    levels = [column.levels[code] for code in sorted(by_weight[:n_kept])]
    has_missing = bool(weight_l[-1] > 0)
    if has_missing and policy.missing != "most_frequent" and MISSING_LEVEL not in levels:
        levels.append(MISSING_LEVEL)
    if n_kept < len(seen) and OTHER_LEVEL not in levels:
        levels.append(OTHER_LEVEL)
    if not levels:
        raise PermanentError(f"column {column.name!r} has no value in the training rows; leave it out", code="bad_data")
    unseen = OTHER_LEVEL if OTHER_LEVEL in levels else None if policy.unseen == "error" else levels[0]
    most_frequent = column.levels[by_weight[0]] if by_weight else levels[0]
    missing = _missing_level(levels, policy, most_frequent, unseen)
    return TextFeatures(column.name, levels, missing, unseen, column.is_numeric)


def _missing_level(levels: list[str], policy: Preprocess, most_frequent: str, unseen: str | None) -> str | None:
    if policy.missing == "error":
        return None
    if policy.missing == "most_frequent":
        return most_frequent
    return MISSING_LEVEL if MISSING_LEVEL in levels else unseen


def _interactions(policy: Preprocess, columns: dict[str, NumericFeatures | TextFeatures]) -> list[InteractionFeatures]:
    for pair in policy.interactions:
        for name in pair:
            if name not in columns:
                reason = f"{name!r} is no feature; the features are: {', '.join(columns)}"
                raise PermanentError(f"spec.preprocess.interactions: {reason}", code="bad_data")
    return [InteractionFeatures(columns[a], columns[b]) for a, b in policy.interactions]
