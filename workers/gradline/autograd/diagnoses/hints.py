"""What a teacher would remark on a program that runs: forgotten zeroing, gradients that went nowhere, the first NaN."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.record.snapshots import grad_fn_name, is_finite, is_leaf
from gradline.autograd.record.trace import Trace
from gradline.autograd.record.watching import grad_of
from gradline.programs.statements import Program

MAX_HINTS = 20


def hints_of(program: Program, trace: Trace, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Remarks in order of their lines."""
    found = [
        *_accumulated(trace),
        *_first_not_finite(trace),
        *_grad_of_inner(program, trace),
        *_cut_off(trace),
        *_disagreements(result),
    ]
    if trace.tape.is_cut_short:
        found.append(
            _hint("cut_short", 1, "the program computes more than is kept: later operations ran but are not shown")
        )
    return sorted(found, key=lambda hint: hint["line"])[:MAX_HINTS]


def _hint(code: str, line: int, text: str, mend: str | None = None) -> dict[str, Any]:
    return {"code": code, "line": line, "text": text, **({"mend": mend} if mend else {})}


def _accumulated(trace: Trace) -> Iterator[dict[str, Any]]:
    """A backward pass that added to what an earlier one had left."""
    told: set[int] = set()
    for one in trace.passes:
        for tensor, _ in one.gradients:
            before = one.before.get(id(tensor))
            name = trace.name_of(tensor)
            if before is None or id(tensor) in told or name is None or not bool((before != 0).any()):
                continue
            told.add(id(tensor))
            was, now = _short(before), _short(grad_of(tensor) if one is trace.passes[-1] else _sum(one, tensor))
            text = (
                f"`{name}.grad` already held {was} when line {one.line} went backward, and backward adds to it: it"
                f" became {now}. Where each pass should stand alone, set it to zero first."
            )
            yield _hint("accumulated", one.line, text, f"{name}.grad.zero_()")


def _sum(one: Any, tensor: Tensor) -> Tensor | None:
    added = next((given for t, given in one.gradients if t is tensor), None)
    before = one.before.get(id(tensor))
    return added if before is None or added is None else before + added


def _short(tensor: Tensor | None) -> str:
    """A few values as a person writes them."""
    if tensor is None:
        return "nothing"
    if tensor.numel() == 1:
        return f"{tensor.item():.6g}"
    if tensor.numel() <= 6:
        return "[" + ", ".join(f"{v:.4g}" for v in tensor.flatten().tolist()) + "]"
    return f"{tensor.numel()} values"


def _first_not_finite(trace: Trace) -> Iterator[dict[str, Any]]:
    for entry in trace.tape.entries:
        for output in entry.outputs:
            if output.is_floating_point() and output.numel() and not bool(torch.isfinite(output.detach()).all()):
                inputs = [f"`{n}`" for n in map(trace.name_of, entry.inputs()) if n]
                of = f" of {', '.join(inputs)}" if inputs else ""
                yield _hint(
                    "not_finite", entry.line, f"`{entry.operation.name}`{of} gave the first value that is not finite"
                )
                return
    for one in trace.passes:
        for node, gradients in one.arrived:
            if not all(is_finite(g) for g in gradients if g is not None):
                known = trace.network.known.get(node)
                line = known.entry.line if known and known.entry else one.line
                where = f"on the way back from line {one.line}"
                text = f"{where}, the first gradient that is not finite arrived at {grad_fn_name(node)}"
                yield _hint("gradient_not_finite", line, text)
                return


def _grad_of_inner(program: Program, trace: Trace) -> Iterator[dict[str, Any]]:
    """`.grad` read where torch keeps none."""
    told: set[int] = set()
    for tensor, line in trace.grad_reads:
        name = trace.name_of(tensor)
        if id(tensor) in told or name is None:
            continue
        told.add(id(tensor))
        if not is_leaf(tensor):
            made = trace.names[id(tensor)][0][1]
            text = (
                f"`{name}.grad` is None: `{name}` is not a leaf (line {made} computed it), and torch keeps gradients"
                f" of leaves only. Call `{name}.retain_grad()` before the backward pass to keep this one."
            )
            yield _hint("grad_of_non_leaf", line, text, f"{program.line(made)}; {name}.retain_grad()")
        elif not tensor.requires_grad:
            text = f"`{name}.grad` is None: `{name}` does not require grad, so nothing is computed for it"
            yield _hint("grad_not_required", line, text)
        elif not any(one.is_done for one in trace.passes):
            yield _hint("grad_before_backward", line, f"`{name}.grad` is None until a backward pass has run")


def _cut_off(trace: Trace) -> Iterator[dict[str, Any]]:
    """A leaf that requires grad, was used, and got none because its value was taken out of the graph."""
    given = {id(tensor) for one in trace.passes for tensor, _ in one.gradients}
    told: set[int] = set()
    for how, tensor, line, _ in trace.cuts:
        leaf = tensor if is_leaf(tensor) else None
        name = trace.name_of(leaf)
        if leaf is None or name is None or id(leaf) in given or id(leaf) in told or not trace.passes:
            continue
        told.add(id(leaf))
        text = f"`{name}` got no gradient: line {line} took its value out of the graph with `{how}`"
        yield _hint("cut_off", line, text)


def _disagreements(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for check in result["gradient_checks"]:
        if check["status"] == "differs":
            why = check.get("reason", "the backward formula and the function do not belong together")
            slopes = f"finite differences give {check['numeric'][:4]}"
            text = f"the gradient of {check['of']} is not the slope of the function: {slopes}"
            yield _hint("gradient_differs", check["line"], f"{text} ({why})")
        elif check["status"] == "not differentiable here":
            text = f"not differentiable at this value of {check['of']}: what autograd gives is a convention"
            yield _hint("not_differentiable", check["line"], text)
