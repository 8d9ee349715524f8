# ruff: noqa: BLE001, T201  a script that runs programs and prints what they do
"""Runs programs in plain Python and torch, for comparison: a throwaway process, one JSON line in, one out."""

import contextlib
import io
import json
import sys
import warnings


def observe(text: str, seed: int) -> dict[str, object]:
    """What the text prints, the tensors it leaves, and its error."""
    import torch  # noqa: PLC0415

    names: dict[str, object] = {"__name__": "__main__", "torch": torch, "F": torch.nn.functional, "nn": torch.nn}
    printed, error = io.StringIO(), None
    torch.manual_seed(seed)
    torch.set_grad_enabled(True)
    torch.autograd.set_detect_anomaly(False)
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(text, "program", "exec"), names)
        except Exception as raised:
            error = [type(raised).__name__, str(raised)]
    tensors = {
        name: [repr(value.tolist()), repr(grad_of(value)), value.requires_grad, value.is_leaf, grad_fn_of(value)]
        for name, value in names.items()
        if isinstance(value, torch.Tensor)
    }
    return {"printed": printed.getvalue(), "error": error, "tensors": tensors}


def grad_of(tensor):
    grad = tensor.grad if tensor.is_leaf or tensor.retains_grad else None
    return None if grad is None else grad.tolist()


def grad_fn_of(tensor):
    return None if tensor.grad_fn is None else tensor.grad_fn.name()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        program = json.loads(line)
        print(json.dumps(observe(program["text"], program["seed"])), flush=True)
