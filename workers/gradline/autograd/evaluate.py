"""Evaluates the language's expressions on real torch tensors."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from gradline.autograd.dispatch import Dispatch
from gradline.autograd.library import BINARY, UNARY
from gradline.autograd.limits import Budget
from gradline.autograd.objects import Instance, Parent, negative
from gradline.autograd.plain import CONVERSIONS, check_shown
from gradline.autograd.precision import double
from gradline.autograd.record.recorder import Recorder
from gradline.autograd.values import UNSET, Frame, UserFunction
from gradline.programs import statements as s
from gradline.programs.formats import check_spec


class Evaluator(Dispatch):
    """Values of expressions. `spot` is the piece being computed, for pointing at it when it fails."""

    def __init__(self, budget: Budget, recorder: Recorder) -> None:
        super().__init__(budget, recorder)
        self.frame = Frame({})
        self.spot: s.Node | None = None
        self.call_depth = 0

    def value(self, node: s.Expression) -> Any:
        """What an expression stands for."""
        return _EVALUATE[type(node)](self, node)

    def lookup(self, name: str, fallback: str | None = None) -> Any:
        frame: Frame | None = self.frame
        while frame is not None:
            if name in frame.names:
                found = frame.names[name]
                return double(found) if self.is_double else found
            frame = frame.parent
        if fallback is not None:
            return self.entry(fallback)
        raise NameError(f"name '{name}' is not defined")

    def arguments(self, node: s.Call) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        for argument in node.arguments:
            if type(argument) is s.Star:
                args.extend(self.items(self.value(argument.value)))
            else:
                args.append(self.value(argument))
        kwargs: dict[str, Any] = {}
        for name, value in node.keywords:
            if name:
                kwargs[name] = self.value(value)
            else:
                kwargs.update(self._more(self.value(value), kwargs))
        return args, kwargs

    def _more(self, value: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """What `**value` adds to the arguments of a call."""
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise TypeError("argument after ** must be a mapping of names")
        if twice := next((name for name in value if name in kwargs), None):
            raise TypeError(f"got multiple values for keyword argument '{twice}'")
        return value

    def _constant(self, node: s.Constant) -> Any:
        return node.value

    def _name(self, node: s.Name) -> Any:
        return self.lookup(node.name, node.fallback)

    def _entry(self, node: s.Entry) -> Any:
        return self.entry(node.name)

    def _call(self, node: s.Call) -> Any:
        function = node.function
        kind = type(function)
        if kind is s.Entry:
            args, kwargs = self.arguments(node)
            self.spot = node
            return self.call_entry(function.name, args, kwargs)  # type: ignore[attr-defined]
        if kind is s.Attribute:
            receiver = self.value(function.object)  # type: ignore[attr-defined]
            args, kwargs = self.arguments(node)
            self.spot = node
            return self.call_method(receiver, function.name, args, kwargs)  # type: ignore[attr-defined]
        callee = self.value(function)
        args, kwargs = self.arguments(node)
        self.spot = node
        return self.call_value(callee, args, kwargs)

    def _attribute(self, node: s.Attribute) -> Any:
        receiver = self.value(node.object)
        self.spot = node
        return self.attribute(receiver, node.name)

    def _sequence(self, node: s.Sequence) -> Any:
        items: list[Any] = []
        for item in node.items:
            if type(item) is s.Star:
                items.extend(self.items(self.value(item.value)))
            else:
                items.append(self.value(item))
        return items if node.kind == "list" else tuple(items) if node.kind == "tuple" else set(map(self.key, items))

    def _mapping(self, node: s.Mapping) -> Any:
        made: dict[Any, Any] = {}
        for key, value in node.items:
            made.update(self.value(value) if key is None else {self.key(self.value(key)): self.value(value)})
        return made

    def _super(self, _node: s.Super) -> Parent:
        frame: Frame | None = self.frame
        while frame is not None and (frame.function is None or frame.function.owner is None):
            frame = frame.parent
        if frame is None or frame.function is None or not frame.function.parameters.names:
            raise RuntimeError("super(): no arguments")
        return Parent(frame.names[frame.function.parameters.names[0]], frame.function.owner.base)

    def _ignored(self, node: s.Ignored) -> Any:
        """Nothing is drawn; a tensor of the graph is refused as matplotlib refuses it, through numpy."""
        for argument in node.arguments:
            value = self.value(argument)
            if isinstance(value, Tensor) and value.requires_grad:
                self.spot = node
                value.numpy()
        return ()

    def _walrus(self, node: s.Walrus) -> Any:
        value = self.value(node.value)
        self.assign(node.target, value)
        return value

    def _subscript(self, node: s.Subscript) -> Any:
        receiver, index = self.value(node.object), self.value(node.index)
        self.spot = node
        return self.get_item(receiver, index)

    def _slice(self, node: s.Slice) -> Any:
        return slice(*(None if part is None else self.value(part) for part in (node.start, node.stop, node.step)))

    def _binary(self, node: s.Binary) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        self.spot = node
        return self.binary(node.operator, left, right)

    def _unary(self, node: s.Unary) -> Any:
        operand = self.value(node.operand)
        self.spot = node
        if node.operator == "not":
            return not self.truth(operand)
        if isinstance(operand, Tensor):
            return self.apply(UNARY[node.operator], (operand,), {})
        if isinstance(operand, Instance):
            return negative(operand)
        return UNARY[node.operator].function(operand)

    def _compare(self, node: s.Compare) -> Any:
        left: Any = self.value(node.operands[0])
        result: Any = True
        for i, operator in enumerate(node.operators):
            right = self.value(node.operands[i + 1])
            self.spot = node
            result = (
                self.binary(operator, left, right) if operator[:2] != "is" else BINARY[operator].function(left, right)
            )
            if i + 1 < len(node.operators) and not self.truth(result):
                return result
            left = right
        return result

    def _logical(self, node: s.Logical) -> Any:
        result: Any = None
        for operand in node.operands:
            result = self.value(operand)
            if self.truth(result) == (node.operator == "or"):
                break
        return result

    def _conditional(self, node: s.Conditional) -> Any:
        return self.value(node.then if self.truth(self.value(node.test)) else node.otherwise)

    def _lambda(self, node: s.Lambda) -> Any:
        return self.function("<lambda>", node.parameters, node.body)

    def _text(self, node: s.Text) -> str:
        text = "".join([str(self.value(part)) for part in node.parts])
        self.budget.check_items(len(text), "a text")
        return text

    def _field(self, node: s.Field) -> str:
        value = self.value(node.value)
        check_shown(self.budget, value)
        if node.conversion:
            value = CONVERSIONS[node.conversion](value)
        return format(value, check_spec(self._text(node.spec)) if node.spec else "")

    def _comprehension(self, node: s.Comprehension) -> Any:
        outer = self.frame
        made: list[tuple[Any, Any]] = []
        self.frame = Frame({}, outer)
        try:
            for _ in self._turns(node.generators):
                self.budget.check_items(len(made))
                made.append((self.key(self.value(node.key)) if node.key else None, self.value(node.value)))
        finally:
            self.frame = outer
        values = [value for _, value in made]
        return dict(made) if node.kind == "dict" else _COLLECT[node.kind](values)

    def _turns(self, generators: tuple[s.Generator, ...]) -> Iterable[None]:
        """Every turn of nested comprehension loops."""
        if not generators:
            yield
            return
        first, *rest = generators
        for item in self.iterable(self.value(first.iterable)):
            self.budget.step()
            self.assign(first.target, item)
            if all(self.truth(self.value(condition)) for condition in first.conditions):
                yield from self._turns(tuple(rest))

    def assign(self, target: s.Expression, value: Any) -> None:
        raise NotImplementedError

    def function(self, name: str, parameters: s.Parameters, body: s.Block | s.Expression, **more: Any) -> UserFunction:
        defaults = tuple(self.value(default) for default in parameters.defaults)
        by_name = tuple((key, UNSET if value is None else self.value(value)) for key, value in parameters.by_name)
        return UserFunction(name, parameters, defaults, body, self.frame, self.call_function, by_name, **more)

    def call_function(self, function: UserFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


_COLLECT: dict[str, Callable[[list[Any]], Any]] = {"list": list, "set": set, "iterator": iter}
_E = Evaluator
_EVALUATE: dict[type, Callable[[Evaluator, Any], Any]] = {
    s.Constant: _E._constant, s.Name: _E._name, s.Entry: _E._entry, s.Call: _E._call, s.Attribute: _E._attribute,
    s.Sequence: _E._sequence, s.Mapping: _E._mapping, s.Subscript: _E._subscript, s.Slice: _E._slice,
    s.Binary: _E._binary, s.Unary: _E._unary, s.Compare: _E._compare, s.Logical: _E._logical,
    s.Conditional: _E._conditional, s.Lambda: _E._lambda, s.Text: _E._text, s.Field: _E._field,
    s.Comprehension: _E._comprehension, s.Super: _E._super, s.Ignored: _E._ignored, s.Walrus: _E._walrus,
}  # fmt: skip
