"""What is counted of a column while its blocks pass: missing values, extremes, and values told apart up to a limit."""

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from gradline.column_notes import no_numbers, some_of
from gradline.csv_tables import trimmed

MAX_DISTINCT = 10_000
"""Values of a column that are told apart; where there are more, nobody needs their number."""
MAX_SEEN = 1_000
"""Of a column where there are more, and as many again that are no numbers."""
_NUMBERS = (pa.int64(), pa.float64())


class Tally(Protocol):
    def add(self, column: pa.Array) -> None:
        """The next rows."""

    def counted(self) -> "TypedTally":
        """Of all rows."""


class Distinct:
    """Values told apart, up to a number of them and of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.values: pa.Array | None = None
        """None: nothing was added, or too many values."""
        self.is_over = False
        self._max_bytes = max_bytes

    def add(self, column: pa.Array) -> None:
        if self.is_over:
            return
        new = pc.unique(column.drop_null())
        self.values = new if self.values is None else pc.unique(pa.concat_arrays([self.values, new]))
        self.is_over = len(self.values) > MAX_DISTINCT or self.values.nbytes > self._max_bytes

    def let_go(self) -> pa.Array:
        """The values that were too many, which are forgotten."""
        values, self.values = self.values, None
        return values


class TypedTally:
    """A column of numbers, booleans or text; NaN and null are missing."""

    def __init__(self, type_: pa.DataType, held_bytes: int) -> None:
        self.type_ = type_
        self.n_missing = 0
        self.low: Any = None
        self.high: Any = None
        self._distinct = Distinct(held_bytes)
        self._seen = pa.array([], type_)

    def add(self, column: pa.Array) -> None:
        column = _without_nan(column)
        self.n_missing += column.null_count
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            self._stretch(pc.min_max(column).as_py())
        self._distinct.add(column)
        if self._distinct.is_over and (released := self._distinct.let_go()) is not None:
            self._seen = some_of(released, MAX_SEEN)

    def _stretch(self, ends: dict[str, Any]) -> None:
        if ends["min"] is not None:
            self.low = ends["min"] if self.low is None else min(self.low, ends["min"])
            self.high = ends["max"] if self.high is None else max(self.high, ends["max"])

    def become(self, type_: pa.DataType, column: pa.Array) -> None:
        """Another of the types that fit what has passed so far, and the column that comes next."""
        self.type_ = type_
        if pa.types.is_string(type_):
            others = pc.unique(no_numbers(column.drop_null()))[:MAX_SEEN]
            self._seen = pa.concat_arrays([pc.cast(self._seen, type_), others])
        is_number = pa.types.is_floating(type_) and self.low is not None
        self.low, self.high = (float(self.low), float(self.high)) if is_number else (None, None)

    def counted(self) -> "TypedTally":
        return self

    @property
    def n_distinct(self) -> int | None:
        """None: too many to be counted."""
        if self._distinct.is_over:
            return None
        return 0 if self._distinct.values is None else len(self._distinct.values)

    @property
    def levels(self) -> list[Any]:
        """The values in sorted order, where they are counted."""
        return [] if self._distinct.values is None else sorted(self._distinct.values.to_pylist())

    @property
    def some_values(self) -> list[Any]:
        """The same, or some where there are too many."""
        return self._seen.to_pylist() if self._distinct.is_over else self.levels


class SpellingTally:
    """A column of text whose type shows only once all of it has passed: the first that fits all values.

    Few spellings are kept as they are, and read at the end. Of many, the type is that of those which have passed, until
    a block holds one that it does not fit.
    """

    def __init__(self, held_bytes: int) -> None:
        self._held_bytes = held_bytes
        self._n_missing = 0
        self._spellings = Distinct(held_bytes)
        self._typed: TypedTally | None = None

    def add(self, raw: pa.Array) -> None:
        if self._typed is not None:
            self._typed.add(_fitting(raw, self._typed))
            return
        counted = raw.value_counts()
        spelled = trimmed(counted.field("values"))
        self._n_missing += pc.sum(counted.field("counts").filter(pc.is_null(spelled))).as_py() or 0
        self._spellings.add(spelled)
        if self._spellings.is_over:
            self._typed = self._read(self._spellings.let_go())

    def counted(self) -> TypedTally:
        if self._typed is not None:
            return self._typed
        values = self._spellings.values
        return self._read(pa.array([], pa.string()) if values is None else values)

    def _read(self, spellings: pa.Array) -> TypedTally:
        column = as_type(spellings)
        typed = TypedTally(column.type, self._held_bytes)
        typed.add(column)
        typed.n_missing = self._n_missing
        return typed


def as_type(text: pa.Array) -> pa.Array:
    """A column of text as the first type that fits all its values."""
    for type_ in (*_NUMBERS, pa.bool_()):
        column = _as(text, type_)
        if column is not None:
            return column
    return text


def _fitting(raw: pa.Array, typed: TypedTally) -> pa.Array:
    """The next values in the type of those before, or in one that fits both."""
    types = [*_NUMBERS, pa.string()]
    for type_ in types[types.index(typed.type_) :]:
        column = trimmed(raw) if pa.types.is_string(type_) else _as(raw, type_)
        column = _as(trimmed(raw), type_) if column is None else column
        if column is not None:
            break
    if type_ != typed.type_:
        typed.become(type_, column)
    return column


def _as(text: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """None where a value does not fit. Hexadecimal numbers, which Arrow would read, are text to us."""
    try:
        column = pc.cast(text, type_)
    except pa.ArrowInvalid:
        return None
    is_hex = type_ == pa.int64() and pc.any(pc.match_substring_regex(text, "^[+-]?0[xX]")).as_py()
    return None if is_hex else column


def _without_nan(column: pa.Array) -> pa.Array:
    if not pa.types.is_floating(column.type) or pc.sum(column).as_py() == pc.sum(column).as_py():
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
