"""The one table of what a program may use. What is not written here cannot be named, let alone run.

One file for each noun, each a table whose rows `rows.py` explains; here they are put together. The worker looks every
entry up in torch once, by these names, never by a name out of a program.
"""

from typing import Final

from gradline.programs.allowed.differentiation import AUTOGRAD
from gradline.programs.allowed.members import ASSIGNABLE, ATTRIBUTES, MEMBER_KEYWORDS, MEMBERS, METHODS
from gradline.programs.allowed.modules import ALIASES, EQUIVALENT, IMPLIED, MODULES
from gradline.programs.allowed.networks import FUNCTIONAL, NN, OPTIM, UTILS
from gradline.programs.allowed.python import BUILTINS, MATH, NUMPY, PYTHON
from gradline.programs.allowed.rows import read, words
from gradline.programs.allowed.torch_functions import FUNC, LINALG, TORCH

__all__ = [
    "ALIASES", "ASSIGNABLE", "ATTRIBUTES", "CONSTANTS", "ENTRIES", "EQUIVALENT", "EXCEPTIONS", "FUNCTIONS", "IMPLIED",
    "MEMBERS", "MEMBER_KEYWORDS", "METHODS", "MODULES",
]  # fmt: skip

_DTYPES = (
    "float32 float float64 double float16 half bfloat16 "
    "int8 int16 short int32 int int64 long uint8 bool complex64 complex128"
)

FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    **read(BUILTINS),
    **read(TORCH, "torch."),
    **read(FUNCTIONAL, "torch.nn.functional."),
    **read(AUTOGRAD, "torch.autograd."),
    **read(FUNC, "torch.func."),
    **read(LINALG, "torch.linalg."),
    **read(NN, "torch.nn."),
    **read(OPTIM, "torch.optim."),
    **read(UTILS, "torch.utils."),
    **read(NUMPY, "numpy."),
    **read(PYTHON),
    **read("is_available device_count synchronize empty_cache manual_seed manual_seed_all =", "torch.cuda."),
    **read(MATH, "math."),
}
"""Every function by its full name, with the keyword arguments it takes."""

EXCEPTIONS: Final = words(
    """
    Exception RuntimeError ValueError TypeError IndexError KeyError AttributeError NameError ZeroDivisionError
    AssertionError NotImplementedError ArithmeticError OverflowError StopIteration
    """
)
"""Kinds of error that `except` and `raise` may name."""

CONSTANTS: Final = frozenset(
    {f"torch.{name}" for name in _DTYPES.split()}
    | {"torch.pi", "torch.e", "torch.inf", "torch.nan", "math.pi", "math.e", "math.inf", "math.nan", "math.tau"}
    | {"torch.Tensor", "torch.FloatTensor", "torch.__version__", "__name__"}
    | {
        f"numpy.{name}"
        for name in ["float32", "float64", "int32", "int64", "bool_", "pi", "e", "inf", "nan", "newaxis", "ndarray"]
    }
    | EXCEPTIONS
)
"""Every value by its full name."""

ENTRIES: Final = frozenset(FUNCTIONS) | CONSTANTS
