"""What the interpreter reports while it runs. This one listens to nothing; `trace.Trace` writes everything down."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gradline.autograd.library import Operation
from gradline.autograd.values import Frame


@dataclass(frozen=True, slots=True)
class Backward:
    """One call of `backward` or `torch.autograd.grad`, about to be made."""

    roots: list[Tensor]
    weights: list[Tensor | None]
    """The gradient that starts at each root; None is a one."""
    inputs: list[Tensor] | None
    """Where gradients are asked; None is at every leaf."""
    keeps_graph: bool
    creates_graph: bool
    accumulates: bool
    """Into `.grad`; otherwise the gradients are returned."""
    call: Callable[[], Any]
    check_memory: Callable[[int], None]
    """Refuses a call that would take so many bytes more than there are."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One gradient out of a transform of a function, such as `torch.func.grad(f)(x)`."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    differentiated: tuple[int, ...]
    """Which arguments it was differentiated by."""
    directions: tuple[Any, ...] | None
    """Of a vector-Jacobian (cotangents) or Jacobian-vector product (tangents)."""
    made: Any


class Recorder:
    """Hears of everything that happens, in order."""

    line = 0
    """The line being executed."""

    def begin(self, line: int) -> Any:
        """A statement begins; what is returned is handed to `end` or `failed`."""

    def end(self, event: Any, frame: Frame) -> None:
        """The statement is done."""

    def failed(self, event: Any, frame: Frame) -> None:
        """The statement raised."""

    def assigned(self, name: str, value: Any) -> None:
        """A name was bound."""

    def deleted(self, name: str) -> None:
        """A name was unbound."""

    def changed(self) -> None:
        """Something other than a name may have changed: a gradient, `requires_grad`."""

    def condition(self, holds: bool) -> None:
        """An `if` or `while` was decided."""

    def caught(self, failed_at: Any, error: Exception) -> None:
        """An `except` of the program caught an error."""

    def printed(self, text: str) -> None:
        """The program printed."""

    def operation(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> None:
        """An operation was computed."""

    def before_mutation(self, args: Sequence[Any]) -> None:
        """An operation is about to change its first argument, or the tensors of a list, in place."""

    def cut(self, how: str, tensor: Tensor) -> None:
        """A value is taken out of a tensor and out of the graph."""

    def grad_read(self, tensor: Tensor) -> None:
        """`.grad` was read."""

    def hooked(self, tensor: Tensor) -> None:
        """The program hung a hook on a tensor."""

    def backward(self, backward: Backward) -> Any:
        """Runs the call; what it returns."""
        return backward.call()

    def retained(self, tensor: Tensor) -> None:
        """`retain_grad` was called on a tensor."""

    def transform(self, transform: Transform) -> None:
        """A transform gave a gradient."""

    def release(self) -> None:
        """Lets go of every tensor; nothing can be read afterwards."""

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Inside: operations on tensors that belong to a transform, not to the program."""
        yield
