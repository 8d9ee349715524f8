"""The scorecard: a finished model as plain JSON, and the only code that scores rows with it. numpy and nothing of ours,
so that a copy of this file beside the JSON is a whole model.

    {
      "format": "gradline.scorecard", "version": 1,
      "family": "binomial" | "multinomial" | "gaussian" | "log-linear" | "poisson",
      "target": name, "classes": [value, ...] | null, "threshold": 0.5 | null,
      "inputs": [
        {"column": name, "type": "number" | "boolean", "fill": number | null},
        {"column": name, "type": "text", "levels": [text, ...], "missing": level | null, "unseen": level | null,
         "is_numeric": true where the levels spell numbers or booleans}],
      "offset": column | null,
      "features": [{"name": ..., "factors": [factor, ...], "coefficients": [number per output]}, ...],
      "intercepts": [number per output],
      "means": [number per feature] | null,
      "uncertainty": {"withheld": reason} | {"withheld": null, "df": number | null, "variance": number | null,
                      "centres": [number per feature], "covariance": [[number], [number, number], ...]}
    }

Text is trimmed, and empty text is missing, as in training. What stands in for a missing value (`fill`, `missing`) or
for a level that training did not see (`unseen`) is null where such a row is refused. A feature is the product of its
factors: a column's number `{"column": c}`, 1 where the column has a level `{"column": c, "level": l}`, or 1 where it is
missing `{"column": c, "is_missing": true}`. The linear predictor is the sum of coefficient times feature, the intercept
and the offset; `Scorecard.predict` turns it into probabilities, or into exp(z) for log-linear and poisson. Of two
classes the second is predicted from `threshold` on.

`means` are those of the features over the training rows, null where training did not find them. `covariance` is that of
the coefficients and last of the intercept of features less their `centres`, its lower triangle (zeros for the intercept
of a model without one); `df` are the degrees of freedom of Student's t, null for the normal distribution, and
`variance` is that of a target about its mean, null but for gaussian and log-linear, where it is of the logarithm.
Scorecards of earlier times have neither `means` nor `uncertainty`. `gradline.scoring_intervals` and
`gradline.scoring_contributions` read them.

Shapes: n rows, k outputs, j numeric columns and indicators (atoms), l levels, d features.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

FORMAT = "gradline.scorecard"
VERSION = 1
BOOLEANS = frozenset(("true", "false"))
MAX_FAULTS = 20
"""A table that is wrong throughout is refused with this many examples."""

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


class RowFault(NamedTuple):
    """One thing wrong with the rows that were sent."""

    field: str
    """`rows[2].age`, or `columns.age` where a whole column is meant."""
    value: Any
    reason: str


class RowsRefused(ValueError):
    """The rows, or what is asked of them, do not fit the model."""

    def __init__(self, faults: Sequence[RowFault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.reason}" for fault in faults))
        self.faults = list(faults)


class NumberInput(NamedTuple):
    """A numeric or boolean column."""

    column: str
    is_boolean: bool
    fill: float | None


class TextInput(NamedTuple):
    """A column of levels; `missing` and `unseen` are codes, None where such a row is refused."""

    column: str
    levels: list[str]
    missing: int | None
    unseen: int | None
    is_numeric: bool
    """Whether the levels spell numbers or booleans, which are then taken however they are spelled."""

    @property
    def is_boolean(self) -> bool:
        return self.is_numeric and not BOOLEANS.isdisjoint(self.levels)


class Feature(NamedTuple):
    """The product of the `atoms` in rows that have the levels, 0 in others."""

    atoms: tuple[int, ...]
    codes: dict[int, int]
    """Of each text input that is a factor, the level."""
    term: str
    """The columns that it is made of: `age`, or `age:city` for an interaction."""
    coefficients: list[float]

    @property
    def is_atom(self) -> bool:
        return len(self.atoms) == 1 and not self.codes


class Table(NamedTuple):
    """What rows of text add: the product of the `atoms` times the coefficients of the row's levels."""

    atoms: tuple[int, ...]
    inputs: tuple[int, ...]
    """Text inputs, one axis of `coefficients` each; the last axis is the output."""
    coefficients: Numbers
    term: str
    """As of its features."""

    def add(self, rows: "Encoded") -> Numbers:
        """What rows add to z_nk."""
        part_nk = self.coefficients[tuple(rows.codes[i] for i in self.inputs)]
        return reduce(np.multiply, (rows.atoms_nj[:, [a]] for a in self.atoms), part_nk)


