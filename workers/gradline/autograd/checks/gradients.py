"""Every gradient compared with finite differences: the program between tensor and result, run again in float64.

What autograd treats as a constant (detached values, values made under no_grad) keeps its recorded value, so both sides
differentiate the same function: the sum of the roots times the gradients that start at them.
"""

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from gradline.autograd.checks.quotients import compare
from gradline.autograd.checks.replay import NotRepeatable, Replay
from gradline.autograd.checks.transform_checks import check_transform
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.record.events import Pass
from gradline.autograd.record.trace import Trace

MAX_CHECKS = 60
BUDGET_S = 1.0
NO_CHECKS = {"gradient_checks": [], "gradient_checks_left_out": {"n": 0, "reason": None}}


def checks_of(trace: Trace, interpreter: Interpreter) -> dict[str, Any]:
    """One check per gradient of every pass and transform, as far as time allows, and how many more there are."""
    ends_at = time.monotonic() + BUDGET_S
    found: list[dict[str, Any]] = []
    asked: list[Callable[[], dict[str, Any]]] = []
    for one in trace.passes:
        if one.is_done:
            asked += [
                _bind(_check_pass, trace, one, tensor, given) for tensor, given in one.gradients if given is not None
            ]
    asked += [_bind(check_transform, interpreter, transform, line) for transform, line in trace.transforms]
    for check in asked[:MAX_CHECKS]:
        if time.monotonic() > ends_at:
            break
        found.append(check())
    return {"gradient_checks": found, "gradient_checks_left_out": _left_out(len(found), len(asked))}


def _left_out(n_found: int, n_asked: int) -> dict[str, Any]:
    """How many gradients were not checked, and why."""
    if n_found == n_asked:
        return {"n": 0, "reason": None}
    reason = f"the first {MAX_CHECKS} are checked" if n_found == MAX_CHECKS else f"the time of {BUDGET_S:g} s was over"
    return {"n": n_asked - n_found, "reason": reason}


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
        replay = Replay(trace.tape, one, tensor)
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
