"""Names read into ours: variables, entries of the table by their dotted names, members of values."""

import ast
import re

from gradline.programs import statements as s
from gradline.programs.allowed import MEMBERS
from gradline.programs.pointer import Pointer
from gradline.programs.refused import ABSENT_MODULES
from gradline.programs.scope import Scope, entry_of, unknown_entry, unknown_member
from gradline.programs.source import Source

_BEHIND = re.compile(r"(\.\w+|\([^()]*\))*")


class NameReader(Pointer):
    """Reads names."""

    def __init__(self, source: Source, scope: Scope) -> None:
        super().__init__(source)
        self.scope = scope

    def expression(self, node: ast.expr | None) -> s.Expression:
        raise NotImplementedError

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


def _path(node: ast.expr) -> list[str]:
    """`a.b.c` as its names; empty where it does not start at a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []
