"""Whether the columns of an uploaded table can play the roles that a spec gives them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradline.errors import InputFault, InvalidInput
from gradline.specs.logistic_regression import Dataset, LogisticRegressionSpec
from gradline.tables import Column

MAX_CLASSES = 1000
ALL_ZERO = "is 0 in every row: no finite coefficients say that nothing ever happens"
_NUMBERS = ("integer", "number")
_NAME_A_FAMILY = "for a target of numbers set model.family to gaussian, log-linear or poisson"


def check_columns(spec: LogisticRegressionSpec, columns: Sequence[Column]) -> None:
    """Raises InvalidInput with every fault. `columns` is what `tables.profile` returned; the data are a `Dataset`."""
    data = spec.data
    assert isinstance(data, Dataset)  # noqa: S101  the caller looked
    by_name = {column["name"]: column for column in columns}
    names = features_of(data, columns)
    faults = [*_unknown(data, by_name, spec.preprocess.interactions, names)]
    faults += _empty_faults(data, by_name)
    if data.target in by_name and not _is_empty(by_name[data.target]):
        faults += _target_faults(spec, data, by_name[data.target])
    for role, name in data.roles.items():
        if name in by_name and role != "target" and not _is_empty(by_name[name]):
            faults += _role_faults(role, by_name[name])
    if not names:
        faults.append(InputFault("spec.data.features", None, "no column is left to be a feature"))
    for name in names:
        if name in by_name and not _is_empty(by_name[name]):
            faults += _feature_faults(by_name[name], spec.preprocess.missing)
    if faults:
        raise InvalidInput(faults)


def features_of(data: Dataset, columns: Sequence[Column]) -> list[str]:
    """The feature columns: those the spec lists, or all that hold a value and have no other role."""
    if data.features:
        return list(data.features)
    taken = set(data.roles.values())
    return [column["name"] for column in columns if column["name"] not in taken and not _is_empty(column)]


def empty_columns(data: Dataset, columns: Sequence[Column]) -> list[str]:
    """Those that are left out of the features because they hold no value."""
    return [] if data.features else [column["name"] for column in columns if _is_empty(column)]


def _is_empty(column: Column) -> bool:
    return bool(column["n_distinct"] == 0)


def _n_distinct(column: Column) -> float:
    """Infinite where they were too many to be counted."""
    return math.inf if column["n_distinct"] is None else int(column["n_distinct"])


def _told(n: float) -> str:
    return "thousands of" if n == math.inf else str(n)


def _empty_faults(data: Dataset, by_name: Mapping[str, Column]) -> Iterator[InputFault]:
    """Of columns that the spec names although they hold no value."""
    for field, name in _named(data).items():
        if name in by_name and _is_empty(by_name[name]):
            yield InputFault(f"spec.data.{field}", name, "is empty: it holds no value in any row; name another column")


def _unknown(
    data: Dataset, by_name: Mapping[str, Column], pairs: Sequence[Sequence[str]], features: Sequence[str]
) -> Iterator[InputFault]:
    for field, name in _named(data).items():
        if name not in by_name:
            known = ", ".join(map(repr, by_name))
            yield InputFault(f"spec.data.{field}", name, f"no such column; the columns are: {known}")
    for i, pair in enumerate(pairs):
        for name in pair:
            if name not in features:
                reason = f"is no feature; the features are: {', '.join(features)}"
                yield InputFault(f"spec.preprocess.interactions[{i}]", name, reason)


def _named(data: Dataset) -> dict[str, str]:
    """Every column that the spec names, by the field that does."""
    named = data.roles | {f"features[{i}]": name for i, name in enumerate(data.features or [])}
    return named | {f"types.{name}": name for name in data.types}


def _target_faults(spec: LogisticRegressionSpec, data: Dataset, column: Column) -> list[InputFault]:
    field, family = "spec.data.target", spec.model.family
    if column["n_missing"]:
        return [InputFault(field, data.target, f"has no value in {column['n_missing']} of its rows; leave them out")]
    if spec.model.is_numeric:
        if column["type"] not in _NUMBERS:
            return [InputFault(field, data.target, f"the family {family} needs numbers; it holds {column['type']}")]
        if family == "poisson" and column["min"] == column["max"] == 0:
            return [InputFault(field, data.target, ALL_ZERO)]
        return []
    n_classes = _n_distinct(column)
    if n_classes < 2:
        return [InputFault(field, data.target, f"has one class only: {column['levels'][0]!r}")]
    if n_classes > MAX_CLASSES or (column["type"] == "number" and "levels" not in column):
        mend = f"; {_NAME_A_FAMILY}" if column["type"] in _NUMBERS else ""
        return [InputFault(field, data.target, f"has {_told(n_classes)} distinct values, too many to be classes{mend}")]
    return [*_class_faults(spec, data, column)]


def _class_faults(spec: LogisticRegressionSpec, data: Dataset, column: Column) -> Iterator[InputFault]:
    n_classes = _n_distinct(column)
    if spec.model.family == "binomial" and n_classes > 2:
        yield InputFault("spec.model.family", "binomial", f"the target {data.target!r} has {n_classes} classes")
    is_multinomial = spec.model.family == "multinomial" or n_classes > 2
    if is_multinomial and data.offset is not None:
        yield InputFault("spec.data.offset", data.offset, f"is for two classes; {data.target!r} is multinomial")
    if is_multinomial and spec.evaluation.threshold != 0.5:
        yield InputFault("spec.evaluation.threshold", None, f"is for two classes; {data.target!r} is multinomial")
    yield from _positive_class_faults(data, column)
    yield from _class_weight_faults(spec, data, column)


def _positive_class_faults(data: Dataset, column: Column) -> list[InputFault]:
    value, field = data.positive_class, "spec.data.positive_class"
    if value is None:
        return []
    if (n_classes := _n_distinct(column)) > 2:
        return [InputFault(field, value, f"the target has {n_classes} classes; it is for two classes only")]
    if find_level(value, column["levels"]) is None:
        shown = ", ".join(repr(level) for level in column["levels"])
        return [InputFault(field, value, f"the target {data.target!r} has no such value; it has: {shown}")]
    return []


def _class_weight_faults(spec: LogisticRegressionSpec, data: Dataset, column: Column) -> Iterator[InputFault]:
    if not isinstance(spec.model.class_weights, dict) or "levels" not in column:
        return
    classes = [spell_class(level) for level in column["levels"]]
    for name, weight in spec.model.class_weights.items():
        if name not in classes:
            reason = f"the target {data.target!r} has no class {name!r}; it has: {', '.join(map(repr, classes))}"
            yield InputFault(f"spec.model.class_weights.{name}", weight, reason)


def spell_class(value: Any) -> str:
    """A class as JSON would spell it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def find_level(value: Any, levels: Sequence[Any]) -> int | None:
    """Index of a spec's value among a column's levels; 1 and true are different values, 1 and 1.0 are the same."""
    for index, level in enumerate(levels):
        if isinstance(level, bool) == isinstance(value, bool) and level == value:
            return index
    return None


