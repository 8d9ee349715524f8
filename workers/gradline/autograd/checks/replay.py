"""A piece of a program run again in float64, at other values of one of its tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.precision import double
from gradline.autograd.record.events import Pass
from gradline.autograd.record.tape import Entry, Tape, tensors_in
from gradline.autograd.record.trace import PASS


class NotRepeatable(Exception):
    """The piece cannot be run again with another value; says why."""


class Replay:
    """The operations between a tensor and the roots of a backward pass, run again in float64."""

    def __init__(self, tape: Tape, one: Pass, tensor: Tensor) -> None:
        self._tape = tape
        self._one = one
        self._tensor = tensor
        self._changed_at = tape.changes_of(tensor)
        self._entries, self._made_by = self._slice()
        self._orders = any(entry.operation is PASS for entry in self._entries)

    def at(self, value: Tensor) -> float:
        """The weighted sum of the roots, with the tensor at `value`."""
        with torch.enable_grad() if self._orders else torch.no_grad():
            shift = (value - self._now(self._tensor, self._one.tape_index)).detach()
            if self._orders:
                shift.requires_grad_()
            known: dict[int, Tensor] = {}
            self._n_changes = -1
            for entry in self._entries:
                self._run(entry, known, shift)
            return sum(self._weighted(root, weight, known, shift) for root, weight in self._roots())

    def _roots(self) -> Sequence[tuple[Tensor, Tensor | None]]:
        return list(zip(self._one.backward.roots, self._one.backward.weights, strict=False))

    def _weighted(self, root: Tensor, weight: Tensor | None, known: dict[int, Tensor], shift: Tensor) -> float:
        value = self._value(root, self._one.tape_index, known, shift)
        product = value if weight is None else value * weight.detach().double()
        return float(product.sum())

    def _slice(self) -> tuple[list[Entry], dict[int, int]]:
        """The entries through which the roots depend on the tensor, as autograd sees it."""
        reached, entries, last = {id(self._tensor)}, [], {}
        for entry in self._tape.entries[: self._one.tape_index]:
            if any(id(t) in reached for t in entry.inputs()) or self._passes_through(entry, reached):
                outputs = [t for t, node in zip(entry.outputs, entry.nodes, strict=True) if node is not None]
                if entry.operation.mutates and isinstance(entry.args[0], Tensor) and entry.args[0].requires_grad:
                    outputs = outputs or ([entry.args[0]] if entry.args[0].grad_fn is not None else [])
                outputs = [t for t in outputs if t is not self._tensor]
                if outputs:
                    if entry.operation.is_random:
                        raise NotRepeatable(f"`{entry.operation.name}` draws random numbers")
                    entries.append(entry)
                    reached.update(map(id, outputs))
                    last.update(dict.fromkeys(map(id, outputs), entry.index))
        if not any(id(root) in reached for root in self._one.backward.roots):
            raise NotRepeatable("how the result was computed from it is not on record")
        return entries, last

    def _passes_through(self, entry: Entry, reached: set[int]) -> bool:
        """A backward pass whose gradients can be differentiated again depends on what its roots depend on."""
        return entry.operation is PASS and any(id(root) in reached for root in entry.args[0].backward.roots)

    def _run(self, entry: Entry, known: dict[int, Tensor], shift: Tensor) -> None:
        if entry.operation is PASS:
            self._run_pass(entry, known, shift)
            return
        args = self._again(entry.args, entry.index, known, shift)
        kwargs = {name: self._again((value,), entry.index, known, shift)[0] for name, value in entry.kwargs.items()}
        if entry.operation.mutates:
            self._mutate(entry, args, kwargs, known)
            return
        made = _at_double(entry.operation.function)(*args, **kwargs)
        outputs = (made,) if isinstance(made, Tensor) else tuple(tensors_in((made,)))
        for output, value in zip(entry.outputs, outputs, strict=True):
            if output.requires_grad:
                known[id(output)] = value

    def _mutate(self, entry: Entry, args: Sequence[Any], kwargs: dict[str, Any], known: dict[int, Tensor]) -> None:
        target = entry.args[0]
        if target._is_view() and target._base is not None:
            raise NotRepeatable("a view of a tensor was changed in place")
        changed = args[0].clone()
        entry.operation.function(changed, *args[1:], **kwargs)
        known[id(target)] = changed

    def _run_pass(self, entry: Entry, known: dict[int, Tensor], shift: Tensor) -> None:
        """A gradient that was itself differentiated: taken again of the repeated piece."""
        one: Pass = entry.args[0]
        roots = [self._value(root, entry.index, known, shift) for root in one.backward.roots]
        weights = [None if w is None else self._value(w, entry.index, known, shift) for w in one.backward.weights]
        inputs = [self._value(t, entry.index, known, shift) for t, _ in one.gradients]
        if one.backward.accumulates:
            raise NotRepeatable("it goes through `.grad` of an earlier backward")
        made = torch.autograd.grad(roots, inputs, weights, create_graph=True, allow_unused=True)
        for (_, gradient), value in zip(one.gradients, made, strict=True):
            if gradient is not None and value is not None:
                known[id(gradient)] = value

    def _again(self, values: Sequence[Any], index: int, known: dict[int, Tensor], shift: Tensor) -> Any:
        again = []
        for value in values:
            if isinstance(value, Tensor):
                again.append(self._value(value, index, known, shift))
            elif type(value) in (list, tuple):
                again.append(self._again(value, index, known, shift))
            else:
                again.append(double(value))
        return type(values)(again)  # type: ignore[call-arg]

    def _value(self, tensor: Tensor, index: int, known: dict[int, Tensor], shift: Tensor) -> Tensor:
        if tensor is self._tensor:
            n_changes = sum(at < index for at in self._changed_at)
            if id(tensor) not in known or n_changes != self._n_changes:
                self._n_changes = n_changes
                known[id(tensor)] = self._now(tensor, index) + shift
            return known[id(tensor)]
        if id(tensor) in known:
            return known[id(tensor)]
        return self._now(tensor, index)

    def _now(self, tensor: Tensor, index: int) -> Tensor:
        value = self._tape.value_at(tensor, index)
        if value is None:
            raise NotRepeatable("values from before a change in place were not kept")
        return double(value)


def _at_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """`.float()` and `.half()` would take the precision away again."""
    return Tensor.double if function in (Tensor.float, Tensor.half, Tensor.bfloat16) else function
