"""The code behind each kind of job. Loaded on first use: the worker's parent process must not import torch."""

import os
from collections.abc import Callable
from importlib import import_module
from threading import Timer
from types import ModuleType
from typing import Any

from gradline.specs.base import Spec
from gradline.worker.context import AttemptContext

MODULES = {
    "logistic-regression": "gradline.worker.kinds.logistic_regression",
    "autograd": "gradline.worker.kinds.autograd",
    "prediction": "gradline.worker.kinds.prediction",
}
"""Each module has `run(spec, context) -> result` and `drawings(spec, result) -> names of the plots to draw`."""

LOADED_LATE = (
    "gradline.training.cpu.kernel",
    "gradline.data.kernel",
    "gradline.evaluation.kernel",
    "torch._dynamo",
    "torch._decomp.decompositions_for_jvp",
)
"""The kernels of fits that are not small, for half a second or as long as it takes to compile them; and what torch
imports at the first call of an optimizer or function transform, for over a second, and of a Hessian."""
LOADED_AFTER_S = 2.0
"""A child answers its first ring before; loaded beside the work, no job of a warm child pays for it."""

Run = Callable[[Spec, AttemptContext], dict[str, Any]]


def runner_of(kind: str) -> Run:
    run: Run = _module(kind).run
    return run


def drawings_of(kind: str, spec: Spec, result: dict[str, Any]) -> list[str]:
    """Artifact names of the plots that are drawn after the job has ended; none for a kind that draws none."""
    drawings: list[str] = _module(kind).drawings(spec, result)
    return drawings


def warm_up(n_threads: int) -> None:
    """Import everything and touch torch once, so that the first job of a child is as fast as the others."""
    # Torch's threads wait for each other awake, which takes the processor from the one that is waited for wherever
    # others use it too: a job of 0.3 s took 1.2 s. It is asked once, where they come from is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # noqa: PLC0415

    torch.set_num_threads(n_threads)
    for kind in MODULES:
        _module(kind)
    torch.ones(2, 2).sum().item()
    later = Timer(LOADED_AFTER_S, lambda: [import_module(name) for name in LOADED_LATE])
    later.daemon = True
    later.start()


def _module(kind: str) -> ModuleType:
    return import_module(MODULES[kind])
