"""Derivatives that transforms of functions gave, compared with finite differences of the functions themselves."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradline.autograd.checks.quotients import compare
from gradline.autograd.interpreter import Interpreter
from gradline.autograd.precision import doubled
from gradline.autograd.record.recorder import Transform


def check_transform(interpreter: Interpreter, transform: Transform, line: int) -> dict[str, Any]:
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
