"""Every gradient compared with finite differences: the program between tensor and result, run again in float64.

    (L(x + h e_i) - L(x - h e_i)) / 2h,  h = 1e-6 max(1, |x_i|),  L = sum of gradient weights times roots

What autograd treats as a constant (detached values, values made under no_grad) keeps its recorded value, so both sides
differentiate the same function. Where the two one-sided quotients keep apart as h shrinks, the function has a kink.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.evaluate import double, doubled
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.recorder import Transform
from gradline.autograd.tape import Entry, Tape, tensors_in
from gradline.autograd.trace import PASS, Pass, Trace

STEP = 1e-6
MAX_CHECKED = 24
"""Elements of one gradient that are checked: the first, the last and evenly between."""
MAX_CHECKS = 60
BUDGET_S = 1.0
RELATIVE = {torch.float64: 1e-5, torch.float32: 2e-3, torch.float16: 5e-2, torch.bfloat16: 1e-1}
"""Allowed difference, in the precision the program computed in, relative to the gradient's largest element."""


class NotRepeatable(Exception):
    """The piece cannot be run again with another value; says why."""


def checks_of(trace: Trace, interpreter: Interpreter) -> list[dict[str, Any]]:
    """One check per gradient of every backward pass and transform, as far as time allows."""
    ends_at = time.monotonic() + BUDGET_S
    found: list[dict[str, Any]] = []
    asked: list[Callable[[], dict[str, Any]]] = []
    for one in trace.passes:
        if one.is_done:
            asked += [
                _bind(_check_pass, trace, one, tensor, given) for tensor, given in one.gradients if given is not None
            ]
    asked += [_bind(_check_transform, interpreter, transform, line) for transform, line in trace.transforms]
    for check in asked[:MAX_CHECKS]:
        if time.monotonic() > ends_at:
            break
        found.append(check())
    return found


def _bind(check: Callable[..., dict[str, Any]], *args: Any) -> Callable[[], dict[str, Any]]:
    return lambda: check(*args)


def _check_pass(trace: Trace, one: Pass, tensor: Tensor, given: Tensor) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "line": one.line,
        "step": one.step,
        "of": trace.name_of(tensor) or "a tensor without a name",
    }
    root = one.backward.roots[0]
    shown["result"] = trace.name_of(root)
    try:
        start = trace.tape.value_at(tensor, one.tape_index)
        if start is None:
            raise NotRepeatable("its values from before a change in place were not kept")
        if not tensor.is_floating_point():
            raise NotRepeatable("it is complex")
        replay = _Replay(trace.tape, one, tensor)
        shown |= compare(replay.at, start.double(), given.detach().double(), tensor.dtype)
    except NotRepeatable as error:
        return {**shown, "status": "skipped", "reason": str(error)}
    except Exception as error:  # noqa: BLE001  any error of the program is its lesson
        return {**shown, "status": "skipped", "reason": f"running it again failed: {error}"[:200]}
    if shown["status"] == "differs" and (reason := _known_reason(trace)):
        shown["reason"] = reason
    return shown


def _known_reason(trace: Trace) -> str | None:
    """Why a gradient may rightly, or silently, not be the slope of what was computed."""
    if trace.hooked_tensors:
        return "a hook of the program changes gradients on the way"
    if any(how == ".data" for how, *_ in trace.cuts):
        return "values were changed through `.data`, which autograd does not notice"
    return None


