"""Columns as features: what was learned of each column from the training rows, and what it makes of other rows.

A part makes pieces of any rows that it is asked for, so that nobody need hold those of all rows. A piece is one
feature, or one feature for each of several levels of which a row has at most one: so that a piece has one entry a row
at most, however many features it has.

Shapes: n rows, r of them, l levels.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.data.sample import Sample, TextColumn
from gradline.errors import PermanentError

MISSING_LEVEL = "(missing)"
OTHER_LEVEL = "(other)"
STANDS_FOR = {MISSING_LEVEL: "missing values", OTHER_LEVEL: "levels that are not listed"}
"""What our own levels gather; rows that spell one are of it."""


class Piece(NamedTuple):
    """Entries of `width` features that lie side by side."""

    width: int
    level_r: Tensor | None
    """Which of the features has the row's entry; -1: none. None: there is one feature, and every row has an entry."""
    value_r: Tensor | None
    """The entry; None: 1."""
    shift: float = 0.0
    """Was subtracted from the entry."""
    fill: float | None = None
    """What stands in for NaN, less the shift too; None: there is none."""


Pieces = Callable[[slice], list[Piece]]
"""What is made of some rows of a sample."""


@dataclass(frozen=True)
class NumericFeatures:
    """The feature of a numeric or boolean column, and perhaps one that says where it is missing."""

    name: str
    fill: float | None
    """What stands in for a missing value; None: nothing may be missing."""
    has_indicator: bool = False
    is_boolean: bool = False

    @property
    def feature_names(self) -> list[str]:
        return [self.name, f"{self.name} is missing"] if self.has_indicator else [self.name]

    @property
    def feature_kinds(self) -> list[str]:
        return ["numeric", "indicator"][: len(self.feature_names)]

    def pieces(self, sample: Sample) -> Pieces:
        at = sample.numbers.names.index(self.name)
        value_n, shift = sample.numbers.values_nj[:, at], float(sample.numbers.shift_j[at])
        fill = None if self.fill is None else self.fill - shift

        def of(rows: slice) -> list[Piece]:
            filled = Piece(1, None, value_n[rows], shift, fill)
            return [filled, Piece(1, None, torch.isnan(value_n[rows]))] if self.has_indicator else [filled]

        return of


@dataclass(frozen=True)
class TextFeatures:
    """One 0/1 feature for each level but the first of a column of levels."""

    name: str
    levels: list[str]
    """Of the training rows; the first is the reference. `(other)`, where it stands, gathers what is not listed."""
    missing: str | None
    """The level that a missing value counts as; None: it is refused."""
    unseen: str | None
    """The level that a value counts as which is not listed; None: it is refused."""
    is_numeric: bool = False
    """Whether the column holds numbers that the spec reads as levels."""

    @property
    def feature_names(self) -> list[str]:
        return [f"{self.name}={level}" for level in self.levels[1:]]

    @property
    def feature_kinds(self) -> list[str]:
        return ["level"] * (len(self.levels) - 1)

    def pieces(self, sample: Sample) -> Pieces:
        column = sample.texts[self.name]
        feature_l = self._position_l(column) - 1
        return lambda rows: [Piece(len(self.levels) - 1, feature_l[column.code_n[rows]], None)]

    def _position_l(self, column: TextColumn) -> Tensor:
        """Index into `levels` of each of the column's own, and last of a missing value."""
        own = {level: i for i, level in enumerate(self.levels)}
        unseen = -1 if self.unseen is None else own[self.unseen]
        missing = unseen if self.missing is None else own[self.missing]
        position_l = torch.tensor([*(own.get(level, unseen) for level in column.levels), missing], dtype=torch.int32)
        if self.unseen is None and bool((column.has_l() & (position_l < 0)).any()):
            self._refuse(column, position_l)
        return position_l

    def _refuse(self, column: TextColumn, position_l: Tensor) -> None:
        row = int((position_l[column.code_n] < 0).nonzero()[0])
        level = [*column.levels, MISSING_LEVEL][int(column.code_n[row])]
        raise PermanentError(
            f"column {self.name!r}: the level {level!r} does not occur in the training rows; "
            "set spec.preprocess.unseen to ignore or own_level to let it pass",
            code="unseen_level",
        )

    def unlisted(self, column: TextColumn) -> list[str]:
        """Levels of the column's rows that training has not listed."""
        is_there = zip(column.levels, column.has_l().tolist(), strict=False)
        return sorted({level for level, is_there in is_there if is_there} - set(self.levels))


