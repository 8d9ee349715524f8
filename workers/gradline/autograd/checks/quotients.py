"""A gradient beside the difference quotients of the function it is the gradient of.

    (L(x + h e_i) - L(x - h e_i)) / 2h,  h = 1e-6 max(1, |x_i|)

Where the two one-sided quotients keep apart as h shrinks, the function has a kink.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

STEP = 1e-6
MAX_CHECKED = 24
"""Elements of one gradient that are checked: the first, the last and evenly between."""
RELATIVE = {torch.float64: 1e-5, torch.float32: 2e-3, torch.float16: 5e-2, torch.bfloat16: 1e-1}
"""Allowed difference, in the precision the program computed in, relative to the gradient's largest element."""


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
