"""Python's expressions read into ours, each checked against the table."""

import ast
from collections.abc import Callable
from typing import Any, Literal, cast

from gradline.programs import statements as s
from gradline.programs.allowed import ASSIGNABLE
from gradline.programs.calls import CallReader, as_list
from gradline.programs.formats import FormatRefused, check_percent, check_spec
from gradline.programs.limits import MAX_DEPTH, MAX_NUMBER_DIGITS
from gradline.programs.refused import EXPRESSION_REASONS
from gradline.programs.scope import Scope
from gradline.programs.source import Source

OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "MatMult": "@",
    "BitAnd": "&", "BitOr": "|", "BitXor": "^", "USub": "-", "UAdd": "+", "Invert": "~", "Not": "not", "Eq": "==",
    "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Is": "is", "IsNot": "is not", "In": "in",
    "NotIn": "not in", "LShift": "<<", "RShift": ">>",
}  # fmt: skip
"""Every operator by the name of Python's node."""


class TooDeep(Exception):
    """More than MAX_DEPTH blocks and expressions within one another."""


class ExpressionReader(CallReader):
    """Reads expressions."""

    def __init__(self, source: Source, scope: Scope) -> None:
        super().__init__(source, scope)
        self._depth = 0

    def expression(self, node: ast.expr | None) -> s.Expression:
        """Our form of an expression."""
        read = _READERS.get(type(node).__name__)
        if read is None:
            return self.unavailable(node)
        if node is not None and self.is_ignored(node):
            return self._ignored(node)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeep(node)
        try:
            return read(self, node)
        finally:
            self._depth -= 1

    def optional(self, node: ast.expr | None) -> s.Expression | None:
        return None if node is None else self.expression(node)

    def unavailable(self, node: Any) -> s.Expression:
        kind = type(node).__name__
        return self.fault(node, EXPRESSION_REASONS.get(kind, f"this piece of Python ({kind}) is not available"))

    def target(self, node: ast.expr) -> s.Expression:
        """What stands left of `=`."""
        if isinstance(node, ast.Tuple | ast.List):
            return s.Sequence(self.span(node), "tuple", tuple(self.target(item) for item in node.elts))
        if isinstance(node, ast.Name):
            if node.id.startswith("__"):
                return self.fault(node, f"`{node.id}` cannot be assigned; use a name without leading underscores")
            return s.Name(self.span(node), node.id, None)
        if isinstance(node, ast.Starred):
            return s.Star(self.span(node), self.target(node.value))
        if not isinstance(node, ast.Attribute):
            return self.expression(node)
        is_known = node.attr in ASSIGNABLE["tensor"] or node.attr in self.scope.own
        made = self.expression(node) if is_known else None
        if not isinstance(made, s.Attribute):
            names = ", ".join(f"`.{name}`" for name in sorted(ASSIGNABLE["tensor"]))
            return self.fault(node, f"`.{node.attr}` cannot be assigned; what can: {names}")
        return made

    def is_ignored(self, node: ast.expr) -> bool:
        """Whether it is a use of something that draws or reports."""
        if not isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            return False
        while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        return isinstance(node, ast.Name) and node.id in self.scope.ignored

    def _ignored(self, node: ast.expr) -> s.Expression:
        arguments: list[s.Expression] = []
        span = self.span(node)
        while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
            if isinstance(node, ast.Call):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                arguments.extend(self.expression(v.value if isinstance(v, ast.Starred) else as_list(v)) for v in values)
            node = node.func if isinstance(node, ast.Call) else node.value
        return s.Ignored(span, tuple(arguments))

    def parameters(self, node: ast.arguments) -> s.Parameters:
        names = tuple(a.arg for a in [*node.posonlyargs, *node.args])
        defaults = tuple(self.expression(d) for d in node.defaults)
        by_name = tuple((a.arg, self.optional(d)) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True))
        rest, more = node.vararg, node.kwarg
        return s.Parameters(names, defaults, rest.arg if rest else None, by_name, more.arg if more else None)

    def _constant(self, node: ast.Constant) -> s.Expression:
        if node.value is Ellipsis:
            return s.Entry(self.span(node), "...")
        if isinstance(node.value, bytes):
            return self.fault(node, "bytes are not available")
        if isinstance(node.value, int) and node.value.bit_length() > MAX_NUMBER_DIGITS * 4:
            return self.fault(node, f"a number of more than {MAX_NUMBER_DIGITS} digits is not allowed")
        return s.Constant(self.span(node), node.value)

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set) -> s.Expression:
        kind = cast(Literal["list", "tuple", "set"], type(node).__name__.lower())
        return s.Sequence(self.span(node), kind, tuple(self.expression(item) for item in node.elts))

    def _mapping(self, node: ast.Dict) -> s.Expression:
        items = tuple((self.optional(k), self.expression(v)) for k, v in zip(node.keys, node.values, strict=True))
        return s.Mapping(self.span(node), items)

    def _star(self, node: ast.Starred) -> s.Expression:
        return s.Star(self.span(node), self.expression(node.value))

    def _subscript(self, node: ast.Subscript) -> s.Expression:
        return s.Subscript(self.span(node), self.expression(node.value), self.expression(node.slice))

    def _slice(self, node: ast.Slice) -> s.Expression:
        return s.Slice(self.span(node), *(self.optional(part) for part in (node.lower, node.upper, node.step)))

    def _binary(self, node: ast.BinOp) -> s.Expression:
        operator = OPERATORS[type(node.op).__name__]
        if operator == "%" and isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
            try:
                check_percent(node.left.value)
            except FormatRefused as error:
                return self.fault(node.left, str(error))
        return s.Binary(self.span(node), operator, self.expression(node.left), self.expression(node.right))

    def _unary(self, node: ast.UnaryOp) -> s.Expression:
        operand = self.expression(node.operand)
        operator = OPERATORS[type(node.op).__name__]
        if operator == "-" and isinstance(operand, s.Constant) and type(operand.value) in (int, float):
            return s.Constant(self.span(node), -cast(float, operand.value))
        return s.Unary(self.span(node), operator, operand)

    def _compare(self, node: ast.Compare) -> s.Expression:
        operators = tuple(OPERATORS[type(op).__name__] for op in node.ops)
        operands = tuple(self.expression(part) for part in (node.left, *node.comparators))
        return s.Compare(self.span(node), operators, operands)

    def _logical(self, node: ast.BoolOp) -> s.Expression:
        kind: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
        return s.Logical(self.span(node), kind, tuple(self.expression(v) for v in node.values))

    def _conditional(self, node: ast.IfExp) -> s.Expression:
        return s.Conditional(
            self.span(node), self.expression(node.test), self.expression(node.body), self.expression(node.orelse)
        )

    def _lambda(self, node: ast.Lambda) -> s.Expression:
        return s.Lambda(self.span(node), self.parameters(node.args), self.expression(node.body))

    def _text(self, node: ast.JoinedStr) -> s.Expression:
        return s.Text(self.span(node), tuple(self.expression(part) for part in node.values))

    def _field(self, node: ast.FormattedValue) -> s.Expression:
        spec = cast("ast.JoinedStr | None", node.format_spec)
        if spec is not None and all(isinstance(part, ast.Constant) for part in spec.values):
            try:
                check_spec("".join(cast(ast.Constant, part).value for part in spec.values))  # type: ignore[misc]
            except FormatRefused as error:
                return self.fault(node, str(error))
        conversion = cast(Literal["", "r", "s", "a"], "" if node.conversion == -1 else chr(node.conversion))
        return s.Field(
            self.span(node), self.expression(node.value), conversion, cast("s.Text | None", self.optional(spec))
        )

    def _walrus(self, node: ast.NamedExpr) -> s.Expression:
        return s.Walrus(self.span(node), self.target(node.target), self.expression(node.value))

    def _comprehension(self, node: ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp) -> s.Expression:
        if any(generator.is_async for generator in node.generators):
            return self.fault(node, "`async` is not available")
        generators = tuple(
            s.Generator(
                self.span(g.iter), self.target(g.target), self.expression(g.iter), tuple(map(self.expression, g.ifs))
            )
            for g in node.generators
        )
        if isinstance(node, ast.DictComp):
            key, value = self.expression(node.key), self.expression(node.value)
            return s.Comprehension(self.span(node), "dict", key, value, generators)
        kind = _KINDS[type(node)]
        return s.Comprehension(self.span(node), kind, None, self.expression(node.elt), generators)


_KINDS: dict[type, Literal["list", "set", "iterator"]] = {
    ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "iterator",
}  # fmt: skip
_R = ExpressionReader
_READERS: dict[str, Callable[[ExpressionReader, Any], s.Expression]] = {
    "Constant": _R._constant, "Name": _R._name, "Attribute": _R._attribute, "Call": _R._call, "Tuple": _R._sequence,
    "List": _R._sequence, "Dict": _R._mapping, "Starred": _R._star, "Subscript": _R._subscript, "Slice": _R._slice,
    "BinOp": _R._binary, "UnaryOp": _R._unary, "Compare": _R._compare, "BoolOp": _R._logical, "IfExp": _R._conditional,
    "Lambda": _R._lambda, "JoinedStr": _R._text, "FormattedValue": _R._field, "ListComp": _R._comprehension,
    "DictComp": _R._comprehension, "SetComp": _R._comprehension, "GeneratorExp": _R._comprehension, "Set": _R._sequence,
    "NamedExpr": _R._walrus,
}  # fmt: skip