def _role_faults(role: str, column: Column) -> list[InputFault]:
    """Of weights, offset, group and fold: no value may be missing, and the first two are numbers."""
    field, name = f"spec.data.{role}", column["name"]
    if role in ("weights", "offset") and column["type"] not in _NUMBERS:
        return [InputFault(field, name, f"must hold numbers; this column holds {column['type']}")]
    if column["n_missing"]:
        return [InputFault(field, name, f"has no value in {column['n_missing']} of its rows")]
    if role == "weights" and (column["min"] < 0 or column["max"] == 0):
        return [InputFault(field, name, "row weights must not be negative, nor all zero")]
    if role in ("group", "fold") and _n_distinct(column) < 2:
        return [InputFault(field, name, f"names one {role} only")]
    if role == "fold" and (n_folds := _n_distinct(column)) > MAX_FOLDS:
        return [InputFault(field, name, f"names {_told(n_folds)} folds; at most {MAX_FOLDS} are fitted")]
    return []


MAX_FOLDS = 50


def _feature_faults(column: Column, missing: str) -> list[InputFault]:
    field, name = "spec.data.features", column["name"]
    if missing == "error" and column["n_missing"]:
        mend = "set spec.preprocess.missing to mean, median, most_frequent or indicator"
        return [InputFault(field, name, f"has no value in {column['n_missing']} of its rows; {mend}")]
    return []
