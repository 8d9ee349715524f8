"""What is learned of columns from the training rows: fills for missing numbers, and levels.

Shapes: n rows, r of them with a value, l levels.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gradline.data.features import (
    MISSING_LEVEL,
    OTHER_LEVEL,
    STANDS_FOR,
    InteractionFeatures,
    NumericFeatures,
    Part,
    TextFeatures,
    names_of,
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
    parts = [*columns.values(), *_interactions(policy, columns)]
    _tell_of_quotes(parts, warn)
    return parts


def _tell_of_quotes(parts: list[Part], warn: Warn) -> None:
    plain = [name for part in parts for name in part.feature_names]
    if quoted := [a for a, b in zip(names_of(parts), plain, strict=True) if a != b]:
        n_more = f" and {len(quoted) - 5} more" if len(quoted) > 5 else ""
        reason = "features with the name of another are spelled with quotes, but for columns: "
        warn("feature_names", reason + ", ".join(quoted[:5]) + n_more)


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
    """Levels of the training rows in the column's order; `(missing)` and `(other)` stand last, also where rows spell
    them."""
    weight_l = _weigh_levels(column, share_n)
    seen = [code for code in range(len(column.levels)) if weight_l[code] > 0]
    by_weight = sorted(seen, key=lambda code: -float(weight_l[code]))
    spelled = {column.levels[code] for code in seen} & STANDS_FOR.keys()
    ranked = [code for code in by_weight if column.levels[code] not in spelled]
    n_kept = _n_kept(column.name, len(ranked), policy, warn, has_other=OTHER_LEVEL in spelled)
    is_gathered, has_missing = n_kept < len(ranked), bool(weight_l[-1] > 0)
    levels = [column.levels[code] for code in sorted(ranked[:n_kept])]
    if MISSING_LEVEL in spelled or (has_missing and policy.missing != "most_frequent"):
        levels.append(MISSING_LEVEL)
    if OTHER_LEVEL in spelled or is_gathered:
        levels.append(OTHER_LEVEL)
    if not levels:
        raise PermanentError(f"column {column.name!r} has no value in the training rows; leave it out", code="bad_data")
    unseen = _unseen_level(levels, policy, is_gathered=is_gathered)
    most_frequent = column.levels[by_weight[0]] if by_weight else levels[0]
    missing = _missing_level(levels, policy, most_frequent, unseen)
    for level in sorted(spelled & {missing, unseen}):
        reason = f"column {column.name!r} holds {level!r}, which stands for {STANDS_FOR[level]} too: they are one level"
        warn(f"own_level:{column.name}:{level}", reason)
    return TextFeatures(column.name, levels, missing, unseen, column.is_numeric)


def _weigh_levels(column: TextColumn, share_n: Tensor) -> Tensor:
    """Of the column's own, and last of missing values."""
    weight_l = torch.zeros(len(column.levels) + 1, dtype=torch.float64)
    for code_r, share_r in zip(column.code_n.split(CODES_AT_ONCE), share_n.split(CODES_AT_ONCE), strict=True):
        weight_l.index_add_(0, code_r.long() % len(weight_l), share_r.contiguous())
    if len(weight_l) > 1:
        weight_l[:-1] = _of_some_weight(weight_l[:-1])
    return weight_l


def _n_kept(name: str, n: int, policy: Preprocess, warn: Warn, *, has_other: bool) -> int:
    """How many of n levels keep a name of their own. `has_other`: rows spell `(other)`, which is none of them."""
    if n + has_other <= policy.max_levels:
        gathers_rarest = policy.unseen == "own_level" and n > 1 and not has_other
        return n - 1 if gathers_rarest else n
    n_kept = policy.max_levels - 1
    warn(
        f"levels_gathered:{name}",
        f"column {name!r}: of {n} levels the {n_kept} most frequent are kept, and the others become "
        f"one level, {OTHER_LEVEL!r}; spec.preprocess.max_levels is {policy.max_levels}",
    )
    return n_kept


def _unseen_level(levels: list[str], policy: Preprocess, *, is_gathered: bool) -> str | None:
    """Rows that spell `(other)` make no unseen level pass that the spec calls an error."""
    if policy.unseen == "error" and not is_gathered:
        return None
    return OTHER_LEVEL if OTHER_LEVEL in levels else levels[0]


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
