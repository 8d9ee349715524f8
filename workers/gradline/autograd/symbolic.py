"""Derivatives in symbols of what a backward pass differentiated, where it is a scalar expression of moderate size."""

import math
from collections.abc import Callable
from typing import Any

import sympy
from torch import Tensor

from gradline.autograd.record.events import Pass
from gradline.autograd.record.snapshots import is_leaf
from gradline.autograd.record.tape import Entry
from gradline.autograd.record.trace import Trace

MAX_OPERATIONS = 40
MAX_SIZE = 120
"""Parts of one expression, written out."""
LARGEST = 1e30
MAX_SHOWN = 8
MAX_TEXT = 300


class NotScalar(Exception):
    """Some part has no symbol: a tensor of several elements, or an operation without a formula here."""


def symbolic_of(trace: Trace) -> list[dict[str, Any]]:
    """For each pass over a scalar: its expression, and the derivative by each tensor beside autograd's number."""
    shown: list[dict[str, Any]] = []
    seen: set[tuple[int, str]] = set()
    for one in trace.passes:
        if one.is_done and len(shown) < MAX_SHOWN and len(one.backward.roots) == 1:
            for item in _derivatives(trace, one):
                key = (one.line, item["derivative"])
                if key not in seen:
                    seen.add(key)
                    shown.append(item)
    return shown[:MAX_SHOWN]


def _derivatives(trace: Trace, one: Pass) -> list[dict[str, Any]]:
    symbols = _Symbols(trace, one)
    try:
        expression = symbols.of(one.backward.roots[0])
    except NotScalar:
        return []
    found = []
    for tensor, given in one.gradients:
        symbol = symbols.leaves.get(id(tensor))
        if symbol is None or given is None:
            continue
        derivative = sympy.factor_terms(sympy.diff(expression, symbol))
        value = derivative.evalf(subs=symbols.values)
        weight = one.backward.weights[0]
        factor = 1.0 if weight is None else float(weight.detach().sum())
        text = str(derivative)
        if len(text) <= MAX_TEXT and value.is_number:
            found.append(
                {
                    "line": one.line,
                    "of": str(symbol),
                    "expression": str(expression)[:MAX_TEXT],
                    "derivative": text,
                    "value": _number(value, factor),
                    "autograd": _plain(float(given.detach().sum())),
                }
            )
    return found


def _number(value: Any, factor: float) -> Any:
    try:
        return _plain(float(value) * factor)
    except (TypeError, ValueError):
        return None


def _plain(number: float) -> Any:
    return number if math.isfinite(number) else str(number)


class _Symbols:
    """Scalar tensors as sympy expressions."""

    def __init__(self, trace: Trace, one: Pass) -> None:
        self._trace = trace
        self._one = one
        self._made = {id(t): entry for entry in trace.tape.entries[: one.tape_index] for t in entry.outputs}
        self._known: dict[int, Any] = {}
        self._n = 0
        self._sizes: dict[int, int] = {}
        """Parts of each expression, counted as often as they are written."""
        self._names: set[str] = set()
        self.leaves: dict[int, Any] = {}
        self.values: dict[Any, float] = {}
        if any(mutation.index < one.tape_index for mutation in trace.tape.mutations):
            self._changed = {m.storage for m in trace.tape.mutations if m.index < one.tape_index}
        else:
            self._changed = set()

    def of(self, tensor: Tensor) -> Any:
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        if tensor.numel() != 1 or tensor.is_complex():
            raise NotScalar
        entry = self._made.get(id(tensor))
        if tensor.requires_grad and not is_leaf(tensor) and entry is not None:
            expression = self._apply(entry)
        else:
            expression = self._symbol(tensor)
        self._known[id(tensor)] = expression
        return expression

    def _symbol(self, tensor: Tensor) -> Any:
        name = self._trace.name_of(tensor)
        value = self._trace.tape.value_at(tensor, self._one.tape_index)
        if value is None or (tensor.requires_grad and not is_leaf(tensor)):
            raise NotScalar
        if name is None or name in self._names:
            return self._literal(float(value.sum()))
        self._names.add(name)
        symbol = sympy.Symbol(name, real=True)
        self.values[symbol] = float(value.sum())
        if tensor.requires_grad:
            self.leaves[id(tensor)] = symbol
        return symbol

    def _literal(self, number: float) -> Any:
        return sympy.Integer(int(number)) if number == int(number) else sympy.Float(number, 8)

    def _apply(self, entry: Entry) -> Any:
        self._n += 1
        formula = _FORMULAS.get(entry.operation.name)
        storages = {t.untyped_storage().data_ptr() for t in entry.outputs}
        if formula is None or self._n > MAX_OPERATIONS or entry.kwargs or storages & self._changed:
            raise NotScalar
        args = [self._argument(value) for value in entry.args]
        self._measure(entry)
        try:
            return formula(*args)
        except TypeError as error:
            raise NotScalar from error

    def _measure(self, entry: Entry) -> None:
        """Refuses what would be long to write, or of numbers so large that their digits would be many."""
        size = 1 + sum(self._sizes.get(id(value), 1) for value in entry.args)
        self._sizes.update(dict.fromkeys(map(id, entry.outputs), size))
        numbers = [*entry.inputs(), *entry.outputs]
        if size > MAX_SIZE or not all(abs(float(t.detach().sum())) < LARGEST for t in numbers):
            raise NotScalar

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.of(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
            raise NotScalar
        return self._literal(value)


_HALF = sympy.Rational(1, 2)
_FORMULAS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b=None: -a if b is None else a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b, "**": lambda a, b: a**b, "pow": lambda a, b: a**b, "exp": sympy.exp,
    "log": sympy.log, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "tanh": sympy.tanh,
    "sqrt": sympy.sqrt, "square": lambda a: a**2, "reciprocal": lambda a: 1 / a, "abs": sympy.Abs,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "atan": sympy.atan, "asin": sympy.asin, "acos": sympy.acos,
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)), "rsqrt": lambda a: a**-_HALF, "sum": lambda a: a,
    "mean": lambda a: a, "erf": sympy.erf, "log1p": lambda a: sympy.log(1 + a), "clone": lambda a: a,
    "expm1": lambda a: sympy.exp(a) - 1, "softplus": lambda a: sympy.log(1 + sympy.exp(a)),
    "mse_loss": lambda a, b: (a - b) ** 2, "squeeze": lambda a: a, "neg": lambda a: -a, "dot": lambda a, b: a * b,
}  # fmt: skip
_FORMULAS |= {"add": _FORMULAS["+"], "sub": _FORMULAS["-"], "mul": _FORMULAS["*"], "div": _FORMULAS["/"]}
_FORMULAS |= {
    "multiply": _FORMULAS["*"],
    "subtract": _FORMULAS["-"],
    "divide": _FORMULAS["/"],
    "negative": _FORMULAS["neg"],
}
"""What each operation means for scalars."""
