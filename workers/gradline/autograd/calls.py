# ruff: noqa: ARG001, ARG005  every special function has the one signature of the registry
"""Calls that mean more than one operation: printing, backward passes, transforms of functions, modules, optimizers."""

import builtins
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradline.autograd.evaluate import CONVERSIONS, SPECIAL_FUNCTIONS, SPECIAL_METHODS, Evaluator, Special, check_device
from gradline.autograd.library import OPERATIONS, TENSOR_METHODS, Operation
from gradline.autograd.recorder import Backward, Transform
from gradline.autograd.values import Context, FunctionClass, Native, UserFunction
from gradline.programs.formats import fields_of

MAX_TRANSFORMED = 1_024
"""Elements that a Jacobian, Hessian or batch transform is taken by."""

_MODES = (
    torch.no_grad,
    torch.enable_grad,
    torch.inference_mode,
    torch.set_grad_enabled,
    torch.autograd.set_detect_anomaly,
    torch.autograd.detect_anomaly,
    torch.autograd.forward_ad.dual_level,
)


def _function(*names: str) -> Callable[[Special], Special]:
    def register(special: Special) -> Special:
        SPECIAL_FUNCTIONS.update(dict.fromkeys(names, special))
        return special

    return register


def _method(kind: str, *names: str) -> Callable[[Special], Special]:
    def register(special: Special) -> Special:
        SPECIAL_METHODS.setdefault(kind, {}).update(dict.fromkeys(names, special))
        return special

    return register


# --- printing and Python's own functions ---


def write(it: Evaluator, text: str) -> None:
    """Prints, within the limit."""
    it.budget.check_printed(len(text))
    it.recorder.printed(text)


