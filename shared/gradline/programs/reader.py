"""Python's statements read into ours."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gradline.programs import statements as s
from gradline.programs.allowed import MODULES
from gradline.programs.classes import ClassReader
from gradline.programs.expressions import OPERATORS, TooDeep
from gradline.programs.limits import MAX_DEPTH
from gradline.programs.refused import ABSENT_MODULES, IGNORED_MODULES
from gradline.programs.scope import entry_of, unknown_entry


class StatementReader(ClassReader):
    """Reads a whole program."""

    _block_depth = 0
    _n_loops = 0
    _n_functions = 0

    def program(self, tree: ast.Module, nodes: list[ast.AST]) -> s.Block:
        """The statements of a whole tree; `nodes` are all of its nodes."""
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
        self.scope.follow_ignored()
        return self.block(tree.body)

    def block(self, nodes: Sequence[ast.stmt]) -> s.Block:
        """The statements of a block; imports, docstrings and `global` leave nothing to run."""
        self._block_depth += 1
        if self._block_depth * 4 > MAX_DEPTH:
            raise TooDeep(nodes[0])
        read = [self.statement(node) for node in nodes if not _is_silent(node)]
        self._block_depth -= 1
        return tuple(statement for statement in read if statement is not None)

    def statement(self, node: ast.stmt) -> s.Statement | None:
        """Our form of a statement; None after a fault."""
        read = _READERS.get(type(node).__name__)
        if read is None:
            self.unavailable(node)
            return None
        return read(self, node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Notes what the names of an import stand for; the import itself does nothing."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self._import_path(node, alias, f"{node.module or '.'}.{alias.name}")
            elif alias.asname or "." not in alias.name:
                self._import_path(node, alias, alias.name)
            else:
                self._import_root(node, alias)

    def _import_root(self, node: ast.stmt, alias: ast.alias) -> None:
        """`import torch.nn` brings the name `torch`."""
        root = alias.name.split(".")[0]
        self._import_path(node, ast.alias(alias.name, root), alias.name)
        if root in self.scope.imported:
            self.scope.imported[root] = root

    def _import_path(self, node: ast.stmt, alias: ast.alias, path: str) -> None:
        root = path.split(".", maxsplit=1)[0]
        if path.startswith(IGNORED_MODULES):
            self.scope.ignored.add(alias.asname or alias.name)
        elif path in MODULES or root in ABSENT_MODULES or entry_of(path) or root in ("__future__", "typing"):
            self.scope.imported[alias.asname or alias.name] = path
        elif alias.name == "*":
            self.fault(node, "`import *` is not available; name what you need")
        elif root in _ROOTS:
            self.scope.absent[alias.asname or alias.name] = unknown_entry(path)
        else:
            self.fault(node, f"the module `{root}` is not available; a program may import {', '.join(sorted(_ROOTS))}")

    def _assign(self, node: ast.Assign) -> s.Statement:
        value = self.expression(node.value)
        if all(self.is_ignored(target) or self.scope.is_ignored(target) for target in node.targets):
            return s.Evaluate(self.span(node), value)
        return s.Assign(self.span(node), tuple(self.target(t) for t in node.targets), value)

    def _annotated(self, node: ast.AnnAssign) -> s.Statement | None:
        """`x: Tensor = ...`; the annotation is not evaluated."""
        if node.value is None:
            return None
        return s.Assign(self.span(node), (self.target(node.target),), self.expression(node.value))

    def _augment(self, node: ast.AugAssign) -> s.Statement:
        operator = OPERATORS[type(node.op).__name__]
        return s.Augment(self.span(node), self.target(node.target), operator, self.expression(node.value))

    def _evaluate(self, node: ast.Expr) -> s.Statement:
        if isinstance(node.value, ast.Yield) and self._n_functions:
            return s.Yield(self.span(node), self.optional(node.value.value))
        return s.Evaluate(self.span(node), self.expression(node.value))

    def _for(self, node: ast.For) -> s.Statement:
        return s.For(
            self.span(node),
            self.target(node.target),
            self.expression(node.iter),
            self._loop(node.body),
            self.block(node.orelse),
        )

    def _while(self, node: ast.While) -> s.Statement:
        return s.While(self.span(node), self.expression(node.test), self._loop(node.body), self.block(node.orelse))

    def _if(self, node: ast.If) -> s.Statement:
        return s.If(self.span(node), self.expression(node.test), self.block(node.body), self.block(node.orelse))

    def _with(self, node: ast.With) -> s.Statement:
        contexts = tuple((self.expression(item.context_expr), self._entered(item.optional_vars)) for item in node.items)
        return s.With(self.span(node), contexts, self.block(node.body))

    def _entered(self, node: ast.expr | None) -> s.Expression | None:
        return None if node is None or self.scope.is_ignored(node) else self.target(node)

    def _try(self, node: ast.Try) -> s.Statement:
        handlers = tuple(
            s.Handler(self.span(h), self.optional(h.type), h.name, self.block(h.body)) for h in node.handlers
        )
        return s.Try(
            self.span(node), self.block(node.body), handlers, self.block(node.orelse), self.block(node.finalbody)
        )

    def _define(self, node: ast.FunctionDef) -> s.Statement:
        return self.function(node, self.decorators(node.decorator_list))

    def function(self, node: ast.FunctionDef, decorators: tuple[s.Expression, ...], binding: str = "") -> s.Define:
        """A `def`, of the program or of a class."""
        own = list(_own_nodes(node))
        parameters = self.parameters(node.args)
        outer, self._n_loops = self._n_loops, 0
        self._n_functions += 1
        body = self.block(node.body)
        self._n_functions -= 1
        self._n_loops = outer
        return s.Define(
            self.span(node),
            node.name,
            parameters,
            body,
            decorators,
            frozenset(name for part in own if isinstance(part, ast.Global) for name in part.names),
            frozenset(name for part in own if isinstance(part, ast.Nonlocal) for name in part.names),
            any(isinstance(part, ast.Yield) for part in own),
            binding,  # type: ignore[arg-type]
        )

    def _return(self, node: ast.Return) -> s.Statement:
        if self._n_functions == 0:
            self.fault(node, "`return` may only stand in a function")
        return s.Return(self.span(node), self.optional(node.value))

    def _loop(self, nodes: Sequence[ast.stmt]) -> s.Block:
        self._n_loops += 1
        block = self.block(nodes)
        self._n_loops -= 1
        return block

    def _jump(self, node: ast.Break | ast.Continue | ast.Pass) -> s.Statement:
        if self._n_loops == 0 and not isinstance(node, ast.Pass):
            self.fault(node, "this may only stand in a loop")
        kinds = {"Break": "break", "Continue": "continue", "Pass": "pass"}
        return s.Jump(self.span(node), kinds[type(node).__name__])  # type: ignore[arg-type]

    def _delete(self, node: ast.Delete) -> s.Statement:
        for part in node.targets:
            if not isinstance(part, ast.Name):
                self.fault(part, "only a name can be deleted")
        return s.Delete(self.span(node), tuple(self.target(part) for part in node.targets))

    def _assert(self, node: ast.Assert) -> s.Statement:
        return s.Assert(self.span(node), self.expression(node.test), self.optional(node.msg))

    def _raise(self, node: ast.Raise) -> s.Statement:
        return s.Raise(self.span(node), self.optional(node.exc))


def _is_silent(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return True
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of a function but those of functions within it."""
    for part in ast.iter_child_nodes(node):
        yield part
        if not isinstance(part, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(part)


_ROOTS = {path.split(".")[0] for path in MODULES} - {"__future__", "typing"}


_R = StatementReader
_READERS: dict[str, Callable[[StatementReader, Any], s.Statement | None]] = {
    "Assign": _R._assign, "AnnAssign": _R._annotated, "AugAssign": _R._augment, "Expr": _R._evaluate, "For": _R._for,
    "While": _R._while, "If": _R._if, "With": _R._with, "Try": _R._try, "FunctionDef": _R._define,
    "ClassDef": _R.class_, "Return": _R._return, "Break": _R._jump, "Continue": _R._jump, "Pass": _R._jump,
    "Delete": _R._delete,
    "Assert": _R._assert, "Raise": _R._raise,
}  # fmt: skip
