"""Whether the columns of an uploaded table can play the roles that a spec gives them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from gradline.errors import InputFault, InvalidInput
from gradline.specs.logistic_regression import ONE_PREDICTOR, Dataset, LogisticRegressionSpec
from gradline.tables import Column

MAX_CLASSES = 1000
MAX_NUMBERED_CLASSES = 20
"""Of more different whole numbers each is a class only where the family says so: ages and counts are likelier."""
MAX_FOLDS = 50
ALL_ZERO = "is 0 in every row: no finite coefficients say that nothing ever happens"
NO_FEATURE = "no feature is left: every text column has one level only"
ABOVE_ZERO = {"log-linear": "takes its logarithm, so it must be above 0", "poisson": "counts, so it must be 0 or more"}
"""What the target of a family must be, where not all numbers will do."""
_NUMBERS = ("integer", "number")
_NAME_A_FAMILY = "for a target of numbers set model.family to gaussian, log-linear or poisson"


class Profiled(Protocol):
    """A table as `tables.profile` has described it."""

    @property
    def format(self) -> Any: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def columns(self) -> Any: ...


RowOf = Callable[[str, float], int | None]
"""The first data row, from 1, in which a column has a value; None: not looked for."""


def check_columns(spec: LogisticRegressionSpec, table: Profiled, row_of: RowOf = lambda _name, _value: None) -> None:
    """Raises InvalidInput with every fault that no split mends; the data are a `Dataset`."""
    data = spec.data
    assert isinstance(data, Dataset)  # noqa: S101  the caller looked
    by_name = {column["name"]: column for column in table.columns}
    names = features_of(data, table.columns)
    n_dropped = n_without_target(data, table.columns) if data.missing_target == "drop" else 0
    faults = [*_unknown(data, by_name, spec.preprocess.interactions, names)]
    faults += _empty_faults(data, by_name)
    if data.target in by_name and not _is_empty(by_name[data.target]):
        faults += _target_faults(spec, data, by_name, row_of)
    for role, name in data.roles.items():
        if name in by_name and role != "target" and not _is_empty(by_name[name]):
            faults += _role_faults(role, by_name[name], n_dropped, row_of)
    if not names:
        faults.append(InputFault("spec.data.features", None, "no column is left to be a feature"))
    for name in names:
        if name in by_name and not _is_empty(by_name[name]):
            faults += _feature_faults(by_name[name], spec.preprocess.missing, n_dropped)
            faults += _type_faults(data, by_name[name], table.format)
    if names and all(_has_one_level(data, by_name.get(name)) for name in names):
        faults.append(InputFault("spec.data.features", None, NO_FEATURE))
    faults += _split_faults(spec, data, by_name, table.n_rows - n_dropped)
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


def noted_features(data: Dataset, columns: Sequence[Column]) -> dict[str, str]:
    """What the upload said of features that look like something else than levels, but of those asked for as such."""
    noted = {column["name"]: column["note"] for column in columns if "note" in column}
    return {name: noted[name] for name in features_of(data, columns) if name in noted and name not in data.types}


def n_without_target(data: Dataset, columns: Sequence[Column]) -> int:
    """Rows that are left out of everything."""
    return next((int(column["n_missing"]) for column in columns if column["name"] == data.target), 0)


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
                reason = f"{name!r} is no feature; the features are: {', '.join(map(repr, features))}"
                yield InputFault(f"spec.preprocess.interactions[{i}]", name, reason)


def _named(data: Dataset) -> dict[str, str]:
    """Every column that the spec names, by the field that does."""
    named = data.roles | {f"features[{i}]": name for i, name in enumerate(data.features or [])}
    return named | {f"types.{name}": name for name in data.types}


def _target_faults(
    spec: LogisticRegressionSpec, data: Dataset, by_name: Mapping[str, Column], row_of: RowOf
) -> list[InputFault]:
    field, column = "spec.data.target", by_name[data.target]
    if column["n_missing"] and data.missing_target == "error":
        reason = f"has no value in {column['n_missing']} of its rows; set spec.data.missing_target to drop to leave "
        reason += "these rows out"
        return [InputFault(field, data.target, reason)]
    if spec.model.is_numeric:
        weights = by_name.get(data.weights) if data.weights else {"min": 1}
        reasons = _number_faults(spec.model.family, column, weights, row_of)
        return [InputFault(field, data.target, reason) for reason in reasons]
    n_classes = _n_distinct(column)
    if n_classes < 2:
        return [InputFault(field, data.target, f"has one class only: {column['levels'][0]!r}")]
    if n_classes > MAX_CLASSES or (column["type"] == "number" and "levels" not in column):
        mend = f"; {_NAME_A_FAMILY}" if column["type"] in _NUMBERS else ""
        return [InputFault(field, data.target, f"has {_told(n_classes)} distinct values, too many to be classes{mend}")]
    if spec.model.family == "auto" and (seen := _measured(column)) is not None:
        reason = f"holds {seen}; {_NAME_A_FAMILY}, or to multinomial if each of them is a class"
        return [InputFault(field, data.target, reason)]
    return [*_class_faults(spec, data, column)]


def _measured(column: Column) -> str | None:
    """What speaks against classes, in a column of more numbers than two: a fraction counts or names nothing, and many
    whole numbers are rather counted or measured than names."""
    n_distinct = _n_distinct(column)
    if column["type"] not in _NUMBERS or n_distinct <= 2:
        return None
    odd = next((level for level in column.get("levels", []) if not float(level).is_integer()), None)
    if odd is not None:
        return f"{n_distinct} different numbers, {odd} among them"
    if n_distinct > MAX_NUMBERED_CLASSES:
        return f"{n_distinct} different whole numbers, from {column['min']:g} to {column['max']:g}"
    return None


def _number_faults(family: str, column: Column, weights: Column | None, row_of: RowOf) -> Iterator[str]:
    """What a target of numbers lacks. The rows of weight 0 may hold what the family cannot take."""
    if column["type"] not in _NUMBERS:
        yield f"the family {family} needs numbers; it holds {column['type']}"
    elif family == "poisson" and column["min"] == column["max"] == 0:
        yield ALL_ZERO
    elif family in ABOVE_ZERO and weights and weights.get("min", 0) > 0 and is_refused(column["min"], family):
        yield f"{_lowest(column, row_of)}; the family {family} {ABOVE_ZERO[family]}"


def _lowest(column: Column, row_of: RowOf) -> str:
    row = row_of(column["name"], column["min"])
    return f"is {column['min']} at its lowest" + ("" if row is None else f", in data row {row}")


def is_refused(value: Any, family: str) -> Any:
    """Of a number, or of each in a tensor of them, as a target of one of the families in `ABOVE_ZERO`."""
    return value <= 0 if family == "log-linear" else value < 0


def _class_faults(spec: LogisticRegressionSpec, data: Dataset, column: Column) -> Iterator[InputFault]:
    n_classes = _n_distinct(column)
    if spec.model.family == "binomial" and n_classes > 2:
        yield InputFault("spec.model.family", "binomial", f"the target {data.target!r} has {n_classes} classes")
    is_multinomial = spec.model.family == "multinomial" or n_classes > 2
    if is_multinomial and data.offset is not None:
        yield InputFault("spec.data.offset", data.offset, f"is for two classes; {data.target!r} is multinomial")
    if is_multinomial and spec.evaluation.threshold != 0.5:
        chosen = spec.evaluation.threshold
        shown = chosen if isinstance(chosen, float) else None
        yield InputFault("spec.evaluation.threshold", shown, f"is for two classes; {data.target!r} is multinomial")
    if is_multinomial and spec.inference.influence is not None:
        reason = f"{ONE_PREDICTOR}; {data.target!r} is multinomial"
        yield InputFault("spec.inference.influence", spec.inference.influence, reason)
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


def _role_faults(role: str, column: Column, n_dropped: int, row_of: RowOf) -> list[InputFault]:
    """Of weights, offset, group and fold: no value may be missing, and the first two are numbers.

    `n_dropped`: rows without a target, which may hold anything; whoever reads the rows looks at the others again.
    """
    field, name = f"spec.data.{role}", column["name"]
    if role in ("weights", "offset") and column["type"] not in _NUMBERS:
        return [InputFault(field, name, f"must hold numbers; this column holds {column['type']}")]
    if column["n_missing"] > n_dropped:
        return [InputFault(field, name, f"has no value in {column['n_missing']} of its rows")]
    if role == "weights" and column["min"] < 0 and n_dropped == 0:
        return [InputFault(field, name, f"{_lowest(column, row_of)}; row weights must not be negative")]
    if role == "weights" and column["max"] == 0:
        return [InputFault(field, name, "is 0 in every row, so that none counts")]
    if role in ("group", "fold") and _n_distinct(column) < 2:
        return [InputFault(field, name, f"names one {role} only")]
    if role == "fold" and (n_folds := _n_distinct(column)) > MAX_FOLDS:
        return [InputFault(field, name, f"names {_told(n_folds)} folds; at most {MAX_FOLDS} are fitted")]
    return []


def _feature_faults(column: Column, missing: str, n_dropped: int) -> list[InputFault]:
    field, name = "spec.data.features", column["name"]
    if missing == "error" and column["n_missing"] > n_dropped:
        return [InputFault(field, name, lacks_values(name, column["n_missing"]))]
    return []


def lacks_values(name: str, n: int) -> str:
    """What is wrong with a feature under `missing: error`."""
    mend = "set spec.preprocess.missing to mean, median, most_frequent or indicator"
    return f"column {name!r} has no value in {n} of its rows; {mend}"


def _type_faults(data: Dataset, column: Column, table_format: str) -> list[InputFault]:
    """Of text that is to be read as numbers. In CSV a column of numbers alone is no text; in Parquet it may be."""
    if data.types.get(column["name"]) != "numeric" or column["type"] != "text":
        return []
    odd = next((level for level in column.get("levels", []) if not is_number(level)), None)
    if odd is None and ("levels" in column or table_format != "csv"):
        return []
    unseen = column.get("note", "not all of its values are numbers")
    reason = unseen if odd is None else f"holds {odd!r}, which is no number"
    return [InputFault(f"spec.data.types.{column['name']}", "numeric", reason)]


def is_number(text: str) -> bool:
    """Whether a value of a text column can be read as a number."""
    try:
        pc.cast(pa.scalar(text), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _has_one_level(data: Dataset, column: Column | None) -> bool:
    """So that the column makes no feature, whichever rows train."""
    if column is None or column["n_missing"] or column["n_distinct"] != 1:
        return False
    return data.types.get(column["name"], "categorical" if column["type"] == "text" else "numeric") == "categorical"


def _split_faults(
    spec: LogisticRegressionSpec, data: Dataset, by_name: Mapping[str, Column], n_rows: int
) -> Iterator[InputFault]:
    """Of parts that stay empty however the rows fall. Rows of weight 0 are in no part, so there may be fewer yet.

    `n_rows`: those with a target.
    """
    fraction = spec.split.validation_fraction
    if 0 < fraction * n_rows < 0.5:
        reason = f"holds out no row: it is less than half of one of the {n_rows} rows"
        yield InputFault("spec.split.validation_fraction", fraction, reason)
    n, noun = _apart(data, by_name, n_rows)
    if spec.n_folds is not None and n < spec.n_folds:
        reason = f"{spec.n_folds} folds of {n} {noun} leave one empty; ask for fewer"
        yield InputFault("spec.split.folds", spec.split.folds, reason)


def _apart(data: Dataset, by_name: Mapping[str, Column], n_rows: int) -> tuple[float, str]:
    """How many things there are that a split may part, and what they are."""
    groups = by_name.get(data.group) if data.group else None
    if groups is None or _is_empty(groups):
        return n_rows, "rows"
    return _n_distinct(groups), f"groups in {data.group!r}"
