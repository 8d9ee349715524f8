"""What names in a program stand for: entries of the table, modules, variables; and what was meant by an unknown one."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches

from gradline.programs.allowed import (
    ALIASES,
    ENTRIES,
    EQUIVALENT,
    FUNCTIONS,
    IMPLIED,
    MEMBERS,
    MODULES,
)
from gradline.programs.refused import ABSENT_MODULES, REFUSED


def entry_of(path: str) -> str | None:
    """The table's full name of a dotted path, also where torch keeps it under a second module."""
    path = EQUIVALENT.get(path, path)
    if path in ENTRIES:
        return path
    for prefix, other in ALIASES.items():
        if path.startswith(prefix) and other + path.removeprefix(prefix) in ENTRIES:
            return other + path.removeprefix(prefix)
    return None


class Scope:
    """The names of one program."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.assigned = frozenset(_assigned(nodes))
        self.imported: dict[str, str] = {}
        self.absent: dict[str, str] = {}
        """Imported names of torch that a program may not use, with the reason."""
        self.ignored: set[str] = set() if "plt" in self.assigned else {"plt"}
        """Names of what draws or reports, such as matplotlib's: their calls do nothing."""
        self.own = frozenset(name for name in _own_members(nodes) if not name.startswith("__"))
        """Attributes and methods that the program itself gives its objects."""
        self._nodes = nodes

    def follow_ignored(self) -> None:
        """Adds the names that are only ever assigned from what an ignored module gave: `fig, ax = plt.subplots()`."""
        assigned: dict[str, list[str]] = {}
        for target, value in _bindings(self._nodes):
            for name in _names_of(target):
                assigned.setdefault(name, []).append(_root_of(value))
        n_before = -1
        while len(self.ignored) > n_before:
            n_before = len(self.ignored)
            self.ignored |= {name for name, roots in assigned.items() if self.ignored.issuperset(roots)}

    def is_ignored(self, target: ast.expr) -> bool:
        """Whether a target has only names of what draws or reports."""
        names = frozenset(_names_of(target))
        return bool(names) and names <= self.ignored

    def module(self, name: str) -> str | None:
        """The module that a name stands for, with or without its import."""
        if name in self.imported:
            path = self.imported[name]
            return path if path in MODULES or path.split(".")[0] in ABSENT_MODULES else None
        return IMPLIED.get(name) if name not in self.assigned else None

    def fallback(self, name: str) -> str | None:
        """The entry that a bare name stands for until it is assigned: an imported function or a built-in."""
        return entry_of(self.imported.get(name, name))

    def unknown_name(self, name: str, behind: str = "") -> str:
        """Why a name is refused, and what was probably meant; `behind` is what follows it on the line."""
        if name in self.absent:
            return self.absent[name]
        if name in REFUSED:
            return f"`{name}` {REFUSED[name]}"
        if name in MEMBERS and (owner := self._owner_of(name)):
            return f"`{name}` is not defined; did you mean `{owner}.{name}{behind}`?"
        known = [*self.assigned, *self.imported, *(e for e in FUNCTIONS if "." not in e)]
        meant = get_close_matches(name, known, n=1, cutoff=0.6)
        if not meant and f"torch.{name}" in ENTRIES:
            meant = [f"torch.{name}"]
        return f"`{name}` is not defined" + (f"; did you mean `{meant[0]}`?" if meant else "")

    def _owner_of(self, attribute: str) -> str | None:
        """The variable whose attribute the program reads most, else the first that requires grad."""
        reads = Counter(
            node.value.id
            for node in self._nodes
            if isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.value, ast.Name)
        )
        if reads:
            return max(reads, key=lambda name: reads[name])
        return next(_requiring_grad(self._nodes), None)


def unknown_entry(path: str) -> str:
    """Why a dotted path is refused, and what is allowed instead."""
    for refused, reason in REFUSED.items():
        if path == refused or path.startswith(f"{refused}."):
            return f"`{path}` {reason}" if reason.startswith("is") else f"`{path}` is not available: {reason}"
    module, _, name = path.rpartition(".")
    beside = sorted(entry.removeprefix(f"{module}.") for entry in ENTRIES if entry.startswith(f"{module}."))
    meant = [f"{module}.{close}" for close in get_close_matches(name, beside, n=1, cutoff=0.7)]
    meant = meant or [entry for entry in sorted(ENTRIES) if entry.endswith(f".{name}")][:1]
    return f"`{path}` is not one of the functions that a program may use" + _suggestion(meant)


def unknown_member(name: str) -> str:
    """Why an attribute or method is refused, and what is allowed instead."""
    meant = get_close_matches(name, MEMBERS, n=1, cutoff=0.7)
    return f"`.{name}` is not one of the attributes and methods that a program may use" + _suggestion(meant, ".")


def unknown_keyword(function: str, keyword: str, allowed: frozenset[str]) -> str:
    meant = get_close_matches(keyword, allowed, n=1, cutoff=0.6)
    takes = ", ".join(sorted(allowed)) or "none"
    return f"`{function}` takes no argument `{keyword}`" + (_suggestion(meant) or f"; it takes by name: {takes}")


def _suggestion(meant: list[str], before: str = "") -> str:
    return f"; did you mean `{before}{meant[0]}`?" if meant else ""


def _assigned(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            yield node.name


def _own_members(nodes: list[ast.AST]) -> Iterator[str]:
    """What a program names itself: members of its classes, attributes of a method's first parameter, and names in text.

    Text may name a member too: `register_buffer("mean", ...)`, `OrderedDict([("fc1", ...)])`.
    """
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                yield from _members_of(part)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
            yield node.value


def _members_of(part: ast.stmt) -> Iterator[str]:
    if isinstance(part, ast.FunctionDef):
        yield part.name
        first = next(iter([*part.args.posonlyargs, *part.args.args]), None)
        for node in ast.walk(part):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store) or first is None:
                continue
            if isinstance(node.value, ast.Name) and node.value.id == first.arg:
                yield node.attr
    elif isinstance(part, ast.Assign | ast.AnnAssign):
        for target in part.targets if isinstance(part, ast.Assign) else [part.target]:
            yield from _names_of(target)


def _bindings(nodes: list[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Every target with what it is assigned; None where that is not an expression of its own."""
    for node in nodes:
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.For | ast.comprehension):
            yield node.target, node.iter
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield node.optional_vars, node.context_expr
        elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
            yield node.target, node.value


def _names_of(target: ast.AST) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for item in target.elts:
            yield from _names_of(item)


def _root_of(node: ast.expr | None) -> str:
    """The name at which a chain of attributes, calls and indices starts; empty where there is none."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


_NAME = re.compile(r"[A-Za-z]\w{0,40}")


def _requiring_grad(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        target, keywords = node.targets[0], [keyword.arg for keyword in node.value.keywords]
        if isinstance(target, ast.Name) and "requires_grad" in keywords:
            yield target.id
