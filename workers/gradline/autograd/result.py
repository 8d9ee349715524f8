"""The result of a program, as JSON."""

from typing import Any

from torch import Tensor

from gradline.autograd.graph import graph_of
from gradline.autograd.record.events import Event
from gradline.autograd.record.snapshots import Snapshot, as_json, finite, plain, snapshot, values_of
from gradline.autograd.record.trace import Trace
from gradline.autograd.record.watching import grad_of, named_tensors
from gradline.autograd.values import Frame
from gradline.programs.statements import Program

MAX_PASSES = 500
"""Backward passes in the result."""
MAX_TENSORS = 200


def printed_of(trace: Trace) -> list[dict[str, Any]]:
    """What was printed, one item per print, in order."""
    return [{"line": line, "text": text} for line, text in trace.printed_lines]


def lines_of(program: Program, trace: Trace) -> list[dict[str, Any]]:
    """Every executed line in order, repeated as often as it ran."""
    return [_line(program, event) for event in trace.events]


def tensors_of(frame: Frame) -> dict[str, Any]:
    """Every named tensor at the end."""
    found = dict(_tensor(name, tensor) for name, tensor in named_tensors(frame))
    return dict(list(found.items())[:MAX_TENSORS])


def result_of(program: Program, trace: Trace, frame: Frame) -> dict[str, Any]:
    """The parts that need nothing but the record."""
    n_more = max(trace.n_events - len(trace.events), 0)
    return {
        "printed": printed_of(trace),
        "lines": lines_of(program, trace),
        "n_lines_left_out": n_more,
        "tensors": tensors_of(frame),
        "graph": graph_of(trace),
        "passes": [_pass(one, trace) for one in trace.passes[:MAX_PASSES] if one.is_done],
    }


def _line(program: Program, event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "line": event.line,
        "source": program.line(event.line).strip(),
        "index": event.step,
        "depth": event.depth,
        "changes": [_change(change) for change in event.changes],
    }
    if event.printed:
        shown["printed"] = event.printed
    if event.raised:
        shown["raised"] = True
    return shown


def _change(change: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in change.items() if key not in ("tensor", "value", "before", "after")}
    if "tensor" in change:
        shot: Snapshot = change["tensor"]
        shown["tensor"] = as_json(shot)
    if "value" in change:
        shown["value"] = change["value"] if change["kind"] == "condition" else plain(change["value"])
    if "before" in change:
        shown |= {"before": finite(change["before"]), "after": finite(change["after"])}
    return shown


def _tensor(name: str, tensor: Tensor) -> tuple[str, dict[str, Any]]:
    shot, grad = as_json(snapshot(tensor)), grad_of(tensor)
    return name, {
        "value": shot["data"],
        "grad": None if grad is None else finite(values_of(grad)),
        "requires_grad": shot["requires_grad"],
        "is_leaf": shot["is_leaf"],
        "grad_fn": shot["grad_fn"],
        "shape": shot["shape"],
        "dtype": shot["dtype"],
        "version": shot["version"],
        **({"is_head": True} if "is_head" in shot else {}),
    }


def _pass(one: Any, trace: Trace) -> dict[str, Any]:
    return {
        "line": one.line,
        "step": one.step,
        "n_freed": one.n_freed,
        "gradients": [
            {"name": trace.name_of(t), "value": None if g is None else finite(values_of(g))} for t, g in one.gradients
        ],
    }
