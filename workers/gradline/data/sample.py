"""What every source of data gives: columns as they were, and what the rows are asked to teach.

Shapes: n rows, j numeric columns.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

ROWS_SPELLED = 20
"""Enough to tell the digits of single precision from those of double."""
CODES_AT_ONCE = 2**18
"""Of a column: what is made of them takes little memory beside what a row takes anyway."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numeric columns side by side; NaN is missing."""

    names: list[str]
    memory: Tensor
    """[n, j + 1]: the values and a last column of ones, so that this memory can become the matrix that is fitted."""
    shift_j: Tensor
    """Was subtracted from every value before rounding, so that float32 can hold columns far from 0; float64."""
    booleans: frozenset[str] = frozenset()
    """Columns whose 1 and 0 stand for true and false."""
    sum_2j: Tensor | None = None
    """Sums of the values, less the shift, and of their squares, float64; None where nobody has summed them."""
    singles: frozenset[str] = frozenset()
    """Columns whose numbers were in single precision before they came here."""

    @property
    def values_nj(self) -> Tensor:
        """A view, less the shift."""
        return self.memory[:, :-1]

    def rows(self, index_r: Tensor) -> "Numbers":
        return replace(self, memory=self.memory[index_r], sum_2j=None)


def numbers_of(names: list[str], values_nj: Tensor) -> Numbers:
    """Numbers with memory of their own."""
    memory = values_nj.new_ones(len(values_nj), len(names) + 1)
    memory[:, :-1] = values_nj
    return Numbers(names, memory, torch.zeros(len(names), dtype=torch.float64))


def spelled_singles(numbers: Numbers) -> frozenset[str]:
    """Columns whose first numbers have as many digits as single precision prints, and are not all whole."""
    given_rj = numbers.values_nj[:ROWS_SPELLED].double() + numbers.shift_j
    printed_rj = torch.from_numpy(given_rj.float().numpy().astype(str).astype(float))
    is_gap_rj = given_rj.isnan()
    is_single_j = ((given_rj == printed_rj) | is_gap_rj).all(0) & ((given_rj != given_rj.round()) & ~is_gap_rj).any(0)
    return frozenset(name for name, is_single in zip(numbers.names, is_single_j.tolist(), strict=True) if is_single)


@dataclass(frozen=True, eq=False)
class TextColumn:
    name: str
    levels: list[str]
    """In the order in which features are made of them."""
    code_n: Tensor
    """Index of the level; -1 is missing."""
    is_numeric: bool = False
    """Whether the levels spell what were numbers or booleans."""

    def has_l(self) -> Tensor:
        """Whether some row has each level, and last whether some row lacks one."""
        has_l = torch.zeros(len(self.levels) + 1, dtype=torch.bool)
        for code_r in self.code_n.split(CODES_AT_ONCE):
            has_l[code_r.long()] = True
        return has_l

    def rows(self, index_r: Tensor) -> "TextColumn":
        return replace(self, code_n=self.code_n[index_r])


@dataclass(frozen=True, eq=False)
class Roles:
    """What rows are asked to teach, and how they count; one entry a row in every tensor."""

    target_n: Tensor
    """Index into `classes`, or the number itself in float64; of rows without a target, anything."""
    classes: list[Any] | None
    """The target's values, class 0 first; of two, the second is the positive one. None: the target is a number."""
    weight_n: Tensor | None = None
    offset_n: Tensor | None = None
    group_n: Tensor | None = None
    """A number for each group of rows that must not be parted."""
    fold_n: Tensor | None = None
    """The fold that the data name, from 0."""
    has_target_n: Tensor | None = None
    """None: every row has one."""

    @property
    def n(self) -> int:
        return len(self.target_n)

    def rows(self, index_r: Tensor) -> "Roles":
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return Roles(**{name: v[index_r] if isinstance(v, Tensor) else v for name, v in own.items()})


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows to learn from, before any preprocessing."""

    title: str
    """What to call it on a plot."""
    order: list[str]
    """The columns, in the order in which features are made of them."""
    numbers: Numbers
    texts: dict[str, TextColumn]
    roles: Roles

    @property
    def n(self) -> int:
        return self.roles.n

    def rows(self, index_r: Tensor) -> "Sample":
        texts = {name: column.rows(index_r) for name, column in self.texts.items()}
        return Sample(self.title, self.order, self.numbers.rows(index_r), texts, self.roles.rows(index_r))

    def n_missing(self, name: str) -> int:
        """Rows without a value in a column."""
        if name in self.texts:
            return int((self.texts[name].code_n < 0).sum())
        return int(self.numbers.values_nj[:, self.numbers.names.index(name)].isnan().sum())

    def as_given(self, n: int) -> list[dict[str, Any]]:
        """The first rows as the source spells them: numbers, booleans, text, and None where a value is missing."""
        values_jn = (self.numbers.values_nj[:n].double() + self.numbers.shift_j).T.tolist()
        columns = {
            name: [_spelled(v, is_boolean=name in self.numbers.booleans) for v in values_n]
            for name, values_n in zip(self.numbers.names, values_jn, strict=True)
        }
        for name, column in self.texts.items():
            columns[name] = [[*column.levels, None][code] for code in column.code_n[:n].tolist()]
        return [{name: columns[name][row] for name in self.order} for row in range(min(n, self.n))]


def _spelled(value: float, *, is_boolean: bool) -> float | bool | None:
    if value != value:  # NaN
        return None
    return bool(value) if is_boolean else value


def sample_of_numbers(title: str, names: list[str], values_nj: Tensor, roles: Roles) -> Sample:
    """A sample of numeric columns only."""
    return Sample(title, names, numbers_of(names, values_nj), {}, roles)
