"""A process with plain torch, and the interpreter beside it."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gradline.autograd.interpreter import Interpreter
from gradline.autograd.lesson import teach, torch_as_found
from gradline.autograd.limits import Budget, Limits
from gradline.autograd.record.trace import Trace
from gradline.programs import parse
from tests.programs.plain_torch import grad_fn_of, grad_of

SCRIPT = Path(__file__).parents[2] / "programs" / "plain_torch.py"
Observed = dict[str, Any]


@pytest.fixture(scope="session")
def plain_torch() -> Iterator[Callable[[str], Observed]]:
    """What plain torch makes of a text."""
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(text: str) -> Observed:
            process.stdin.write(json.dumps({"text": text, "seed": 0}) + "\n")
            process.stdin.flush()
            observed: Observed = json.loads(process.stdout.readline())
            return observed

        yield run
        process.stdin.close()


def observe(text: str) -> Observed:
    """What the interpreter makes of a text, in the same form."""
    program, trace, error = parse(text), Trace(), None
    interpreter = Interpreter(program, Budget(Limits()), trace)
    with torch_as_found(0), warnings.catch_warnings(action="ignore"):
        try:
            interpreter.run()
        except Exception as raised:  # noqa: BLE001  any error of the program is compared
            error = [type(raised).__name__, str(raised)]
    tensors = {
        name: [repr(value.tolist()), repr(grad_of(value)), value.requires_grad, value.is_leaf, grad_fn_of(value)]
        for name, value in interpreter.frame.names.items()
        if isinstance(value, torch.Tensor)
    }
    return {"printed": "".join(text for _, text in trace.printed_lines), "error": error, "tensors": tensors}


def lesson(text: str, **limits: Any) -> dict[str, Any]:
    """The whole result of a text."""
    return teach(parse(text), Limits(**limits))
