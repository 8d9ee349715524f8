"""Autograd's own graph as far as the program has reached it: nodes, what they saved, when that was freed."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.record.tape import Entry

MAX_NODES = 20_000


class Saved:
    """A tensor that a node keeps for its backward."""

    __slots__ = ("name", "tensor", "version")

    def __init__(self, name: str, tensor: Tensor | None) -> None:
        self.name = name
        self.tensor = tensor
        """None where torch refuses to give it: it was changed in place since."""
        self.version = None if tensor is None or tensor.is_inference() else tensor._version


class Known:
    """A node of the graph, and the operation of the program that it belongs to."""

    __slots__ = ("entry", "freed_by", "index", "node", "output", "saved")

    def __init__(self, index: int, node: Any, entry: Entry | None, output: Tensor | None) -> None:
        self.index = index
        self.node = node
        self.entry = entry
        self.output = output
        """The tensor it made; None where the operation made it on the way to another."""
        self.saved: list[Saved] | None = None
        """None until a backward pass is about to run through it."""
        self.freed_by: Any = None
        """The backward pass that freed what it saved."""


class Network:
    """Every node met so far, in the order they were made."""

    def __init__(self) -> None:
        self.known: dict[Any, Known] = {}
        self._hooked: dict[Any, Any] = {}
        """The handle of the hook on each node."""

    def made(self, entry: Entry) -> None:
        """Notes the nodes that an operation made."""
        for output, node in zip(entry.outputs, entry.nodes, strict=True):
            if node is not None and node not in self.known and len(self.known) < MAX_NODES:
                self.known[node] = Known(len(self.known), node, entry, output)

    def discover(self, roots: Iterable[Tensor], arrived: Callable[[Any, Any], None]) -> list[Any]:
        """Every node below the roots, each listening for its gradient, with what it has saved noted."""
        order = self._below(_node_of(root) for root in roots if root.requires_grad)
        for node in order:
            known = self.known[node]
            if known.saved is None or known.freed_by is None:
                known.saved = saved_by(node)
            if node not in self._hooked:
                self._hooked[node] = node.register_prehook(_listener(node, arrived))
        return order

    def release(self) -> None:
        """Takes the hooks off: Python's collector does not see a cycle that goes through torch."""
        for handle in self._hooked.values():
            handle.remove()
        self._hooked.clear()
        self.known.clear()

    def below(self, roots: Iterable[Tensor]) -> list[Known]:
        """The nodes that the roots were computed by."""
        return [self.known[node] for node in self._below(_node_of(root) for root in roots if root.requires_grad)]

    def complete(self, nodes: Iterable[Any]) -> None:
        """Meets every node below these, and notes what those that no backward pass has met have saved."""
        for node in self._below(nodes):
            if self.known[node].saved is None:
                self.known[node].saved = saved_by(node)

    def freed(self, nodes: Iterable[Any], one: Any) -> int:
        """Marks what these nodes saved as freed; how many tensors that were."""
        n = 0
        for node in nodes:
            known = self.known.get(node)
            if known is not None and known.freed_by is None and known.saved:
                known.freed_by = one
                n += len(known.saved)
        return n

    def _below(self, roots: Iterable[Any]) -> list[Any]:
        """Depth first; a node that no operation is known to have made belongs to the operation it was reached from."""
        stack: list[tuple[Any, Entry | None]] = [(root, None) for root in roots]
        order: dict[Any, None] = {}
        while stack and len(order) < MAX_NODES:
            node, above = stack.pop()
            if node is None or node in order:
                continue
            order[node] = None
            known = self.known.get(node)
            if known is None:
                entry = None if hasattr(node, "variable") else above
                known = self.known[node] = Known(len(self.known), node, entry, getattr(node, "variable", None))
            stack.extend((below, known.entry) for below, _ in node.next_functions)
        return list(order)


LOOKING = threading.local()
"""Whether what a node saved is being read by us, and not by the program or its backward pass."""


def saved_by(node: Any) -> list[Saved]:
    """What a node keeps for its backward; nothing once it is freed."""
    LOOKING.now = True
    try:
        return _saved_by(node)
    finally:
        LOOKING.now = False


def _saved_by(node: Any) -> list[Saved]:
    found = []
    for name in _saved_names(type(node)):
        try:
            value = getattr(node, name)
        except RuntimeError as error:
            if "modified by an inplace operation" in str(error):
                found.append(Saved(name, None))
            continue
        if isinstance(value, Tensor):
            found.append(Saved(name, value))
        elif isinstance(value, tuple):
            found += [Saved(name, item) for item in value if isinstance(item, Tensor)]
    return found


_NAMES: dict[type, list[str]] = {}


def _saved_names(kind: type) -> list[str]:
    """The attributes in which a kind of node keeps tensors; `dir` is slow, so each kind is asked once."""
    if kind not in _NAMES:
        names = [name for name in dir(kind) if name.startswith("_saved_")]
        _NAMES[kind] = names or [name for name in ("saved_tensors",) if hasattr(kind, name)]
    return _NAMES[kind]


def _listener(node: Any, arrived: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    def listen(gradients: Any) -> None:
        arrived(node, gradients)

    return listen


def _node_of(tensor: Tensor) -> Any:
    """The node a backward pass starts at; of a leaf, the one that accumulates its gradient."""
    return tensor.grad_fn if tensor.grad_fn is not None else torch.autograd.graph.get_gradient_edge(tensor).node
