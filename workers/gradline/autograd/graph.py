"""The graph for the result: operations, leaves and constants, values, gradients that arrived, what was saved."""

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.library import BINARY, IN_PLACE
from gradline.autograd.record.network import Known
from gradline.autograd.record.snapshots import as_json, finite, grad_fn_name, snapshot, values_of
from gradline.autograd.record.tape import Entry
from gradline.autograd.record.trace import Trace

MAX_SHOWN = 300
"""Nodes in the result; a longer program's last ones."""
MAX_DETAIL = 24


def graph_of(trace: Trace) -> dict[str, Any]:
    """Nodes, edges from input to operation, and how many nodes were left out."""
    return _Graph(trace).as_json()


class _Graph:
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        trace.network.complete(node for entry in trace.tape.entries for node in entry.nodes if node is not None)
        known = list(trace.network.known.values())
        self._known = known[-MAX_SHOWN:]
        self._n_left_out = len(known) - len(self._known)
        self._ids = {k.node: f"n{k.index}" for k in self._known}
        self._constants: dict[int, dict[str, Any]] = {}
        self._edges: list[dict[str, Any]] = []
        self._arrivals = self._arrived()

    def as_json(self) -> dict[str, Any]:
        nodes = [self._node(k) for k in self._known]
        for k in self._known:
            self._connect(k)
        nodes = [*self._constants.values(), *nodes]
        groups = _groups(nodes, self._edges)
        for node in nodes:
            node["group"] = groups[node["id"]]
        return {"nodes": nodes, "edges": self._edges, "n_left_out": self._n_left_out}

    def _node(self, k: Known) -> dict[str, Any]:
        entry, output = k.entry, k.output
        is_leaf = hasattr(k.node, "variable")
        shown: dict[str, Any] = {
            "id": self._ids[k.node],
            "kind": "leaf" if is_leaf else "operation",
            "label": "leaf" if is_leaf else self._label(entry, k),
            "grad_fn": grad_fn_name(k.node),
            "name": self._trace.name_of(output),
            "line": self._line_of(k),
            "step": entry.step if entry else self._born(output),
            "value": None if output is None else self._value(output, entry),
            "gradients": self._arrivals.get(k.node, []),
        }
        if is_leaf and output is not None and (history := self._history(output)):
            shown["history"] = history
        if not is_leaf:
            shown["saved"] = [self._saved(s.name, s.tensor) for s in k.saved or []]
            freed = k.freed_by
            shown["freed"] = None if freed is None else {"line": freed.line, "step": freed.step}
        return shown

    def _label(self, entry: Entry | None, k: Known) -> str:
        """What was computed, as a formula of names and numbers; a dot stands for a value without a name."""
        if entry is None or k.output is None:
            return re.sub(r"Backward\d*$", "", grad_fn_name(k.node) or "").lower() + "()"
        parts = [self._operand(value) for value in entry.args if not _is_parameters(value)]
        name = entry.operation.name
        if name in BINARY or name in {operation.name for operation in IN_PLACE.values()}:
            text = f" {name} ".join(parts) if len(parts) == 2 else f"{name}{parts[0]}"
        elif name == "[]":
            text = f"{parts[0]}[{', '.join(parts[1:])}]"
        elif name.startswith("."):
            text = f"{parts[0]}{name}"
        else:
            text = f"{name}({', '.join(parts)})"
        return text if len(text) <= MAX_DETAIL else f"{name[:MAX_DETAIL]}(…)"

    def _operand(self, value: Any) -> str:
        if isinstance(value, Tensor):
            return self._trace.name_of(value) or "·"
        if isinstance(value, float):
            return f"{value:g}"
        if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
            return "[" + ", ".join(map(self._operand, value[:4])) + ("…]" if len(value) > 4 else "]")
        return str(value) if isinstance(value, int | str) or value is None else "…"

    def _history(self, tensor: Tensor) -> list[dict[str, Any]]:
        """The values a leaf had before and after each change in place, with the step from which on."""
        tape, storage = self._trace.tape, tensor.untyped_storage().data_ptr()
        changes = [m for m in tape.mutations if m.storage == storage][:MAX_SHOWN]
        if not changes:
            return []
        moments = [(0, changes[0].index), *((m.step, m.index + 1) for m in changes)]
        values = [(step, tape.value_at(tensor, index)) for step, index in moments]
        return [{"step": step, "data": finite(values_of(value))} for step, value in values if value is not None]

    def _line_of(self, k: Known) -> int | None:
        if k.entry is not None:
            return k.entry.line
        named = self._trace.names.get(id(k.output))
        return named[0][1] if named else None

    def _born(self, output: Tensor | None) -> int:
        named = self._trace.names.get(id(output))
        return named[0][2] if named else 0

    def _value(self, output: Tensor, entry: Entry | None) -> dict[str, Any]:
        shot = snapshot(output)
        then = None if entry is None else self._trace.tape.value_at(output, entry.index + 1)
        return as_json(shot if then is None else shot._replace(data=snapshot(then).data))

    def _saved(self, name: str, tensor: Tensor | None) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": name.removeprefix("_saved_"), "of": self._trace.name_of(tensor)}
        return {**shown, "shape": None if tensor is None else list(tensor.shape), "was_changed": tensor is None}

    def _connect(self, k: Known) -> None:
        """Edges from what the node was computed from; autograd knows no constants, they come from the operation."""
        for below, _ in k.node.next_functions:
            if below in self._ids:
                self._edges.append({"from": self._ids[below], "to": self._ids[k.node]})
        if k.entry is None or k.output is None:
            return
        for tensor in k.entry.inputs():
            if not tensor.requires_grad and tensor is not k.output:
                self._edges.append({"from": self._constant(tensor, k.entry), "to": self._ids[k.node]})

    def _constant(self, tensor: Tensor, entry: Entry) -> str:
        if id(tensor) not in self._constants:
            name = self._trace.name_of(tensor)
            self._constants[id(tensor)] = {
                "id": f"c{len(self._constants)}",
                "kind": "constant",
                "label": "constant",
                "grad_fn": None,
                "name": name,
                "line": entry.line,
                "step": self._born(tensor) if name else entry.step,
                "value": self._value(tensor, None),
                "gradients": [],
            }
        return str(self._constants[id(tensor)]["id"])

    def _arrived(self) -> dict[Any, list[dict[str, Any]]]:
        arrivals: dict[Any, list[dict[str, Any]]] = {}
        for one in self._trace.passes:
            for order, (node, gradients) in enumerate(one.arrived):
                if one.is_done:
                    shown = gradients[0] if len(gradients) == 1 else gradients
                    arrived = {"pass": one.index, "line": one.line, "step": one.step, "order": order}
                    arrivals.setdefault(node, []).append({**arrived, "value": finite(shown)})
            self._add_totals(one, arrivals)
        return arrivals

    def _add_totals(self, one: Any, arrivals: dict[Any, list[dict[str, Any]]]) -> None:
        """To what arrived at a leaf in this pass, what its `.grad` then was."""
        given = {id(tensor): gradient for tensor, gradient in one.gradients}
        for node, found in arrivals.items():
            tensor = getattr(node, "variable", None)
            gradient = None if tensor is None else given.get(id(tensor))
            if gradient is not None and one.backward.accumulates and found[-1]["pass"] == one.index:
                before = one.before.get(id(tensor))
                found[-1]["total"] = finite(values_of(gradient if before is None else before + gradient))


def _is_parameters(value: Any) -> bool:
    """What a module was called with beside its inputs."""
    return type(value) is tuple and all(isinstance(item, torch.nn.Parameter) for item in value)


def _groups(nodes: Iterable[dict[str, Any]], edges: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Parts of the graph that share operations, numbered in order: the turns of a training loop, for one.

    Leaves and constants join nothing: they belong to the part that used them last.
    """
    kinds = {node["id"]: node["kind"] for node in nodes}
    parent = {key: key for key in kinds}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for edge in edges:
        if kinds[edge["from"]] == "operation":
            parent[root(edge["from"])] = root(edge["to"])
    numbers: dict[str, int] = {}
    groups = {key: numbers.setdefault(root(key), len(numbers)) for key, kind in kinds.items() if kind == "operation"}
    for edge in edges:
        if kinds[edge["from"]] != "operation":
            groups[edge["from"]] = groups[edge["to"]]
    return {key: groups.get(key, -1) for key in kinds}
