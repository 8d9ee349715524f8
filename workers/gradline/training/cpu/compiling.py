"""Functions compiled by numba when their module is first imported on a machine, and kept in a cache after."""

from collections.abc import Callable
from typing import Any

from numba import njit

FLOATS = ("f4", "f8")


def compiled(signature: str, fastmath: frozenset[str] = frozenset()) -> Callable[[Any], Any]:
    """Compiles a function for X of the signature float32 and float64, or loads what an earlier process has kept;
    BITS stands for unsigned integers of as many bits.

    It runs without the interpreter's lock, and a division by 0 is no error. `fastmath`: what LLVM may do to sums.
    """
    signatures = [signature.replace("X", dtype).replace("BITS", f"u{dtype[1]}") for dtype in FLOATS]
    options: dict[str, Any] = {"fastmath": set(fastmath), "nogil": True, "error_model": "numpy"}

    def compile_now(function: Any) -> Any:
        try:
            return njit(signatures, cache=True, **options)(function)
        except RuntimeError:  # nowhere to write
            return njit(signatures, **options)(function)

    return compile_now
