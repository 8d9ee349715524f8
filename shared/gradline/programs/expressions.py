"""Python's expressions read into ours, each checked against the table."""

import ast
import re
from collections.abc import Callable
from typing import Any, Literal, cast

from gradline.programs import statements as s
from gradline.programs.allowed import (
    ASSIGNABLE,
    FUNCTIONS,
    MEMBER_KEYWORDS,
    MEMBERS,
)
from gradline.programs.formats import FormatRefused, check_percent, check_spec, fields_of
from gradline.programs.limits import MAX_DEPTH, MAX_NUMBER_DIGITS
from gradline.programs.pointer import Pointer
from gradline.programs.refused import ABSENT_MODULES, EXPRESSION_REASONS
from gradline.programs.scope import Scope, entry_of, unknown_entry, unknown_keyword, unknown_member
from gradline.programs.source import Source

OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "MatMult": "@",
    "BitAnd": "&", "BitOr": "|", "BitXor": "^", "USub": "-", "UAdd": "+", "Invert": "~", "Not": "not", "Eq": "==",
    "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Is": "is", "IsNot": "is not", "In": "in",
    "NotIn": "not in", "LShift": "<<", "RShift": ">>",
}  # fmt: skip
"""Every operator by the name of Python's node."""

_BEHIND = re.compile(r"(\.\w+|\([^()]*\))*")


class TooDeep(Exception):
    """More than MAX_DEPTH blocks and expressions within one another."""


