"""Calls read into ours: what is called, and with which keyword arguments."""

import ast
from collections.abc import Callable
from typing import cast

from gradline.programs import statements as s
from gradline.programs.allowed import FUNCTIONS, MEMBER_KEYWORDS
from gradline.programs.formats import fields_of
from gradline.programs.names import NameReader
from gradline.programs.scope import unknown_keyword


class CallReader(NameReader):
    """Reads calls."""

    def _call(self, node: ast.Call) -> s.Expression:
        if isinstance(node.func, ast.Name) and node.func.id in _BY_NAME and node.func.id not in self.scope.assigned:
            return _BY_NAME[node.func.id](self, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            return self._base_init(node, node.func)
        self._check_format(node)
        function = self.expression(node.func)
        arguments = tuple(self.expression(as_list(a) if len(node.args) == 1 else a) for a in node.args)
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


def as_list(node: ast.expr) -> ast.expr:
    """A generator that is a call's only argument, as the list it gives."""
    if isinstance(node, ast.GeneratorExp):
        return ast.copy_location(ast.ListComp(node.elt, node.generators), node)
    return node


def _is_identifier(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier()


_R = CallReader
_BY_NAME: dict[str, Callable[[CallReader, ast.Call], s.Expression]] = {
    "super": _R._super, "getattr": _R._by_name, "hasattr": _R._by_name, "setattr": _R._by_name,
}  # fmt: skip
"""Calls whose arguments are names."""
