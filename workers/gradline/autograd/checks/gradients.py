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
    asked += [_bind(check_transform, interpreter, transform, line) for transform, line in trace.transforms]
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