@_function("print")
def _print(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> None:
    separator, end = (" " if kwargs.get("sep") is None else kwargs["sep"]), kwargs.get("end", "\n")
    write(it, str(separator).join(str(arg) for arg in args) + ("\n" if end is None else str(end)))


@_function("len")
def _len(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> int:
    return len(*args, **kwargs)


@_function("range")
def _range(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> range:
    return range(*args, **kwargs)


def _converter(kind: type) -> Special:
    def convert(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if args and isinstance(args[0], Tensor):
            it.recorder.cut(f"{kind.__name__}()", args[0])
        return kind(*args, **kwargs)

    return convert


SPECIAL_FUNCTIONS.update({kind.__name__: _converter(kind) for kind in (float, int, bool)})
SPECIAL_FUNCTIONS.update(
    {
        "id": lambda it, args, kwargs: id(*args, **kwargs),
        "type": lambda it, args, kwargs: (
            type(*args, **kwargs) if len(args) == 1 else _refuse("type() takes 1 argument")
        ),
        "str": lambda it, args, kwargs: str(*args, **kwargs),
        "repr": lambda it, args, kwargs: repr(*args, **kwargs),
        "isinstance": lambda it, args, kwargs: isinstance(*args, **kwargs),
        "list": lambda it, args, kwargs: it.items(args[0]) if args else [],
        "tuple": lambda it, args, kwargs: tuple(it.items(args[0])) if args else (),
        "dict": lambda it, args, kwargs: dict(it.items(args[0])) if args else dict(**kwargs),
        "reversed": lambda it, args, kwargs: it.items(args[0])[::-1],
        "zip": lambda it, args, kwargs: list(zip(*map(it.items, args), strict=False)),
        "map": lambda it, args, kwargs: [
            it.call_value(args[0], list(row), {}) for row in zip(*map(it.items, args[1:]), strict=False)
        ],
        "enumerate": lambda it, args, kwargs: list(enumerate(it.items(args[0]), *args[1:], **kwargs)),
        "sorted": lambda it, args, kwargs: sorted(it.items(args[0]), **kwargs),
        "any": lambda it, args, kwargs: any(map(it.truth, it.items(args[0]))),
        "all": lambda it, args, kwargs: all(map(it.truth, it.items(args[0]))),
        "divmod": lambda it, args, kwargs: divmod(args[0], args[1]),
        "pow": lambda it, args, kwargs: it.binary("**", *args),
    }
)


def _refuse(message: str) -> Any:
    raise TypeError(message)


@_function("sum")
def _sum(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    total = kwargs.get("start", args[1] if len(args) > 1 else 0)
    for item in it.items(args[0]):
        total = it.binary("+", total, item)
    return total


@_function("abs")
def _abs(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return it.apply(OPERATIONS["torch.abs"], args, kwargs) if isinstance(args[0], Tensor) else abs(args[0])


@_function("round")
def _round(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if isinstance(args[0], Tensor):
        decimals = {"decimals": args[1]} if len(args) > 1 else {}
        return it.apply(OPERATIONS["torch.round"], args[:1], decimals)
    return round(*args, **kwargs)


def _chooser(choose: Callable[..., Any]) -> Special:
    def extreme(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return choose(*([it.items(args[0])] if len(args) == 1 else args), **kwargs)

    return extreme


SPECIAL_FUNCTIONS.update({"max": _chooser(max), "min": _chooser(min)})


@_method("str", "format")
def _format(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> str:
    """`str.format` with plain fields, filled by us."""
    text, *values = args
    pieces, n_used = [], 0
    for literal, name, conversion, spec in fields_of(text):
        pieces.append(literal)
        if name is None:
            continue
        value = values[n_used if name == "" else int(name)] if not name or name.isdigit() else kwargs[name]
        n_used += name == ""
        value = CONVERSIONS[conversion](value)
        pieces.append(format(value, spec))
    made = "".join(pieces)
    it.budget.check_items(len(made), "a text")
    return made


@_method("str", "join")
def _join(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> str:
    parts = it.items(args[1])
    it.budget.check_items(sum(len(part) + len(args[0]) for part in parts if isinstance(part, str)), "a text")
    return args[0].join(parts)  # type: ignore[no-any-return]


@_method("list", "append")
def _append(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> None:
    it.budget.check_items(len(args[0]))
    args[0].append(*args[1:])


# --- out of the graph ---


def _cutting(name: str) -> Special:
    def cut(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.cut(f".{name}()", args[0])
        if name == "detach":
            return it.apply(TENSOR_METHODS["detach"], args, kwargs)
        return TENSOR_METHODS[name].function(*args, **kwargs)

    return cut


SPECIAL_METHODS["tensor"] = {name: _cutting(name) for name in ("item", "tolist", "numpy", "detach")}


@_function("torch.from_numpy")
def _from_numpy(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if not isinstance(args[0], np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(args[0]).__name__})")
    return it.apply(OPERATIONS["torch.from_numpy"], args, kwargs)


def _moving(name: str) -> Special:
    def move(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        for arg in args[1:]:
            if isinstance(arg, str | torch.device):
                check_device(arg)
        return it.apply(TENSOR_METHODS[name], args, kwargs)

    return move


SPECIAL_METHODS["tensor"].update({name: _moving(name) for name in ("to", "cuda")})


@_function("torch.device")
def _device(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> torch.device:
    check_device(args[0] if args else kwargs.get("type"))
    return torch.device(*args, **kwargs)


# --- flags of a tensor, and hooks ---


def _flagging(name: str) -> Special:
    def flag(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.changed()
        return TENSOR_METHODS[name].function(*args, **kwargs)

    return flag


SPECIAL_METHODS["tensor"].update({name: _flagging(name) for name in ("requires_grad_", "retain_grad", "detach_")})


def _hooking(name: str) -> Special:
    def hook(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        tensor, function = args
        it.recorder.hooked(tensor)
        return TENSOR_METHODS[name].function(tensor, lambda *got: it.call_value(function, list(got), {}))

    return hook


SPECIAL_METHODS["tensor"].update(
    {name: _hooking(name) for name in ("register_hook", "register_post_accumulate_grad_hook")}
)


@_method("node", "register_hook", "register_prehook")
def _node_hook(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    node, function = args
    return node.register_hook(lambda *got: it.call_value(function, list(got), {}))


@_method("node", "name")
def _node_name(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return args[0].name()


@_method("handle", "remove")
def _remove(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> None:
    args[0].remove()


@_function("torch.Tensor", "torch.FloatTensor")
def _tensor_class(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
    """`torch.Tensor([1., 2.])`; with sizes it would show whatever was in memory."""
    if len(args) != 1 or kwargs or not isinstance(args[0], list | tuple | Tensor | np.ndarray):
        raise TypeError("torch.Tensor with sizes shows whatever was in memory: use torch.zeros")
    return it.apply(_OLD_TENSOR, args, kwargs)


_OLD_TENSOR = Operation("Tensor", torch.Tensor)


# --- random numbers ---


@_function("torch.manual_seed")
def _manual_seed(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> torch.Generator:
    """As torch does it, but without the compiler that `torch.manual_seed` loads, for seconds, on first use."""
    seed = int(_bound(args, kwargs, "seed")["seed"])
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    return torch.default_generator.manual_seed(seed)


# --- backward passes ---


@_method("tensor", "backward")
def _tensor_backward(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = _bound(args, kwargs, "self", "gradient", "retain_graph", "create_graph", "inputs")
    return _backward(it, given, [given["self"]], [given["gradient"]], lambda: Tensor.backward(*args, **kwargs))


@_function("torch.autograd.backward")
def _autograd_backward(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = _bound(args, kwargs, "tensors", "grad_tensors", "retain_graph", "create_graph", "_", "inputs")
    roots = _as_list(given["tensors"])
    weights = _as_list(given["grad_tensors"]) or [None] * len(roots)
    return _backward(it, given, roots, weights, lambda: torch.autograd.backward(*args, **kwargs))


def _backward(it: Evaluator, given: dict[str, Any], roots: Any, weights: Any, call: Callable[[], Any]) -> Any:
    creates = bool(given["create_graph"])
    keeps = creates if given["retain_graph"] is None else bool(given["retain_graph"])
    inputs = None if given["inputs"] is None else _as_list(given["inputs"])
    return it.recorder.backward(Backward(roots, weights, inputs, keeps, creates, True, call))  # noqa: FBT003


@_function("torch.autograd.grad")
def _autograd_grad(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = _bound(args, kwargs, "outputs", "inputs", "grad_outputs", "retain_graph", "create_graph")
    roots, creates = _as_list(given["outputs"]), bool(given["create_graph"])
    keeps = creates if given["retain_graph"] is None else bool(given["retain_graph"])
    weights = _as_list(given["grad_outputs"]) or [None] * len(roots)
    inputs = _as_list(given["inputs"])
    call = lambda: torch.autograd.grad(*args, **kwargs)  # noqa: E731
    return it.recorder.backward(Backward(roots, weights, inputs, keeps, creates, False, call))  # noqa: FBT003


def _bound(args: list[Any], kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    """Arguments by name; those not given are None."""
    return dict.fromkeys(names) | dict(zip(names, args, strict=False)) | kwargs


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


# --- transforms of functions ---


def _transforming(name: str, make: Callable[..., Any], multiplies: bool) -> Special:
    """`torch.func.name(f)`: a function that gives f's derivative."""

    def transform(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = args[0]
        argnums = kwargs.get("argnums", args[1] if len(args) > 1 else 0)
        real = make(_callback(it, function), *args[1:], **kwargs)

        def call(*given: Any, **named: Any) -> Any:
            with _inside(it, given if multiplies else ()):
                made = real(*given, **named)
            gradient = made[0] if kwargs.get("has_aux") or name == "grad_and_value" else made
            by = argnums if isinstance(argnums, tuple) else (argnums,)
            if not named and not kwargs.get("has_aux"):
                it.recorder.transform(Transform(name, _callback(it, function), given, by, None, gradient))
            return made

        return Native(name, call)

    return transform


SPECIAL_FUNCTIONS.update(
    {
        f"torch.func.{name}": _transforming(name, getattr(torch.func, name), multiplies)
        for name, multiplies in {
            "grad": False, "grad_and_value": False, "jacrev": True, "jacfwd": True, "hessian": True,
        }.items()
    }
)  # fmt: skip


@_function("torch.func.vmap", "torch.vmap")
def _vmap(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    real = torch.func.vmap(_callback(it, args[0]), *args[1:], **kwargs)

    def call(*given: Any, **named: Any) -> Any:
        with _inside(it, given):
            return real(*given, **named)

    return Native("vmap", call)


@_function("torch.func.vjp")
def _vjp(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    function, *primals = args
    with _inside(it):
        value, pull, *more = torch.func.vjp(_callback(it, function), *primals, **kwargs)

    def call(*cotangents: Any) -> Any:
        made = pull(*cotangents)
        if not more:
            by = tuple(range(len(primals)))
            it.recorder.transform(Transform("vjp", _callback(it, function), tuple(primals), by, cotangents, made))
        return made

    return (value, Native("vjp_fn", call), *more)


@_function("torch.func.jvp")
def _jvp(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    given = _bound(args, kwargs, "func", "primals", "tangents")
    named = {name: value for name, value in kwargs.items() if name == "has_aux"}
    function = _callback(it, given["func"])
    with _inside(it):
        made = torch.func.jvp(function, tuple(given["primals"]), tuple(given["tangents"]), **named)
    if not named:
        primals = tuple(given["primals"])
        by = tuple(range(len(primals)))
        it.recorder.transform(Transform("jvp", function, primals, by, tuple(given["tangents"]), made[1]))
    return made


def _functional(name: str) -> Special:
    """`torch.autograd.functional.name(f, inputs, v)`."""
    real = getattr(torch.autograd.functional, name)

    def call(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = _bound(args, kwargs, "func", "inputs", "v")
        function, inputs = _callback(it, given["func"]), given["inputs"]
        primals = tuple(_as_list(inputs))
        more = {key: value for key, value in kwargs.items() if key not in ("func", "inputs")}
        with _inside(it, primals if name in ("jacobian", "hessian") else ()):
            made = real(function, inputs, *args[2:], **more)
        directions = tuple(_as_list(given["v"])) if given["v"] is not None else None
        gradient = made if name in ("jacobian", "hessian") else made[1]
        it.recorder.transform(Transform(name, function, primals, tuple(range(len(primals))), directions, gradient))
        return made

    return call


SPECIAL_FUNCTIONS.update(
    {
        f"torch.autograd.functional.{name}": _functional(name)
        for name in ("jacobian", "hessian", "vjp", "jvp", "hvp", "vhp")
    }
)


def _checking(real: Callable[..., Any]) -> Special:
    def check(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        given = _bound(args, kwargs, "func", "inputs")
        more = {key: value for key, value in kwargs.items() if key not in ("func", "inputs")}
        with _inside(it, tuple(_as_list(given["inputs"]))):
            return real(_callback(it, given["func"]), given["inputs"], *args[2:], **more)

    return check


SPECIAL_FUNCTIONS.update(
    {
        "torch.autograd.gradcheck": _checking(torch.autograd.gradcheck),
        "torch.autograd.gradgradcheck": _checking(torch.autograd.gradgradcheck),
    }
)


def _callback(it: Evaluator, function: Any) -> Callable[..., Any]:
    """A function of the program, or one of the table, for torch to call."""
    return lambda *args, **kwargs: it.call_value(function, list(args), kwargs)


@contextmanager
def _inside(it: Evaluator, batch: tuple[Any, ...] = ()) -> Iterator[None]:
    """Inside a transform: nothing is recorded, and tensors may be as many at once as `batch` has elements."""
    n = max((value.numel() for value in batch if isinstance(value, Tensor)), default=1)
    if n > MAX_TRANSFORMED:
        it.budget.check_elements(float(n) * it.budget.limits.tensor_elements / MAX_TRANSFORMED)
    outer, it.guard.share = it.guard.share, max(it.guard.share * n, 1)
    try:
        with it.recorder.suspended():
            yield
    finally:
        it.guard.share = outer


# --- functions with a backward of the program's own ---


def function_class(name: str, methods: dict[str, UserFunction]) -> type[torch.autograd.Function]:
    """A subclass of torch's Function whose methods are interpreted."""
    return type(name, (torch.autograd.Function,), {key: staticmethod(_static(m)) for key, m in methods.items()})


def _static(method: UserFunction) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if not args or not isinstance(args[0], torch.autograd.function.FunctionCtx):
            return method(*args)
        real = args[0]
        context = real.__dict__.setdefault("gradline_context", Context(real))
        return method(context, *args[1:])

    return call


@_method("function class", "apply")
def _apply(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    made: FunctionClass = args[0]
    return it.apply(Operation(made.name, made.real.apply), args[1:], kwargs)


def _context_method(name: str) -> Special:
    def call(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return getattr(args[0].real, name)(*args[1:], **kwargs)

    return call


SPECIAL_METHODS["context"] = {
    name: _context_method(name)
    for name in ("save_for_backward", "mark_non_differentiable", "mark_dirty", "set_materialize_grads")
}


# --- modules and optimizers ---


class ModuleCall:
    """A module as a function of its parameters and inputs, so that it can be differentiated by either."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.names = [name for name, _ in module.named_parameters()]
        self.own = tuple(module.parameters())

    def __call__(self, parameters: tuple[Tensor, ...], *args: Any, **kwargs: Any) -> Any:
        if all(a is b for a, b in builtins.zip(parameters, self.own, strict=True)):
            return self.module(*args, **kwargs)
        return torch.func.functional_call(
            self.module, dict(builtins.zip(self.names, parameters, strict=True)), args, kwargs
        )


@_method("module", "forward")
def _module_forward(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    module, *inputs = args
    call = ModuleCall(module)
    return it.apply(Operation(type(module).__name__, call), (call.own, *inputs), kwargs)


@_method("module", "zero_grad")
def _module_zero(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    it.recorder.changed()
    return args[0].zero_grad(*args[1:], **kwargs)


def _changing(name: str) -> Special:
    method = getattr(torch.nn.Module, name)

    def change(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        it.recorder.changed()
        return method(*args, **kwargs)

    return change


SPECIAL_METHODS["module"].update(
    {name: _changing(name) for name in ("requires_grad_", "train", "eval", "double", "float")}
)


def _making_module(real: type[torch.nn.Module]) -> Special:
    def make(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        n = 1.0
        for value in [*args, *kwargs.values()]:
            n *= abs(value) or 1 if isinstance(value, int) else 1
        it.budget.check_elements(n)
        made = real(*args, **kwargs)
        return made.double() if it.is_double else made

    return make


SPECIAL_FUNCTIONS.update(
    {
        name: _making_module(operation.function)
        for name, operation in OPERATIONS.items()
        if isinstance(operation.function, type) and issubclass(operation.function, torch.nn.Module)
    }
)


def _making_optimizer(real: type[torch.optim.Optimizer]) -> Special:
    def make(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return real(*args, **kwargs)

    return make


SPECIAL_FUNCTIONS.update(
    {
        name: _making_optimizer(operation.function)  # type: ignore[arg-type]
        for name, operation in OPERATIONS.items()
        if name.startswith("torch.optim.")
    }
)

_STEP = Operation("optimizer.step", lambda parameters, step: step(), mutates=True)


@_method("optimizer", "step")
def _step(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    optimizer = args[0]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return it.apply(_STEP, (parameters, optimizer.step), {})


@_method("optimizer", "zero_grad")
def _optimizer_zero(it: Evaluator, args: list[Any], kwargs: dict[str, Any]) -> Any:
    it.recorder.changed()
    return args[0].zero_grad(*args[1:], **kwargs)


# --- modes ---


def as_context(value: Any) -> AbstractContextManager[Any]:
    """What a `with` may enter."""
    if isinstance(value, _MODES):
        entered: AbstractContextManager[Any] = value
        return entered
    raise TypeError(f"'{type(value).__name__}' object does not support the context manager protocol")


def decorator(value: Any) -> Callable[[], AbstractContextManager[Any]]:
    """What a decorator does around each call of the function under it."""
    if isinstance(value, Native):
        return lambda: as_context(value())
    return lambda: as_context(type(value)())


def bind(function: UserFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The parameters' names with what they stand for in one call."""
    names, rest = function.parameters.names, function.parameters.rest
    if len(args) > len(names) and rest is None:
        raise TypeError(_too_many(function, len(args)))
    bound = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names:
            raise TypeError(f"{function.name}() got an unexpected keyword argument '{name}'")
        if name in bound:
            raise TypeError(f"{function.name}() got multiple values for argument '{name}'")
        bound[name] = value
    for name, value in zip(reversed(names), reversed(function.defaults), strict=False):
        bound.setdefault(name, value)
    missing = [name for name in names if name not in bound]
    if missing:
        raise TypeError(_missing(function, missing))
    return bound if rest is None else bound | {rest: args[len(names) :]}


def _too_many(function: UserFunction, n: int) -> str:
    names, n_defaults = function.parameters.names, len(function.defaults)
    takes = f"from {len(names) - n_defaults} to {len(names)}" if n_defaults else str(len(names))
    plural = "" if takes == "1" else "s"
    return f"{function.name}() takes {takes} positional argument{plural} but {n} {'was' if n == 1 else 'were'} given"


def _missing(function: UserFunction, missing: list[str]) -> str:
    quoted = [f"'{name}'" for name in missing]
    listed = (
        quoted[0]
        if len(quoted) == 1
        else " and ".join(quoted)
        if len(quoted) == 2
        else (", ".join(quoted[:-1]) + f", and {quoted[-1]}")
    )
    plural = "s" if len(missing) > 1 else ""
    return f"{function.name}() missing {len(missing)} required positional argument{plural}: {listed}"
