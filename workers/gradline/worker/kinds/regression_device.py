"""Where a fit runs, and why: on a CUDA device where that ends sooner, its features there or passing over it.

The rule compares two estimates in seconds. On the CPU a pass reads the features at the rate of main memory, and a
Hessian takes n q^2 products, of which a thread does some 2e10 a second (the same number as in `training.choice`). On a
device passes and products are all but free against starting it and bringing the features there: NVIDIA's CUDA C++ Best
Practices Guide (section "Pinned memory") gives 12 GB/s from pinned memory over PCIe 3.0 x16, and half of it is counted.
"""

from dataclasses import replace
from typing import NamedTuple

import torch

from gradline.data.prepare import Prepared
from gradline.errors import PermanentError
from gradline.lanes import Lane
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.specs.regression.solvers import FirstOrder
from gradline.training import Problem

PASSES = 30
"""Of a solver that stops by itself."""
HESSIANS = 5
MAX_HESSIAN_PARAMETERS = 2000
CPU_BYTES_PER_S = 8e9
CPU_PRODUCTS_PER_S = 2e10
BYTES_TO_DEVICE_PER_S = 6e9
START_S = 2.0
"""A CUDA context, its libraries and the first calls of kernels."""
CALLS_S = 2e-4
"""The calls of one step, which the device waits for when they are small."""
ROOM = 0.6
"""Share of the free memory that features may take; the rest is for predictors and blocks of products."""


class Placement(NamedTuple):
    device: torch.device
    is_streamed: bool
    """Whether the features stay on the host and pass over the device a part at a time."""
    reason: str
    """One sentence."""


class Load(NamedTuple):
    """What a fit asks of the machine."""

    n_bytes: int
    """Of the features."""
    n_steps: int
    n_bytes_read: float
    n_products: float

    def cpu_s(self, n_threads: int) -> float:
        return (self.n_bytes_read / CPU_BYTES_PER_S) + self.n_products / (CPU_PRODUCTS_PER_S * n_threads)

    def cuda_s(self, *, is_streamed: bool) -> float:
        n_bytes = self.n_bytes_read if is_streamed else self.n_bytes
        return START_S + n_bytes / BYTES_TO_DEVICE_PER_S + self.n_steps * CALLS_S


def check_device(asked: str) -> None:
    """Before anything is read: raises PermanentError for a device that is not there."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise PermanentError(
            "spec.device is cuda, but this worker has no CUDA device; submit to the gpu lane, or set device to auto",
            code="no_cuda_device",
        )


def load_of(spec: LogisticRegressionSpec, problem: Problem) -> Load:
    x_np, q = problem.x_np, problem.k * problem.p
    n_entries = len(x_np.values()) if problem.is_sparse else x_np.numel()
    n_bytes = n_entries * (x_np.element_size() + 4 * problem.is_sparse)
    if isinstance(spec.solver, FirstOrder):
        share = min(1.0, (spec.solver.batch_size or problem.n) / problem.n)
        return Load(n_bytes, spec.stop.max_steps, spec.stop.max_steps * share * n_bytes, 0.0)
    is_newton = q <= MAX_HESSIAN_PARAMETERS and not problem.is_sparse
    n_products = float(HESSIANS) * problem.n * q * q if is_newton else 0.0
    return Load(n_bytes, PASSES, float(PASSES) * n_bytes, n_products)


def choose_placement(
    asked: str, lane: str, load: Load, free_bytes: int | None, *, can_stream: bool, n_threads: int = 1
) -> Placement:
    """`free_bytes` of the device's memory; None: there is no device, so that none may be asked for."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    if asked == "cpu":
        return Placement(cpu, is_streamed=False, reason="named in the spec.")
    if free_bytes is None or (asked == "auto" and lane != Lane.GPU):
        return Placement(cpu, is_streamed=False, reason=f"a worker of the {lane} lane has no CUDA device.")
    fits = load.n_bytes <= ROOM * free_bytes
    where = "resident there" if fits else "passing over it, since they do not fit"
    if asked == "cuda":
        return Placement(cuda, is_streamed=can_stream and not fits, reason=f"named in the spec; features {where}.")
    cpu_s, cuda_s = load.cpu_s(n_threads), load.cuda_s(is_streamed=not fits)
    compared = f"an estimated {cpu_s:.2g} s on the CPU and {cuda_s:.2g} s on the CUDA device, features {where}"
    if cpu_s <= cuda_s or not (fits or can_stream):
        return Placement(cpu, is_streamed=False, reason=f"{compared}: the CPU ends sooner or is all there is room on.")
    return Placement(cuda, is_streamed=not fits, reason=f"{compared}.")


def place(spec: LogisticRegressionSpec, prepared: Prepared, lane: str) -> tuple[Prepared, Placement]:
    """The problems where they are to be fitted; they were prepared on the CPU."""
    may_be_cuda = spec.device == "cuda" or (spec.device == "auto" and lane == Lane.GPU)  # looking starts a context
    free_bytes = torch.cuda.mem_get_info()[0] if may_be_cuda and torch.cuda.is_available() else None
    chosen = choose_placement(
        spec.device,
        lane,
        load_of(spec, prepared.train),
        free_bytes,
        can_stream=_can_stream(prepared.train),
        n_threads=torch.get_num_threads(),
    )
    if chosen.device.type == "cpu":
        return prepared, chosen
    judged = _moved(prepared.judged, chosen)
    train = judged if prepared.train is prepared.judged else _like(prepared.train, judged)
    validation = None if prepared.validation is None else _moved(prepared.validation, chosen)
    return replace(prepared, judged=judged, train=train, validation=validation), chosen


def _can_stream(problem: Problem) -> bool:
    """Conjugate gradients, for more parameters or sparse features, look at columns of all rows."""
    return not problem.is_sparse and problem.k * problem.p <= MAX_HESSIAN_PARAMETERS


def _moved(problem: Problem, chosen: Placement) -> Problem:
    x_np = problem.x_np if chosen.is_streamed else problem.x_np.to(chosen.device)
    return replace(
        problem,
        x_np=x_np,
        y_nk=problem.y_nk.to(chosen.device),
        weight_nb=None if problem.weight_nb is None else problem.weight_nb.to(chosen.device),
        offset_n1=None if problem.offset_n1 is None else problem.offset_n1.to(chosen.device),
    )


def _like(train: Problem, judged: Problem) -> Problem:
    """The weights of classes on the same rows: features are moved once."""
    assert train.weight_nb is not None  # noqa: S101  else it were the same problem
    return replace(judged, weight_nb=train.weight_nb.to(judged.y_nk.device))
