"""What programs do try and may not use, and what to do instead."""

from typing import Final

ABSENT_MODULES: Final = {
    "pandas": "write the numbers out with `torch.tensor`",
    "torchvision": "only torch's own functions are available",
    "sklearn": "write the numbers out, or use a logistic-regression job",
    "scipy": "use torch's own functions",
    "sympy": "derivatives in symbols are part of the result anyway",
    "d2l": "its functions are not available; write them out",
    "os": "a program has no files and no system",
    "sys": "a program has no system",
    "gc": "memory is bounded and freed for a program",
    "torchaudio": "only torch's own functions are available",
    "torchtext": "only torch's own functions are available",
    "itertools": "use `range`, `zip` and loops",
    "jax": "only torch's own functions are available; `torch.func` has its transforms",
    "tensorflow": "only torch's own functions are available",
    "pytorch_lightning": "only torch's own functions are available",
    "requests": "a program has no network",
}
"""Modules that snippets import and that are not here: the import passes, a use is refused with this reason."""

IGNORED_MODULES: Final = (
    "matplotlib",
    "seaborn",
    "torchviz",
    "graphviz",
    "IPython",
    "warnings",
    "torch.utils.tensorboard",
    "torch.backends",
    "torchsummary",
    "torchinfo",
)
"""Modules that draw or report: the arguments of their calls are evaluated, and nothing is done with them."""

REFUSED: Final = {
    "torch.load": "a program has no files; write the numbers out",
    "torch.save": "a program has no files; the result keeps every tensor",
    "torch.compile": "is not available: the program is run line by line",
    "torch.jit": "is not available: the program is run line by line",
    "torch.utils": "is not available, but for `torch.utils.data` and `torch.utils.checkpoint`",
    "torch.autograd.profiler": "is not available; the trace is part of the result",
    "open": "a program has no files",
    "input": "a program is asked nothing while it runs; assign the value",
    "eval": "is never available; write the expression itself",
    "exec": "is never available; write the statements themselves",
    "compile": "is never available",
    "__import__": "is never available",
    "getattr": "may only be called, with a name written out, as in `getattr(x, 'grad')`",
    "setattr": "may only be called, with a name written out, as in `setattr(x, 'grad', None)`",
    "delattr": "is not available",
    "hasattr": "may only be called, with a name written out, as in `hasattr(x, 'grad')`",
    "super": "may only be called, in a method",
    "globals": "is not available",
    "locals": "is not available",
    "vars": "is not available",
    "dir": "is not available; the result shows every attribute that matters",
    "help": "is not available",
}
"""Names that people do try, and what to do instead."""

EXPRESSION_REASONS: Final = {
    "Await": "`await` is not available",
    "Yield": "`yield` may only stand on a line of its own, in a function",
    "YieldFrom": "`yield from` is not available; write a loop with `yield`",
    "AsyncFunctionDef": "`async` is not available",
    "AsyncFor": "`async` is not available",
    "AsyncWith": "`async` is not available",
    "Match": "`match` is not available; use `if`",
    "TryStar": "`except*` is not available; use `except`",
    "Ellipsis": "`...` may only stand in an index",
}
"""Why a piece of Python is left out of the language."""