def compare(at: Callable[[Tensor], float], start: Tensor, given: Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """Autograd's gradient beside the difference quotients of `at`, a function of a tensor shaped like `start`."""
    n = start.numel()
    chosen = (
        range(n) if n <= MAX_CHECKED else sorted({round(i * (n - 1) / (MAX_CHECKED - 1)) for i in range(MAX_CHECKED)})
    )
    flat = given.flatten()
    scale = max(float(flat.abs().max()) if n else 0.0, 1e-3)
    allowed = RELATIVE.get(dtype, RELATIVE[torch.float32]) * scale
    worst, status, numeric = 0.0, "agrees", []
    for i in chosen:
        quotient, is_kink = _quotient(at, start, i)
        numeric.append(quotient)
        error = abs(quotient - float(flat[i]))
        if is_kink:
            status = "not differentiable here"
        elif not error <= allowed and status == "agrees":
            status = "differs"
        worst = max(worst, error) if math.isfinite(error) else math.inf
    values = {"autograd": [_number(flat[i]) for i in chosen], "numeric": [_number(q) for q in numeric]}
    return {"status": status, "max_error": _number(worst), "n_checked": len(numeric), "n_elements": n, **values}


def _quotient(at: Callable[[Tensor], float], start: Tensor, i: int) -> tuple[float, bool]:
    """The central difference quotient by element i, and whether the function has a kink there."""
    h = STEP * max(1.0, abs(float(start.flatten()[i])))
    middle, up, down = at(start), at(_shifted(start, i, h)), at(_shifted(start, i, -h))
    gap = abs((up - middle) - (middle - down)) / h
    central = (up - down) / (2 * h)
    if gap > 1e-3 * max(abs(central), 1.0) or not math.isfinite(gap):
        small = h / 100
        up, down = at(_shifted(start, i, small)), at(_shifted(start, i, -small))
        smaller = abs((up - middle) - (middle - down)) / small
        return central, not math.isfinite(smaller) or smaller > gap / 10
    return central, False


def _shifted(start: Tensor, i: int, h: float) -> Tensor:
    shifted = start.clone()
    shifted.view(-1)[i] += h
    return shifted


def _number(value: Any) -> Any:
    number = float(value)
    return number if math.isfinite(number) else str(number)


class _Replay:
    """The operations between a tensor and the roots of a backward pass, run again in float64."""

    def __init__(self, tape: Tape, one: Pass, tensor: Tensor) -> None:
        self._tape = tape
        self._one = one
        self._tensor = tensor
        self._entries, self._made_by = self._slice()
        self._orders = any(entry.operation is PASS for entry in self._entries)

    def at(self, value: Tensor) -> float:
        """The weighted sum of the roots, with the tensor at `value`."""
        with torch.enable_grad() if self._orders else torch.no_grad():
            shift = (value - self._now(self._tensor, self._one.tape_index)).detach()
            if self._orders:
                shift.requires_grad_()
            known: dict[int, Tensor] = {}
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
            if id(tensor) not in known or self._tape.mutations:
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


def _check_transform(interpreter: Interpreter, transform: Transform, line: int) -> dict[str, Any]:
    """A transform of a function against quotients of the function itself, called again in float64."""
    shown: dict[str, Any] = {"line": line, "of": "arguments", "result": transform.name}
    if transform.name not in _FIRST_ORDER and transform.name != "hessian":
        return {**shown, "status": "skipped", "reason": f"no comparison is made for {transform.name}"}
    interpreter.is_double = True
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with interpreter.recorder.suspended():
            return {**shown, **_compare_transform(transform)}
    except Exception as error:  # noqa: BLE001  any error of the program is its lesson
        return {**shown, "status": "skipped", "reason": f"running it again failed: {error}"[:200]}
    finally:
        torch.set_default_dtype(before)
        interpreter.is_double = False


_FIRST_ORDER = ("grad", "grad_and_value", "jacrev", "jacfwd", "jacobian", "vjp", "jvp")


def _compare_transform(transform: Transform) -> dict[str, Any]:
    if len(transform.differentiated) != 1 or (isinstance(transform.made, tuple) and len(transform.made) != 1):
        return {"status": "skipped", "reason": "it is differentiated by several arguments at once"}
    by = transform.differentiated[0]
    arguments = list(doubled(transform.arguments))
    if not isinstance(arguments[by], Tensor):
        return {"status": "skipped", "reason": "the argument is not a tensor"}
    made = transform.made[0] if isinstance(transform.made, tuple) else transform.made
    while isinstance(made, tuple):
        made = made[0]

    def value(point: Tensor) -> Tensor:
        given = [*arguments[:by], point, *arguments[by + 1 :]]
        called = transform.function(*given)
        return (called[0] if isinstance(called, tuple) else called).double()

    start, given = arguments[by].detach(), made.detach().double()
    dtype = transform.arguments[by].dtype
    if transform.name == "hessian":
        return _compare_hessian(value, start, given, dtype)
    if transform.name == "jvp":
        direction = doubled(transform.directions or ())[0]
        weights = torch.linspace(0.5, 1.5, given.numel()).reshape(given.shape)
        along = lambda t: float((value(start + t * direction) * weights).sum())  # noqa: E731
        return compare(along, torch.zeros(()), (given * weights).sum(), dtype)
    if transform.name == "vjp":
        weight = doubled(transform.directions)[0] if transform.directions else torch.ones(())
        return compare(lambda x: float((value(x) * weight).sum()), start, given, dtype)
    weights = torch.linspace(0.5, 1.5, max(given.numel() // max(start.numel(), 1), 1))
    pulled = torch.einsum("o,oi->i", weights, given.reshape(len(weights), -1)).reshape(start.shape)
    return compare(lambda x: float((value(x).flatten() * weights).sum()), start, pulled, dtype)


def _compare_hessian(
    value: Callable[[Tensor], Tensor], start: Tensor, given: Tensor, dtype: torch.dtype
) -> dict[str, Any]:
    """Second derivatives along one fixed direction: quotients of autograd's float64 gradient."""
    direction = torch.linspace(0.5, 1.5, start.numel()).reshape(start.shape)

    def slope(x: Tensor) -> float:
        with torch.enable_grad():
            point = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(value(point).sum(), point)
        return float((gradient * direction).sum())

    along = given.reshape(start.numel(), start.numel()) @ direction.flatten()
    return compare(slope, start, along.reshape(start.shape), dtype)
