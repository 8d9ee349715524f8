"""Classes of a program read into ours: modules, functions with an own backward, and plain classes."""

import ast
from collections.abc import Iterator

from gradline.programs import statements as s
from gradline.programs.expressions import ExpressionReader

BASES = ("torch.autograd.Function", "torch.nn.Module", "torch.utils.data.Dataset", "object")
"""Classes of the table that a program may derive from."""

SPECIAL_METHODS = frozenset(
    [
        "__init__",
        "__call__",
        "__repr__",
        "__str__",
        "__len__",
        "__getitem__",
        "__setitem__",
        "__iter__",
        "__next__",
        "__contains__",
        "__bool__",
        "__float__",
        "__enter__",
        "__exit__",
        "__post_init__",
        "__neg__",
        "__abs__",
        "__eq__",
        "__ne__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
        "__add__",
        "__sub__",
        "__mul__",
        "__truediv__",
        "__floordiv__",
        "__mod__",
        "__pow__",
        "__matmul__",
        "__radd__",
        "__rsub__",
        "__rmul__",
        "__rtruediv__",
        "__rfloordiv__",
        "__rmod__",
        "__rpow__",
        "__rmatmul__",
        "__iadd__",
        "__isub__",
        "__imul__",
        "__itruediv__",
        "__hash__",
    ]
)
"""Methods with underscores that a class may define; they are reached by what they stand for, not by name."""

_FUNCTION_METHODS = {"forward", "backward", "setup_context", "vmap", "jvp"}
_BINDINGS = {"staticmethod", "classmethod", "property"}


class ClassReader(ExpressionReader):
    """Reads classes."""

    _n_classes = 0

    def class_(self, node: ast.ClassDef) -> s.Statement | None:
        """Our form of a class; None after a fault."""
        is_dataclass = self._is_dataclass(node)
        if len(node.bases) > 1 or node.keywords:
            self.fault(node, "a class may have one base, and no keywords")
            return None
        base = self.expression(node.bases[0]) if node.bases else None
        if isinstance(base, s.Entry) and base.name not in BASES:
            self.fault(node.bases[0], f"a class cannot derive from `{base.name}`; it can from {', '.join(BASES)}")
            return None
        if base is not None and not isinstance(base, s.Entry | s.Name):
            self.fault(node.bases[0], "the base of a class is a name")
            return None
        if isinstance(base, s.Entry) and base.name == "torch.autograd.Function":
            self._check_function(node)
        self._n_classes += 1
        body = tuple(part for part in map(self._member, node.body) if part is not None)
        self._n_classes -= 1
        fields = tuple(_annotated(node)) if is_dataclass else None
        return s.DefineClass(self.span(node), node.name, base, body, fields)

    def function(self, node: ast.FunctionDef, decorators: tuple[s.Expression, ...], binding: str = "") -> s.Define:
        raise NotImplementedError

    def statement(self, node: ast.stmt) -> s.Statement | None:
        raise NotImplementedError

    def _is_dataclass(self, node: ast.ClassDef) -> bool:
        for decorator in node.decorator_list:
            read = self.expression(decorator)
            function = read.function if isinstance(read, s.Call) else read
            if not isinstance(function, s.Entry) or function.name != "dataclasses.dataclass":
                self.fault(decorator, "only `@dataclass` may stand over a class")
        return bool(node.decorator_list)

    def _check_function(self, node: ast.ClassDef) -> None:
        """What torch asks of a Function: static methods, and those it knows."""
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                names = [d.id for d in part.decorator_list if isinstance(d, ast.Name)]
                if part.name in _FUNCTION_METHODS and "staticmethod" not in names:
                    self.fault(part, f"`{part.name}` needs `@staticmethod` over it")

    def _member(self, node: ast.stmt) -> s.Statement | None:
        if isinstance(node, ast.FunctionDef):
            return self._method(node)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Pass) or _is_text(node):
            return None if _is_text(node) or isinstance(node, ast.Pass) else self.statement(node)
        self.fault(node, "a class holds methods and assignments, and no more")
        return None

    def _method(self, node: ast.FunctionDef) -> s.Define:
        if node.name.startswith("__") and node.name not in SPECIAL_METHODS:
            self.fault(node, f"`{node.name}` cannot be defined; name the method without leading underscores")
        bindings = [d.id for d in node.decorator_list if isinstance(d, ast.Name) and d.id in _BINDINGS]
        others = [d for d in node.decorator_list if not (isinstance(d, ast.Name) and d.id in _BINDINGS)]
        return self.function(node, self.decorators(others), bindings[0] if bindings else "")

    def decorators(self, nodes: list[ast.expr]) -> tuple[s.Expression, ...]:
        """What stands over a function: gradient modes."""
        read = tuple(self.expression(node) for node in nodes)
        for node, decorator in zip(nodes, read, strict=True):
            function = decorator.function if isinstance(decorator, s.Call) else decorator
            if not isinstance(function, s.Entry) or function.name not in _DECORATORS:
                self.fault(node, "only `@torch.no_grad()` and `@torch.enable_grad()` may stand over a function")
        return tuple(
            decorator
            for decorator in read
            if not (isinstance(decorator, s.Entry) and decorator.name == "torch.autograd.function.once_differentiable")
        )


_DECORATORS = {
    "torch.no_grad",
    "torch.enable_grad",
    "torch.inference_mode",
    "torch.autograd.no_grad",
    "torch.autograd.function.once_differentiable",
}


def _annotated(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
