"""Python's statements read into ours."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

from gradline.programs import statements as s
from gradline.programs.allowed import MODULES
from gradline.programs.expressions import OPERATORS, ExpressionReader, TooDeep
from gradline.programs.limits import MAX_DEPTH
from gradline.programs.refused import ABSENT_MODULES
from gradline.programs.scope import entry_of, unknown_entry

_DECORATORS = {"torch.no_grad", "torch.enable_grad", "torch.inference_mode", "torch.autograd.no_grad"}
_METHODS = {"forward", "backward", "setup_context"}


class StatementReader(ExpressionReader):
    """Reads a whole program."""

    _block_depth = 0
    _n_loops = 0
    _n_functions = 0

    def program(self, tree: ast.Module, nodes: list[ast.AST]) -> s.Block:
        """The statements of a whole tree; `nodes` are all of its nodes."""
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
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
        if path in MODULES or root in ABSENT_MODULES or entry_of(path) or root in ("__future__", "typing"):
            self.scope.imported[alias.asname or alias.name] = path
        elif alias.name == "*":
            self.fault(node, "`import *` is not available; name what you need")
        elif root in ("torch", "math"):
            self.scope.absent[alias.asname or alias.name] = unknown_entry(path)
        else:
            self.fault(node, f"the module `{root}` is not available; a program may import torch and math")

    def _assign(self, node: ast.Assign) -> s.Statement:
        value = self.expression(node.value)
        return s.Assign(self.span(node), tuple(self.target(t) for t in node.targets), value)

    def _annotated(self, node: ast.AnnAssign) -> s.Statement | None:
        """`x: Tensor = ...`; the annotation is not evaluated."""
        if node.value is None:
            return None
        return s.Assign(self.span(node), (self.target(node.target),), self.expression(node.value))

    def _augment(self, node: ast.AugAssign) -> s.Statement:
        operator = OPERATORS.get(type(node.op).__name__)
        if operator is None:
            self.fault(node, "shifts of integers are not available")
        return s.Augment(self.span(node), self.target(node.target), operator or "", self.expression(node.value))

    def _evaluate(self, node: ast.Expr) -> s.Statement:
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
        contexts = tuple(
            (self.expression(item.context_expr), self.target(item.optional_vars) if item.optional_vars else None)
            for item in node.items
        )
        return s.With(self.span(node), contexts, self.block(node.body))

    def _try(self, node: ast.Try) -> s.Statement:
        handlers = tuple(
            s.Handler(self.span(h), self.optional(h.type), h.name, self.block(h.body)) for h in node.handlers
        )
        return s.Try(
            self.span(node), self.block(node.body), handlers, self.block(node.orelse), self.block(node.finalbody)
        )

    def _define(self, node: ast.FunctionDef) -> s.Statement:
        decorators = tuple(self.expression(d) for d in node.decorator_list)
        for decorator, read in zip(node.decorator_list, decorators, strict=True):
            function = read.function if isinstance(read, s.Call) else read
            if not isinstance(function, s.Entry) or function.name not in _DECORATORS:
                self.fault(decorator, "only `@torch.no_grad()` and `@torch.enable_grad()` may stand over a function")
        return self._function(node, decorators)

    def _function(self, node: ast.FunctionDef, decorators: tuple[s.Expression, ...]) -> s.Define:
        names = frozenset(n for part in ast.walk(node) if isinstance(part, ast.Global) for n in part.names)
        parameters = self.parameters(node.args)
        outer, self._n_loops = self._n_loops, 0
        self._n_functions += 1
        body = self.block(node.body)
        self._n_functions -= 1
        self._n_loops = outer
        return s.Define(self.span(node), node.name, parameters, body, decorators, names)

    def _class(self, node: ast.ClassDef) -> s.Statement | None:
        """A subclass of torch.autograd.Function: the one class that teaches autograd."""
        bases = [self.expression(base) for base in node.bases]
        names = [base.name for base in bases if isinstance(base, s.Entry)]
        if names != ["torch.autograd.Function"] or len(bases) > 1 or node.keywords:
            if not self.faults:
                self.unavailable(node)
            return None
        methods = [self._method(part) for part in node.body if not _is_silent(part)]
        return s.DefineFunction(self.span(node), node.name, tuple(m for m in methods if m is not None))

    def _method(self, node: ast.stmt) -> s.Define | None:
        if not isinstance(node, ast.FunctionDef) or node.name not in _METHODS:
            self.fault(node, "a Function has the static methods `forward`, `backward` and `setup_context`, and no more")
            return None
        names = [d.id for d in node.decorator_list if isinstance(d, ast.Name)]
        if names != ["staticmethod"] or len(node.decorator_list) != 1:
            self.fault(node, f"`{node.name}` needs `@staticmethod` over it")
        before = set(self.contexts)
        self.contexts |= {a.arg for a in node.args.args[:1]}
        method = self._function(node, ())
        self.contexts = before
        return method

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
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Global)


_R = StatementReader
_READERS: dict[str, Callable[[StatementReader, Any], s.Statement | None]] = {
    "Assign": _R._assign, "AnnAssign": _R._annotated, "AugAssign": _R._augment, "Expr": _R._evaluate, "For": _R._for,
    "While": _R._while, "If": _R._if, "With": _R._with, "Try": _R._try, "FunctionDef": _R._define,
    "ClassDef": _R._class, "Return": _R._return, "Break": _R._jump, "Continue": _R._jump, "Pass": _R._jump,
    "Delete": _R._delete,
    "Assert": _R._assert, "Raise": _R._raise,
}  # fmt: skip
