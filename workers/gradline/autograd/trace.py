"""Writes down what happens while a program runs: what changed on every line, every operation, every backward pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.library import Operation
from gradline.autograd.network import Network
from gradline.autograd.recorder import Backward, Recorder, Transform
from gradline.autograd.snapshots import Snapshot, keeps_gradient, snapshot, values_of
from gradline.autograd.tape import Tape
from gradline.autograd.values import Frame

MAX_EVENTS = 20_000
MAX_IN_CONTAINER = 20
"""Tensors of a list or module that are watched."""


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


class State:
    """What was last seen of a tensor; a change in place shows against it."""

    __slots__ = ("data", "grad", "requires_grad", "tensor", "version")

    def __init__(self, tensor: Tensor, shot: Snapshot) -> None:
        self.tensor = tensor
        self.version = shot.version
        self.data = shot.data
        self.requires_grad = shot.requires_grad
        grad = grad_of(tensor)
        self.grad: Any = None if grad is None else values_of(grad)
        """Values of its gradient."""


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


class Trace(Recorder):
    """The full record of one run."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.network = Network()
        self.events: list[Event] = []
        self.n_events = 0
        self.printed_lines: list[tuple[int, str]] = []
        self.passes: list[Pass] = []
        self.transforms: list[tuple[Transform, int]] = []
        self.cuts: list[tuple[str, Tensor, int, int]] = []
        """(how, tensor, line, tape index) of every value taken out of the graph."""
        self.grad_reads: list[tuple[Tensor, int]] = []
        """(tensor, line) of every `.grad` read that gave None."""
        self.hooked_tensors: dict[int, int] = {}
        """Line of the hook by id of the tensor."""
        self.caught_errors: list[tuple[Any, Exception]] = []
        self.names: dict[int, list[tuple[str, int, int]]] = {}
        """By id of a tensor: the names it was given, with line and step."""
        self.kept: list[Tensor] = []
        """Keeps every tensor alive whose id is used above."""
        self.states: dict[int, State] = {}
        self._event: Event | None = None
        self._n_suspended = 0
        self._pass: Pass | None = None

    def begin(self, line: int) -> Event | None:
        if self._n_suspended:
            return None
        self._event = Event(line, self._event)
        self.line = line
        return self._event

    def end(self, event: Event | None, frame: Frame) -> None:
        if event is None:
            return
        if event.has_changed:
            self._look_around(event, frame)
            if event.outer is not None:
                event.outer.has_changed = True
        event.step = self.n_events
        self.n_events += 1
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)
        self._event = event.outer
        if event.outer is not None:
            self.line = event.outer.line

    def failed(self, event: Event | None, frame: Frame) -> None:
        if event is not None:
            while self._event is not None and self._event is not event:
                self._event = self._event.outer
            event.raised = True
            self.end(event, frame)

    def assigned(self, name: str, value: Any) -> None:
        event = self._event
        if event is None or self._n_suspended:
            return
        if isinstance(value, Tensor):
            shot = snapshot(value)
            known = self.states.get(id(value))
            event.changes.append(
                {"kind": "assigned", "name": name, "tensor": shot, "is_new": known is None, "id": id(value)}
            )
            if known is None:
                self.states[id(value)] = State(value, shot)
            self.names.setdefault(id(value), []).append((name, event.line, self.n_events))
        else:
            event.changes.append({"kind": "assigned", "name": name, "value": value})
            if isinstance(value, list | tuple | dict | torch.nn.Module):
                for inner, tensor in _named_tensors(name, value):
                    self.names.setdefault(id(tensor), []).append((inner, event.line, self.n_events))
                    self.states.setdefault(id(tensor), State(tensor, snapshot(tensor)))

    def deleted(self, name: str) -> None:
        if self._event is not None:
            self._event.changes.append({"kind": "deleted", "name": name})

    def changed(self) -> None:
        if self._event is not None:
            self._event.has_changed = True

    def condition(self, holds: bool) -> None:
        if self._event is not None:
            self._event.changes.append({"kind": "condition", "value": holds})

    def caught(self, failed_at: Any, error: Exception) -> None:
        self.caught_errors.append((failed_at, error))

    def printed(self, text: str) -> None:
        self.printed_lines.append((self.line, text))
        if self._event is not None:
            self._event.printed += text

    def operation(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> None:
        if self._n_suspended:
            return
        entry = self.tape.add(operation, args, kwargs, made, self.line, self.n_events)
        if entry is not None:
            self.network.made(entry)
        if operation.mutates:
            self.changed()

    def before_mutation(self, args: Sequence[Any]) -> None:
        if not self._n_suspended:
            targets = args[0] if isinstance(args[0], list) else [args[0]]
            self.tape.before_mutation([t for t in targets if isinstance(t, Tensor)], self.line, self.n_events)

    def cut(self, how: str, tensor: Tensor) -> None:
        if not self._n_suspended and tensor.requires_grad:
            self.cuts.append((how, tensor, self.line, len(self.tape.entries)))

    def grad_read(self, tensor: Tensor) -> None:
        if grad_of(tensor) is None and not self._n_suspended:
            self.grad_reads.append((tensor, self.line))

    def hooked(self, tensor: Tensor) -> None:
        self.hooked_tensors.setdefault(id(tensor), self.line)
        self.kept.append(tensor)

    def transform(self, transform: Transform) -> None:
        if not self._n_suspended:
            self.transforms.append((transform, self.line))

    def release(self) -> None:
        self.network.release()
        self.tape = Tape()
        self.events.clear()
        for kept in (self.passes, self.transforms, self.cuts, self.grad_reads, self.kept, self.caught_errors):
            kept.clear()
        self.states.clear()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        self._n_suspended += 1
        try:
            yield
        finally:
            self._n_suspended -= 1

    def backward(self, backward: Backward) -> Any:
        if self._n_suspended or not all(isinstance(root, Tensor) for root in backward.roots):
            return backward.call()
        one = Pass(len(self.passes), backward, self.line, self.n_events, len(self.tape.entries))
        self.passes.append(one)
        order = self.network.discover(backward.roots, self._arrived)
        leaves = [node.variable for node in order if hasattr(node, "variable")]
        watched = {id(t): t for t in [*leaves, *(backward.inputs or []), *self.network.retaining()]}
        one.before = {key: _copy(grad_of(tensor)) for key, tensor in watched.items()} if backward.accumulates else {}
        outer, self._pass = self._pass, one
        self.changed()
        try:
            made = backward.call()
        finally:
            self._pass = outer
        self._done(one, watched, made)
        return made

    def _done(self, one: Pass, watched: dict[int, Tensor], made: Any) -> None:
        one.is_done = True
        if one.backward.accumulates:
            for key, tensor in watched.items():
                if (given := _added(one.before[key], grad_of(tensor))) is not None:
                    one.gradients.append((tensor, given))
        else:
            one.gradients = list(zip(one.backward.inputs or [], made, strict=False))
        if not one.backward.keeps_graph:
            one.n_freed = self.network.freed([node for node, _ in one.arrived], one)
        if one.backward.creates_graph:
            outputs = tuple(t for _, t in one.gradients) if not one.backward.accumulates else made
            entry = self.tape.add(PASS, (one,), {}, outputs, self.line, self.n_events)
            if entry is not None:
                self.network.made(entry)

    def name_of(self, tensor: Tensor | None) -> str | None:
        """The name a tensor was given first."""
        named = self.names.get(id(tensor)) if tensor is not None else None
        return named[0][0] if named else None

    def _arrived(self, node: Any, gradients: tuple[Tensor | None, ...]) -> None:
        if self._pass is not None:
            self._pass.arrived.append((node, [None if g is None else values_of(g) for g in gradients]))

    def _look_around(self, event: Event, frame: Frame) -> None:
        """Notes every named tensor that is no longer as it was last seen."""
        seen: set[int] = set()
        for name, tensor in named_tensors(frame):
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            state, shot = self.states.get(id(tensor)), snapshot(tensor)
            now = State(tensor, shot)
            self.states[id(tensor)] = now
            if state is not None:
                event.changes.extend(_differences(name, state, now, shot))


PASS = Operation("grad", lambda *_: None)
"""Stands on the tape for a backward pass whose gradients can be differentiated again."""


def grad_of(tensor: Tensor) -> Tensor | None:
    """`.grad`, without torch's warning where there cannot be one."""
    return tensor.grad if keeps_gradient(tensor) else None


def named_tensors(frame: Frame) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a name leads to, innermost frame first."""
    inner: Frame | None = frame
    while inner is not None:
        for name, value in inner.names.items():
            if isinstance(value, Tensor):
                yield name, value
            elif isinstance(value, list | tuple | dict | torch.nn.Module):
                yield from _named_tensors(name, value)
        inner = inner.parent


def _named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, torch.nn.Module):
        inner = [(f"{name}.{key}", tensor) for key, tensor in value.named_parameters()]
    elif isinstance(value, dict):
        inner = [(f"{name}[{key!r}]", tensor) for key, tensor in value.items()]
    else:
        inner = [(f"{name}[{i}]", tensor) for i, tensor in enumerate(value[:MAX_IN_CONTAINER])]
    yield from ((key, tensor) for key, tensor in inner[:MAX_IN_CONTAINER] if isinstance(tensor, Tensor))


def _differences(name: str, before: State, now: State, shot: Snapshot) -> Iterator[dict[str, Any]]:
    if before.version != now.version or not _same(before.data, now.data):
        yield {"kind": "changed in place", "name": name, "tensor": shot, "version_before": before.version}
    if before.requires_grad != now.requires_grad:
        yield {"kind": "requires_grad", "name": name, "before": before.requires_grad, "after": now.requires_grad}
    if not _same(before.grad, now.grad):
        yield {"kind": "grad", "name": name, "before": before.grad, "after": now.grad}


def _copy(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else grad.detach().clone()


def _added(before: Tensor | None, after: Tensor | None) -> Tensor | None:
    """What one pass added to a gradient; None where nothing arrived."""
    if after is None:
        return None
    return after.detach().clone() if before is None else after.detach() - before


def _same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)  # nan is the same as nan here
