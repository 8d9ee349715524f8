"""What the trace is made of: statements as they were executed, and backward passes."""

from typing import Any

from torch import Tensor

from gradline.autograd.record.recorder import Backward


class Event:
    """One statement as it was executed."""

    __slots__ = ("changes", "depth", "has_changed", "line", "outer", "printed", "raised", "step")

    def __init__(self, line: int, outer: "Event | None") -> None:
        self.line = line
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.changes: list[dict[str, Any]] = []
        self.has_changed = False
        """Whether something other than the assigned names may have changed."""
        self.printed = ""
        self.raised = False
        self.step = -1
        """Its place in the order in which statements were done."""


class Pass:
    """One backward pass."""

    def __init__(self, index: int, backward: Backward, line: int, step: int, tape_index: int) -> None:
        self.index = index
        self.backward = backward
        self.line = line
        self.step = step
        self.tape_index = tape_index
        """Operations before it: what the roots were computed by."""
        self.arrived: list[tuple[Any, Any]] = []
        """(node, gradient values) in order of arrival."""
        self.before: dict[int, Any] = {}
        """By id of the tensor: what its `.grad` was, as a tensor of its own."""
        self.gradients: list[tuple[Tensor, Tensor | None]] = []
        """(tensor, what this pass gave it)."""
        self.is_done = False
        self.n_freed = 0