class ExpressionReader(Pointer):
    """Reads expressions."""

    def __init__(self, source: Source, scope: Scope) -> None:
        super().__init__(source)
        self.scope = scope
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
                arguments.extend(
                    self.expression(v.value if isinstance(v, ast.Starred) else _as_list(v)) for v in values
                )
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

    def _name(self, node: ast.Name) -> s.Expression:
        if node.id in self.scope.ignored:
            return s.Ignored(self.span(node), ())
        fallback = self.scope.fallback(node.id)
        if node.id in self.scope.assigned:
            return s.Name(self.span(node), node.id, fallback)
        if fallback is not None:
            return s.Entry(self.span(node), fallback)
        if module := self.scope.module(node.id):
            return self.fault(node, self._module_alone(node.id, module))
        return self.fault(node, self.scope.unknown_name(node.id, self._behind(node)))

    def _behind(self, node: ast.Name) -> str:
        """The attributes and calls that follow a name on its line."""
        found = _BEHIND.match(self.source.lines[node.lineno - 1], self.span(node).end_column)
        return found.group() if found else ""

    def _module_alone(self, name: str, module: str) -> str:
        root = module.split(".", maxsplit=1)[0]
        if root in ABSENT_MODULES:
            return f"`{name}` ({module}) is not available: {ABSENT_MODULES[root]}"
        return f"`{name}` is the module {module}; use one of its functions"

    def _attribute(self, node: ast.Attribute) -> s.Expression:
        """A dotted name of the table, or a member of a value."""
        path = _path(node)
        module = self.scope.module(path[0]) if path else None
        if path and module is not None:
            if path[0] in self.scope.assigned:
                return self.fault(node, f"`{path[0]}` is both a module and a variable here; rename the variable")
            if module.split(".")[0] in ABSENT_MODULES:
                return self.fault(node, self._module_alone(path[0], module))
            return self._entry(node, [module, *path[1:]])
        if node.attr == "__name__" and isinstance(node.value, ast.Attribute) and node.value.attr == "__class__":
            kind = s.Call(self.span(node), s.Entry(self.span(node), "type"), (self.expression(node.value.value),), ())
            return s.Attribute(self.span(node), kind, "__name__")
        if node.attr not in MEMBERS and node.attr not in self.scope.own:
            self.expression(node.value)
            return self.fault(node, unknown_member(node.attr))
        return s.Attribute(self.span(node), self.expression(node.value), node.attr)

    def _entry(self, node: ast.Attribute, path: list[str]) -> s.Expression:
        """The longest start of the path that is an entry; the rest are its members."""
        for n in range(len(path), 1, -1):
            entry = entry_of(".".join(path[:n]))
            if entry is not None:
                return self._members(node, s.Entry(self.span(node), entry), path[n:])
        return self.fault(node, unknown_entry(".".join(path)))

    def _members(self, node: ast.Attribute, value: s.Expression, names: list[str]) -> s.Expression:
        for name in names:
            if name not in MEMBERS and name not in self.scope.own:
                return self.fault(node, unknown_member(name))
            value = s.Attribute(self.span(node), value, name)
        return value

    def _call(self, node: ast.Call) -> s.Expression:
        if isinstance(node.func, ast.Name) and node.func.id in _BY_NAME and node.func.id not in self.scope.assigned:
            return _BY_NAME[node.func.id](self, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            return self._base_init(node, node.func)
        self._check_format(node)
        function = self.expression(node.func)
        arguments = tuple(self.expression(_as_list(a) if len(node.args) == 1 else a) for a in node.args)
        keywords = tuple((k.arg or "", self.expression(k.value)) for k in node.keywords)
        for keyword in node.keywords:
            if keyword.arg is not None and (reason := self._bad_keyword(function, keyword.arg)):
                self.fault(keyword, reason)
        return s.Call(self.span(node), function, arguments, keywords)

    def _bad_keyword(self, function: s.Expression, keyword: str) -> str | None:
        allowed: frozenset[str] | None = None
        name = ""
        if isinstance(function, s.Entry):
            name, allowed = function.name, FUNCTIONS.get(function.name)
        elif isinstance(function, s.Attribute) and function.name not in self.scope.own:
            name, allowed = f".{function.name}", MEMBER_KEYWORDS.get(function.name)
        if allowed is None or keyword in allowed or "*" in allowed:
            return None
        return unknown_keyword(name, keyword, allowed)

    def _super(self, node: ast.Call) -> s.Expression:
        """`super()` and `super(Net, self)` are the same here."""
        return s.Super(self.span(node))

    def _base_init(self, node: ast.Call, function: ast.Attribute) -> s.Expression:
        """`super().__init__(...)`, and `nn.Module.__init__(self, ...)`, which says the same."""
        arguments = [self.expression(a) for a in node.args]
        if not isinstance(self.expression(function.value), s.Super):
            arguments = arguments[1:]
        keywords = tuple((k.arg or "", self.expression(k.value)) for k in node.keywords)
        init = s.Attribute(self.span(function), s.Super(self.span(function.value)), "__init__")
        return s.Call(self.span(node), init, tuple(arguments), keywords)

    def _by_name(self, node: ast.Call) -> s.Expression:
        """`getattr(x, "name")` with the name written out, and its like, under the same checks as `x.name`."""
        function = cast(ast.Name, node.func).id
        if len(node.args) < 2 or node.keywords or not _is_identifier(node.args[1]):
            return self.fault(node, f"`{function}` takes a value and a name written out, as in `{function}(x, 'grad')`")
        name = cast(str, cast(ast.Constant, node.args[1]).value)
        self.expression(ast.copy_location(ast.Attribute(node.args[0], name, ast.Load()), node))
        entry = s.Entry(self.span(node), function)
        return s.Call(self.span(node), entry, tuple(self.expression(a) for a in node.args), ())

    def _check_format(self, node: ast.Call) -> None:
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr == "format" and isinstance(func.value, ast.Constant):
            try:
                list(fields_of(str(func.value.value)))
            except ValueError as error:
                self.fault(func.value, str(error))

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


def _as_list(node: ast.expr) -> ast.expr:
    """A generator that is a call's only argument, as the list it gives."""
    if isinstance(node, ast.GeneratorExp):
        return ast.copy_location(ast.ListComp(node.elt, node.generators), node)
    return node


def _path(node: ast.expr) -> list[str]:
    """`a.b.c` as its names; empty where it does not start at a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _is_identifier(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier()


_KINDS: dict[type, Literal["list", "set", "iterator"]] = {
    ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "iterator",
}  # fmt: skip
_R = ExpressionReader
_BY_NAME: dict[str, Callable[[ExpressionReader, ast.Call], s.Expression]] = {
    "super": _R._super, "getattr": _R._by_name, "hasattr": _R._by_name, "setattr": _R._by_name,
}  # fmt: skip
"""Calls whose arguments are names."""
_READERS: dict[str, Callable[[ExpressionReader, Any], s.Expression]] = {
    "Constant": _R._constant, "Name": _R._name, "Attribute": _R._attribute, "Call": _R._call, "Tuple": _R._sequence,
    "List": _R._sequence, "Dict": _R._mapping, "Starred": _R._star, "Subscript": _R._subscript, "Slice": _R._slice,
    "BinOp": _R._binary, "UnaryOp": _R._unary, "Compare": _R._compare, "BoolOp": _R._logical, "IfExp": _R._conditional,
    "Lambda": _R._lambda, "JoinedStr": _R._text, "FormattedValue": _R._field, "ListComp": _R._comprehension,
    "DictComp": _R._comprehension, "SetComp": _R._comprehension, "GeneratorExp": _R._comprehension, "Set": _R._sequence,
    "NamedExpr": _R._walrus,
}  # fmt: skip
