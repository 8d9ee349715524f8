"""Writes down what happens while a program runs: what changed on every line, every operation, every backward pass."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.library import Operation
from gradline.autograd.limits import LimitReached
from gradline.autograd.record.events import Event, Pass
from gradline.autograd.record.network import Network
from gradline.autograd.record.recorder import Backward, Recorder, Transform
from gradline.autograd.record.snapshots import snapshot, values_of
from gradline.autograd.record.tape import Tape
from gradline.autograd.record.watching import State, differences, grad_of, named_tensors, tensors_inside
from gradline.autograd.values import Frame

MAX_EVENTS = 2_000
"""Executed lines written down; what a long loop does after them is computed, and no longer watched."""
MAX_TWICE = 5_000
"""Operations below a gradient that is to be differentiated again: each order may have several times as many."""


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
        self._retained: dict[int, Tensor] = {}
        """Tensors inside the graph that the program told to keep their gradient."""
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
        if event.has_changed and not self.is_full:
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

    @property
    def is_full(self) -> bool:
        """Whether no more lines are written down."""
        return self.n_events >= MAX_EVENTS

    def retained(self, tensor: Tensor) -> None:
        self._retained[id(tensor)] = tensor

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
        if self.is_full:
            if isinstance(value, Tensor):
                self.names[id(value)] = [(name, event.line, self.n_events)]
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
                for inner, tensor in tensors_inside(name, value):
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
        self._retained.clear()

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
        if backward.creates_graph and len(order) > MAX_TWICE:
            raise LimitReached(
                "graph_nodes", f"a gradient to differentiate again through more than {MAX_TWICE} operations"
            )
        leaves = [node.variable for node in order if hasattr(node, "variable")]
        given = [t for t in backward.inputs or [] if isinstance(t, Tensor)]  # torch says what the others are
        watched = {id(t): t for t in [*leaves, *given, *self._retained.values()]}
        backward.check_memory(_gradient_bytes(watched.values(), backward.accumulates))
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
            values = [] if self.is_full else [None if g is None else values_of(g) for g in gradients]
            self._pass.arrived.append((node, values))

    def _look_around(self, event: Event, frame: Frame) -> None:
        """Notes every named tensor that is no longer as it was last seen."""
        seen: set[int] = set()
        for name, tensor in named_tensors(frame):
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            state = self.states.get(id(tensor))
            if state is not None and state.still_holds():
                continue
            shot = snapshot(tensor)
            now = State(tensor, shot)
            self.states[id(tensor)] = now
            if state is not None:
                event.changes.extend(differences(name, state, now, shot))


PASS = Operation("grad", lambda *_: None)
"""Stands on the tape for a backward pass whose gradients can be differentiated again."""


def _copy(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else grad.detach().clone()


def _gradient_bytes(watched: Iterable[Tensor], accumulates: bool) -> int:
    """Of the gradients that arrive; accumulated ones are kept as they were, and as what was added to them."""
    n: int = sum([tensor.nbytes for tensor in watched])
    return 3 * n if accumulates else n


def _added(before: Tensor | None, after: Tensor | None) -> Tensor | None:
    """What one pass added to a gradient; None where nothing arrived."""
    if after is None:
        return None
    return after.detach().clone() if before is None else after.detach() - before
