# ruff: noqa: E501  a row of a table is easier to read on one line
"""What programs do try and may not use, and what to do instead."""

from typing import Final

ABSENT_MODULES: Final = {
    "numpy": "use torch's own functions (`torch.tensor`, `torch.exp`, `torch.linspace`)",
    "matplotlib": "a program draws nothing; the graph and the step page are drawn for it",
    "pandas": "write the numbers out with `torch.tensor`",
    "torchvision": "only torch's own functions are available",
    "torchviz": "the graph is drawn for every program anyway",
    "sklearn": "write the numbers out, or use a logistic-regression job",
    "seaborn": "a program draws nothing",
    "scipy": "use torch's own functions",
    "sympy": "derivatives in symbols are part of the result anyway",
    "tqdm": "the steps are shown anyway",
    "time": "a program has no clock",
    "random": "use `torch.rand` and `torch.manual_seed`",
    "copy": "use `x.clone()`",
    "warnings": "warnings of torch are shown as hints",
}
"""Modules that snippets import and that are not here: the import passes, a use is refused with this reason."""

REFUSED: Final = {
    "torch.empty": "shows whatever was in memory; use `torch.zeros`",
    "torch.empty_like": "shows whatever was in memory; use `torch.zeros_like`",
    "torch.load": "a program has no files; write the numbers out",
    "torch.save": "a program has no files; the result keeps every tensor",
    "torch.compile": "is not available: the program is run line by line",
    "torch.jit": "is not available: the program is run line by line",
    "torch.utils": "is not available; write the batches out as tensors",
    "torch.nn.Module": "classes of modules are not available; write the model as tensors and a function, or use `nn.Sequential`",
    "torch.autograd.profiler": "is not available; the trace is part of the result",
    "open": "a program has no files",
    "input": "a program is asked nothing while it runs; assign the value",
    "eval": "is never available; write the expression itself",
    "exec": "is never available; write the statements themselves",
    "compile": "is never available",
    "__import__": "is never available",
    "getattr": "is not available; write `x.name`",
    "setattr": "is not available; write `x.name = value`",
    "delattr": "is not available",
    "hasattr": "is not available; write `x.grad is not None`",
    "globals": "is not available",
    "locals": "is not available",
    "vars": "is not available",
    "dir": "is not available; the result shows every attribute that matters",
    "help": "is not available",
    "set": "sets are not available; use a list",
    "iter": "is not available; use `for`",
    "next": "is not available; use an index or `for`",
}
"""Names that people do try, and what to do instead."""

EXPRESSION_REASONS: Final = {
    "Await": "`await` is not available",
    "Yield": "`yield` is not available; return a list",
    "YieldFrom": "`yield` is not available; return a list",
    "NamedExpr": "`:=` is not available; assign on a line of its own",
    "SetComp": "sets are not available; use a list",
    "ClassDef": "classes are not available, except `class Name(torch.autograd.Function)`; write functions of tensors",
    "AsyncFunctionDef": "`async` is not available",
    "AsyncFor": "`async` is not available",
    "AsyncWith": "`async` is not available",
    "Nonlocal": "`nonlocal` is not available; return the value, or append to a list",
    "Match": "`match` is not available; use `if`",
    "TryStar": "`except*` is not available; use `except`",
    "Ellipsis": "`...` may only stand in an index",
}
"""Why a piece of Python is left out of the language."""
