"""Every operation a program ran, in order, with what is needed to run a piece of it again."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from gradline.autograd.library import Operation
from gradline.autograd.record.snapshots import grad_fn_of

MAX_ELEMENTS = 20_000_000
"""Of all results together; past it the program runs on, and the tape is marked as cut short."""
MAX_KEPT = 2_000_000
"""Elements of values kept from before they were changed in place."""


class Entry:
    """One operation: what it was given, what it made, where."""

    __slots__ = ("args", "index", "kwargs", "line", "made", "nodes", "operation", "outputs", "step")

    def __init__(
        self,
        index: int,
        operation: Operation,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        made: Any,
        line: int,
        step: int,
    ) -> None:
        self.index = index
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.made = made
        self.line = line
        self.step = step
        self.outputs: tuple[Tensor, ...] = (made,) if isinstance(made, Tensor) else tuple(tensors_in((made,)))
        self.nodes: tuple[Any, ...] = tuple([grad_fn_of(t) for t in self.outputs])
        """The graph node of each output when it was made; kept, because an in-place operation gives it another."""

    def inputs(self) -> Iterator[Tensor]:
        """Every tensor it was given, also inside lists and indices."""
        yield from tensors_in(self.args)
        if self.kwargs:
            yield from tensors_in(tuple(self.kwargs.values()))


class Mutation:
    """The values of one storage before the operation `index` changed it."""

    __slots__ = ("before", "index", "line", "step", "storage")

    def __init__(self, index: int, storage: int, before: Tensor | None, line: int, step: int) -> None:
        self.index = index
        self.storage = storage
        self.before = before
        self.line = line
        self.step = step


class Tape:
    """The entries so far, and what was overwritten."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.mutations: list[Mutation] = []
        self.is_cut_short = False
        self._n_elements = 0
        self._n_kept = 0

    def add(
        self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any], made: Any, line: int, step: int
    ) -> Entry | None:
        """Notes an operation that made or changed tensors; None where it did not, or the tape is full."""
        if self.is_cut_short or not (isinstance(made, Tensor) or operation.mutates or isinstance(made, tuple | list)):
            return None
        entry = Entry(len(self.entries), operation, args, kwargs, made, line, step)
        self._n_elements += sum([t.numel() for t in entry.outputs])
        self.is_cut_short = self._n_elements > MAX_ELEMENTS
        self.entries.append(entry)
        return entry

    def before_mutation(self, targets: Sequence[Tensor], line: int, step: int) -> None:
        """Keeps the values that the next entry changes."""
        for target in targets:
            storage = target.untyped_storage()
            n = storage.nbytes() // target.element_size()
            kept = None
            if self._n_kept + n <= MAX_KEPT and not self.is_cut_short:
                self._n_kept += n
                kept = target.detach().as_strided((n,), (1,), 0).clone()
            self.mutations.append(Mutation(len(self.entries), storage.data_ptr(), kept, line, step))

    def changes_of(self, tensor: Tensor) -> list[int]:
        """The entries that changed the tensor's values in place."""
        if not self.mutations:
            return []
        storage = tensor.untyped_storage().data_ptr()
        return [mutation.index for mutation in self.mutations if mutation.storage == storage]

    def value_at(self, tensor: Tensor, index: int) -> Tensor | None:
        """The tensor's values just before entry `index`; None where they were not kept."""
        if self.mutations:
            storage = tensor.untyped_storage().data_ptr()
            for mutation in self.mutations:
                if mutation.storage == storage and mutation.index >= index:
                    before = mutation.before
                    if before is None:
                        return None
                    return before.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        return tensor.detach()


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and slices."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from tensors_in(value)