@dataclass(frozen=True)
class InteractionFeatures:
    """Products of the features of two columns; filled values count, indicators of missing ones do not."""

    left: NumericFeatures | TextFeatures
    right: NumericFeatures | TextFeatures

    @property
    def name(self) -> str:
        return f"{self.left.name}:{self.right.name}"

    @property
    def feature_names(self) -> list[str]:
        return [f"{a}:{b}" for a in main_names(self.left) for b in main_names(self.right)]

    @property
    def feature_kinds(self) -> list[str]:
        return ["interaction"] * len(self.feature_names)

    def pieces(self, sample: Sample) -> Pieces:
        left, right = self.left.pieces(sample), self.right.pieces(sample)
        return lambda rows: [_product(left(rows)[0], right(rows)[0])]


Part = NumericFeatures | TextFeatures | InteractionFeatures


def main_names(part: NumericFeatures | TextFeatures) -> list[str]:
    """Of the features that interactions are products of; they stand first."""
    return part.feature_names if isinstance(part, TextFeatures) else [part.name]


def _product(left: Piece, right: Piece) -> Piece:
    level_r = right.level_r if left.level_r is None else left.level_r
    if left.level_r is not None and right.level_r is not None:
        is_none_r = (left.level_r < 0) | (right.level_r < 0)
        level_r = torch.where(is_none_r, -1, left.level_r * right.width + right.level_r)
    values = [value_r for piece in (left, right) if (value_r := whole(piece)) is not None]
    value_r = values[0] * values[1] if len(values) == 2 else values[0] if values else None
    return Piece(left.width * right.width, level_r, value_r)


def whole(piece: Piece) -> Tensor | None:
    """The entries, filled and with their shift."""
    if piece.value_r is None:
        return None
    value_r = piece.value_r if piece.fill is None else piece.value_r.nan_to_num(piece.fill)
    return value_r if piece.shift == 0 else value_r.double() + piece.shift


def pieces_of(parts: list[Part], sample: Sample) -> Pieces:
    """Raises PermanentError where a level is refused."""
    makers = [part.pieces(sample) for part in parts]
    return lambda rows: [piece for maker in makers for piece in maker(rows)]


def names_of(parts: list[Part]) -> list[str]:
    """One for each feature, no two the same.

    Where a plain name is that of several features, columns keep it and what is made of columns has quotes:
    `a=v` is the column, `'a'='v'` the level. There are more of them where a column has such a name too.
    """
    return _distinct(parts, _plain_names, [kind == "numeric" for part in parts for kind in part.feature_kinds])


def term_names(parts: list[Part]) -> list[str]:
    """One for each column and each interaction, no two the same, in the same way."""
    are_columns = [not isinstance(part, InteractionFeatures) for part in parts]
    return _distinct(parts, lambda parts: [part.name for part in parts], are_columns)


def _distinct(parts: list[Part], spelled: Callable[[list[Part]], list[str]], are_columns: list[bool]) -> list[str]:
    plain = names = spelled(parts)
    if len(set(plain)) == len(plain):
        return plain
    n_of = Counter(plain)
    while len(set(names)) < len(names):
        parts = [_quoted(part) for part in parts]
        names = [
            quoted if n_of[name] > 1 and not is_column else name
            for name, quoted, is_column in zip(plain, spelled(parts), are_columns, strict=True)
        ]
    return names


def _plain_names(parts: list[Part]) -> list[str]:
    return [name for part in parts for name in part.feature_names]


def _quoted(part: Part) -> Part:
    """The same with quotes around each name and level."""
    if isinstance(part, InteractionFeatures):
        return InteractionFeatures(_quoted_column(part.left), _quoted_column(part.right))
    return _quoted_column(part)


def _quoted_column(part: NumericFeatures | TextFeatures) -> NumericFeatures | TextFeatures:
    if isinstance(part, TextFeatures):
        return replace(part, name=repr(part.name), levels=[repr(level) for level in part.levels])
    return replace(part, name=repr(part.name))
