"""A program run and explained: what a job of kind `autograd` does, without the job."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradline.autograd.checks.gradients import NO_CHECKS, checks_of
from gradline.autograd.diagnoses.diagnosis import explain
from gradline.autograd.diagnoses.hints import hints_of
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.limits import Budget, LimitReached, Limits
from gradline.autograd.record.trace import Trace
from gradline.autograd.result import result_of
from gradline.autograd.symbolic import symbolic_of
from gradline.errors import GradlineError
from gradline.programs.statements import Program


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is told beside the run itself."""

    checks: bool = True
    """Compare every gradient with finite differences."""
    symbolic: bool = True
    """Derive scalar expressions in symbols."""
    seed: int = 0
    """Of every random number that the program draws before it sets a seed itself."""


def teach(
    program: Program, limits: Limits, wishes: Wishes | None = None, check_stop: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """The whole result of a program; raises LimitReached, or what `check_stop` raises."""
    wishes, trace, budget = wishes or Wishes(), Trace(), Budget(limits, check_stop)
    interpreter = Interpreter(program, budget, trace)
    try:
        with torch_as_found(wishes.seed):
            error = _run(interpreter)
        with torch_as_found(wishes.seed):
            return _told(interpreter, trace, wishes, error)
    finally:
        interpreter.release()


def _told(interpreter: Interpreter, trace: Trace, wishes: Wishes, error: Exception | None) -> dict[str, Any]:
    program = interpreter.program
    result: dict[str, Any] = {"outcome": "completed" if error is None else "raised"}
    result["n_statements"] = interpreter.budget.statements
    result |= result_of(program, trace, interpreter.frame)
    result |= checks_of(trace, interpreter) if wishes.checks else NO_CHECKS
    if wishes.symbolic and (symbolic := symbolic_of(trace)):
        result["symbolic"] = symbolic
    result["hints"] = hints_of(program, trace, result)
    if error is not None:
        result["error"] = explain(program, trace, interpreter, error)
    return result


def _run(interpreter: Interpreter) -> Exception | None:
    try:
        interpreter.run()
    except LimitReached as reached:
        line = interpreter.failed_at[0].span.line if interpreter.failed_at else interpreter.recorder.line
        reached.line = line
        reached.message = f"line {line}: {reached.message}"
        raise
    except GradlineError:
        raise
    except Exception as error:  # noqa: BLE001  any error of the program is its lesson
        return error
    return None


@contextmanager
def torch_as_found(seed: int) -> Iterator[None]:
    """Inside, a program may seed torch and change its defaults; outside nothing shows of it."""
    dtype, grad_mode = torch.get_default_dtype(), torch.is_grad_enabled()
    anomaly, print_options = torch.is_anomaly_enabled(), vars(torch._tensor_str.PRINT_OPTS).copy()
    generator, arrays = torch.get_rng_state(), np.get_printoptions()
    with warnings.catch_warnings(action="ignore"):
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            if torch.get_default_device().type != "cpu":
                torch.set_default_device(None)
            torch.set_rng_state(generator)
            np.set_printoptions(**arrays)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad_mode)
            torch.autograd.set_detect_anomaly(anomaly)
            vars(torch._tensor_str.PRINT_OPTS).update(print_options)
