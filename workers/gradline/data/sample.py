"""What every source of data gives: columns as they were, the classes of the target, and the weights of rows.

Shapes: n rows, j columns of a block.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class NumericBlock:
    """Numeric columns that lie side by side; NaN is missing."""

    names: list[str]
    values_nj: Tensor
    is_boolean: bool = False
    """Whether 1 and 0 stand for true and false."""


@dataclass(frozen=True, eq=False)
class TextColumn:
    name: str
    levels: list[str]
    """Sorted."""
    code_n: Tensor
    """Index of the level; -1 is missing."""


Block = NumericBlock | TextColumn


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows to learn from, before any preprocessing."""

    title: str
    """What to call it on a plot."""
    blocks: list[Block]
    class_n: Tensor
    """Index into `classes`."""
    classes: list[Any]
    """The target's values, class 0 first; of two, the second is the positive one."""
    weight_n: Tensor | None = None

    @property
    def n(self) -> int:
        return len(self.class_n)

    def rows(self, index_r: Tensor) -> "Sample":
        return Sample(
            self.title,
            [_rows(block, index_r) for block in self.blocks],
            self.class_n[index_r],
            self.classes,
            None if self.weight_n is None else self.weight_n[index_r],
        )


def _rows(block: Block, index_r: Tensor) -> Block:
    if isinstance(block, NumericBlock):
        return NumericBlock(block.names, block.values_nj[index_r], block.is_boolean)
    return TextColumn(block.name, block.levels, block.code_n[index_r])