class Encoded(NamedTuple):
    """Rows after the policies for missing values and unseen levels."""

    atoms_nj: Numbers
    """Filled numbers, then an indicator for each column whose missing values are told apart."""
    codes: list[Codes]
    """Of each text input."""
    offset_n: Numbers | None


@dataclass(frozen=True, eq=False)
class Scorecard:
    """A parsed scorecard, ready to score."""

    document: dict[str, Any]
    numbers: list[NumberInput]
    texts: list[TextInput]
    offset: NumberInput | None
    indicators: list[int]
    """Numeric inputs with an indicator, in the order of their atoms."""
    features: list[Feature]
    weights_jk: Numbers
    """Coefficients of the features that are one atom."""
    tables: list[Table]
    """All other features."""
    intercepts_k: Numbers

    @classmethod
    def parse(cls, text: str | bytes | dict[str, Any]) -> Self:
        """Raises ValueError for what is no scorecard of this version."""
        document = text if isinstance(text, dict) else json.loads(text)
        if (document.get("format"), document.get("version")) != (FORMAT, VERSION):
            raise ValueError(f"not a {FORMAT} of version {VERSION}: {document.get('format')} {document.get('version')}")
        inputs = document["inputs"]
        numbers = [NumberInput(i["column"], i["type"] == "boolean", i["fill"]) for i in inputs if i["type"] != "text"]
        texts = [_text_input(i) for i in inputs if i["type"] == "text"]
        offset = None if document["offset"] is None else NumberInput(document["offset"], is_boolean=False, fill=None)
        indicators, features = _features(document, numbers, texts)
        intercepts_k = np.array(document["intercepts"], float)
        compiled = _compile(features, len(numbers) + len(indicators), texts, len(intercepts_k))
        return cls(document, numbers, texts, offset, indicators, features, *compiled, intercepts_k)

    # --- what goes in

    @property
    def columns(self) -> list[str]:
        """Every column that a row must have, in the order of training; the offset last."""
        names = [i["column"] for i in self.document["inputs"]]
        return names if self.offset is None else [*names, self.offset.column]

    def encode_rows(self, rows: Sequence[Any]) -> Encoded:
        """Rows as objects of column to value. Raises RowsRefused."""
        columns = self.columns
        if faults := _shape_faults(rows, columns, self.document["target"]):
            raise RowsRefused(faults)
        return self.encode({name: [row[name] for row in rows] for name in columns})

    def encode(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Encoded:
        """Columns as equally long sequences with None for what is missing; further ones are ignored. Raises RowsRefused
        where a value has the wrong type, is missing or unseen, and the model has nothing to stand in for it."""
        absent = [
            RowFault(f"columns.{c}", None, "the model needs this column") for c in self.columns if c not in columns
        ]
        if absent:
            raise RowsRefused(absent[:MAX_FAULTS])
        faults: list[RowFault] = []
        raw = [_read_numbers(i, columns[i.column], faults) for i in self.numbers]
        codes = [_read_codes(i, columns[i.column], faults) for i in self.texts]
        offset_n = None if self.offset is None else _read_numbers(self.offset, columns[self.offset.column], faults)
        if faults:
            raise RowsRefused(faults[:MAX_FAULTS])
        filled = [
            n if i.fill is None else np.where(np.isnan(n), i.fill, n) for i, n in zip(self.numbers, raw, strict=True)
        ]
        missing = [np.isnan(raw[j]).astype(float) for j in self.indicators]
        atoms = [*filled, *missing]
        n = len(atoms[0]) if atoms else len(codes[0])
        return Encoded(np.column_stack(atoms) if atoms else np.empty((n, 0)), codes, offset_n)

    # --- what comes out

    def linear_predictor(self, rows: Encoded) -> Numbers:
        """z_nk."""
        z_nk = rows.atoms_nj @ self.weights_jk + self.intercepts_k
        for table in self.tables:
            z_nk += table.add(rows)
        return z_nk if rows.offset_n is None else z_nk + rows.offset_n[:, None]

    @property
    def has_classes(self) -> bool:
        return self.document["classes"] is not None

    def respond(self, z_nk: Numbers) -> Numbers:
        """Probabilities of every class [n, classes], or for other targets the predicted value [n]."""
        if not self.has_classes:
            return z_nk[:, 0] if self.document["family"] == "gaussian" else np.exp(z_nk[:, 0])
        z_nc = z_nk if z_nk.shape[1] > 1 else np.hstack((np.zeros_like(z_nk), z_nk))
        e_nc = np.exp(z_nc - z_nc.max(1, keepdims=True))
        return np.asarray(e_nc / e_nc.sum(1, keepdims=True))

    def decide(self, z_nk: Numbers) -> Codes:
        """The index of each row's class."""
        threshold = self.document["threshold"]
        if threshold is None:
            return np.asarray(z_nk.argmax(1))
        return np.asarray(z_nk[:, 0] >= math.log(threshold / (1 - threshold)), np.int64)


# --- parsing


def _text_input(raw: dict[str, Any]) -> TextInput:
    levels: list[str] = raw["levels"]
    code = {level: i for i, level in enumerate(levels)}
    missing, unseen = raw["missing"], raw["unseen"]
    return TextInput(
        raw["column"],
        levels,
        None if missing is None else code[missing],
        None if unseen is None else code[unseen],
        raw.get("is_numeric", False),
    )


def _features(
    document: dict[str, Any], numbers: list[NumberInput], texts: list[TextInput]
) -> tuple[list[int], list[Feature]]:
    """The indicators that features need, and the features."""
    number_at = {i.column: j for j, i in enumerate(numbers)}
    text_at = {i.column: j for j, i in enumerate(texts)}
    code_of = [{level: c for c, level in enumerate(i.levels)} for i in texts]
    indicators: list[int] = []
    features = []
    for feature in document["features"]:
        atoms: list[int] = []
        codes: dict[int, int] = {}
        for factor in feature["factors"]:
            column = factor["column"]
            if "level" in factor:
                codes[text_at[column]] = code_of[text_at[column]][factor["level"]]
            elif "is_missing" in factor:
                atoms.append(len(numbers) + _place(indicators, number_at[column]))
            else:
                atoms.append(number_at[column])
        term = ":".join(factor["column"] for factor in feature["factors"])
        features.append(Feature(tuple(atoms), codes, term, feature["coefficients"]))
    return indicators, features


def _compile(
    features: list[Feature], n_atoms: int, texts: list[TextInput], n_outputs: int
) -> tuple[Numbers, list[Table]]:
    """Features as single atoms, and as tables of coefficients where there is text or a product in them."""
    weights_jk = np.zeros((n_atoms, n_outputs))
    tables: dict[tuple[tuple[int, ...], tuple[int, ...]], Table] = {}
    for feature in features:
        if feature.is_atom:
            weights_jk[feature.atoms[0]] = feature.coefficients
            continue
        key = feature.atoms, tuple(feature.codes)
        if key not in tables:
            shape = (*(len(texts[i].levels) for i in feature.codes), n_outputs)
            tables[key] = Table(*key, np.zeros(shape), feature.term)
        tables[key].coefficients[tuple(feature.codes.values())] = feature.coefficients
    return weights_jk, list(tables.values())


def _place(places: list[int], item: int) -> int:
    if item not in places:
        places.append(item)
    return places.index(item)


# --- reading rows


def _shape_faults(rows: Sequence[Any], columns: list[str], target: str | None) -> list[RowFault]:
    known, n = set(columns), len(columns)
    faults: list[RowFault] = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            faults.append(RowFault(f"rows[{i}]", row, "must be an object of column names and values"))
        elif len(row) != n or not known.issuperset(row):
            faults += [
                RowFault(f"rows[{i}].{c}", None, "the model needs this column; send null where the value is missing")
                for c in columns
                if c not in row
            ]
            faults += [RowFault(f"rows[{i}].{c}", row[c], _unknown(c, columns, target)) for c in row if c not in known]
        if len(faults) >= MAX_FAULTS:
            break
    return faults[:MAX_FAULTS]


def _unknown(column: str, columns: list[str], target: str | None) -> str:
    if column == target:
        return "is what the model predicts; leave it out"
    return f"the model has no such column; its columns are: {', '.join(columns)}"


def _read_numbers(column: NumberInput, values: Sequence[Any] | NDArray[Any], faults: list[RowFault]) -> Numbers:
    """With NaN for what is missing; what is wrong is added to the faults."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        number_n = values.astype(np.float64)
    else:
        allowed = {bool, type(None)} if column.is_boolean else {int, float, type(None)}
        if not allowed.issuperset(map(type, values)):
            wanted = "must be true or false" if column.is_boolean else "must be a number"
            bad = [i for i, v in enumerate(values) if type(v) not in allowed]
            faults += _faults(column.column, values, bad, f"{wanted}, or null where it is missing")
            return np.empty(0)
        try:
            number_n = np.array(values, dtype=np.float64)
        except OverflowError:
            number_n = np.array([math.inf if v is not None and abs(v) > 1e308 else v for v in values], dtype=np.float64)
    faults += _faults(column.column, values, np.flatnonzero(np.isinf(number_n)), "must be finite")
    if column.fill is None:
        reason = "is missing, and the model was trained without missing values in this column"
        faults += _faults(column.column, values, np.flatnonzero(np.isnan(number_n)), reason)
    return number_n


def _read_codes(column: TextInput, values: Sequence[Any] | NDArray[Any], faults: list[RowFault]) -> Codes:
    code_of = {level: code for code, level in enumerate(column.levels)}
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    listed = [(v.strip() or None) if isinstance(v, str) else v for v in listed]
    if column.is_numeric:
        listed = [spell(v) for v in listed]
    if not {str, type(None)}.issuperset(map(type, listed)):
        bad = [i for i, v in enumerate(listed) if not (v is None or isinstance(v, str))]
        faults += _faults(column.column, listed, bad, "must be text, or null where it is missing")
        return np.empty(0, np.int64)
    code_n = np.array([code_of.get(v, -1) if v is not None else -2 for v in listed], dtype=np.int64)
    if column.missing is None:
        reason = "is missing, and the model was trained without missing values in this column"
        faults += _faults(column.column, listed, np.flatnonzero(code_n == -2), reason)
    else:
        code_n[code_n == -2] = column.missing
    if column.unseen is None:
        shown = ", ".join(repr(level) for level in column.levels[:10])
        faults += _faults(column.column, listed, np.flatnonzero(code_n == -1), f"is none of the levels seen: {shown}")
    else:
        code_n[code_n == -1] = column.unseen
    return code_n


def spell(value: Any) -> Any:
    """The level that a number or boolean is, also one that came as text: 3 for 3.0 and "3.00"; else as it is."""
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() and abs(value) < 2**63 else repr(value)
    return str(value) if isinstance(value, int) else value


def _number_in(text: str) -> Any:
    """What a text spells, where that is a number or a boolean."""
    if text.lower() in BOOLEANS:
        return text.lower()
    if "_" in text:  # Python would read it as a number
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _faults(column: str, values: Any, at: Sequence[int] | NDArray[Any], reason: str) -> list[RowFault]:
    return [RowFault(f"rows[{i}].{column}", _shown(values[i]), reason) for i in at[:MAX_FAULTS]]


def _shown(value: Any) -> Any:
    """JSON has no NaN, which is a missing value here, and no infinity."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)
