"""Large data through REST, on warm one-machine stacks. Run: `python benchmarks/large_data.py`.

First what a fit of 1,000,000 rows of 28 float32 columns costs through the service, against the fit itself and pyarrow
reading the file once, and against the job's own code called without the service, which reads, fits, examines and
measures as the job does; in turns. The first job over a CSV file, which unpacks it, is told apart. Then the resident
memory of the API and of the worker's child while a file several times the size of their bound is uploaded and fitted,
and then the same for text of many levels, whose features are sparse. Processor times tell more than wall times on a
machine that others use. `--rounds 5` fits; `--rows 5000000` and `--text-rows 3000000` in the files whose memory is
measured.
"""

import argparse
import glob
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from fit_small import SilentAttempt
from warm_stack import (
    client_of,
    stack_in,
    submit_and_wait,
    table,
    training_child,
    training_s,
    used_s,
    wait_until,
)

from gradline.embedded.stack import Stack
from gradline.settings import Settings
from gradline.specs import parse_spec
from gradline.storage import ArtifactStore

N, D = 1_000_000, 28
GROUP = 250_000
LEVELS = (50_000, 20_000, 5_000, 2_000, 1_000, 200)
MIB = 2**20
BOUND = 64 * MIB


class Cost(NamedTuple):
    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="of the cost; 0: skip it")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the file whose memory is measured; 0: skip it")
    parser.add_argument("--text-rows", type=int, default=3_000_000, help="the same for a file of text; 0: skip it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gradline-benchmark-") as folder:
        if arguments.rounds:
            path = Path(folder, "million.parquet")
            write(path, N)
            with stack_in(Path(folder, "home")) as stack:
                settings = Settings(home=Path(folder, "home"))
                store = ArtifactStore(settings.store_url, derived_max_bytes=settings.unpacked_max_bytes)
                for file in (path, as_csv(path)):
                    measure_cost(stack, store, file, arguments.rounds)
        os.environ |= {"GRADLINE_FEATURES_MAX_BYTES": str(BOUND), "GRADLINE_UPLOAD_MAX_BYTES": str(100 << 30)}
        dense, sparse = 4 * (D + 1), 2 * 12 * (len(LEVELS) + 1)  # bytes a row at most
        for n, write_rows, row_bytes in ((arguments.rows, write, dense), (arguments.text_rows, write_text, sparse)):
            if n:
                path = Path(folder, f"{write_rows.__name__}.parquet")
                write_rows(path, n)
                with stack_in(Path(folder, f"bounded-{path.stem}")) as stack:
                    measure_memory(stack, path, n, n * row_bytes)
                path.unlink()


def write(path: Path, n: int) -> None:
    """Columns of which some are skewed and each leans on the one before."""
    w_d = np.random.default_rng(1).standard_normal(D) * 0.3

    def draw(rng: np.random.Generator, n: int) -> pa.Table:
        x_nd = rng.standard_normal((n, D), dtype=np.float32)
        x_nd[:, :8] = np.exp(x_nd[:, :8] / 2) - 1.1
        for j in range(1, D):
            x_nd[:, j] += x_nd[:, j - 1] / 2
        y_n = rng.random(n) < 1 / (1 + np.exp(-(x_nd @ w_d)))
        return pa.table({f"x{j}": x_nd[:, j].copy() for j in range(D)} | {"y": y_n.astype(np.int64)})

    write_groups(path, n, draw)


def write_text(path: Path, n: int) -> None:
    """Columns of text, the low levels of each the most frequent."""
    names = [pa.array([f"column {j} level {i}" for i in range(n_levels)]) for j, n_levels in enumerate(LEVELS)]
    effects = [np.random.default_rng(j).standard_normal(n_levels) / 2 for j, n_levels in enumerate(LEVELS)]

    def draw(rng: np.random.Generator, n: int) -> pa.Table:
        codes = [(n_levels * rng.random(n) ** 3).astype(np.int32) for n_levels in LEVELS]
        z_n = sum((effect_l[code_n] for effect_l, code_n in zip(effects, codes, strict=True)), np.zeros(n))
        y_n = rng.random(n) < 1 / (1 + np.exp(-z_n))
        columns = {f"t{j}": names[j].take(pa.array(code_n)) for j, code_n in enumerate(codes)}
        return pa.table(columns | {"y": y_n.astype(np.int64)})

    write_groups(path, n, draw)


def write_groups(path: Path, n: int, draw: Callable[[np.random.Generator, int], pa.Table]) -> None:
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        writer = None
        for start in range(0, n, GROUP):
            rows = draw(rng, min(GROUP, n - start))
            writer = writer or pq.ParquetWriter(file, rows.schema)
            writer.write_table(rows)
        assert writer is not None
        writer.close()


def as_csv(path: Path) -> Path:
    found = path.with_suffix(".csv")
    pyarrow.csv.write_csv(pq.read_table(path), found)
    return found


# --- what it costs


def measure_cost(stack: Stack, store: ArtifactStore, path: Path, rounds: int) -> None:
    dataset, uploaded = upload(stack, path)
    spec = spec_over(dataset)
    for _ in range(2):  # the child has seen such a job, and this process too
        submit_and_wait(stack, spec)
        run_alone(spec, store, dataset)
    firsts, later, fits, reads, alone = list[Cost](), list[Cost](), list[Cost](), list[Cost](), list[Cost]()
    kept = store.local_path(dataset["sha256"])
    for _ in range(rounds):
        if path.suffix == ".csv":  # which the first job unpacks; of Parquet the API has
            for unpacked in glob.glob(f"{kept}.*"):
                os.unlink(unpacked)
            firsts.append(through_rest(stack, spec))
            wait_until(lambda: glob.glob(f"{kept}.*"))
        later.append(through_rest(stack, spec))
        read, fit = fit_itself(path)
        reads.append(read)
        fits.append(fit)
        alone.append(run_alone(spec, store, dataset))
    bare = [Cost(f.wall_s + r.wall_s, f.cpu_s + r.cpu_s) for f, r in zip(fits, reads, strict=True)]
    kind = path.suffix.removeprefix(".")
    first = []
    if firsts:
        first = [("the first job over it", told(middle(firsts))), ("ratio (aim: at most 1.3)", ratios(firsts, bare))]
    table(
        f"{N:,} rows of {D} float32 columns, {kind} of {path.stat().st_size // 10**6} MB; median of {rounds}",
        [
            ("upload, written and described", told(uploaded)),
            ("the fit itself, from arrays to certified coefficients", told(middle(fits))),
            ("pyarrow reading the file once", told(middle(reads))),
            ("both", told(middle(bare))),
            *first,
            ("submit to succeeded over REST", told(middle(later))),
            ("ratio (aim: at most 1.3)", ratios(later, bare)),
            ("the job's own code without the service", told(middle(alone))),
            ("ratio to that: what the service adds", ratios(later, alone)),
        ],
    )


def through_rest(stack: Stack, spec: dict[str, Any]) -> Cost:
    """Submit to succeeded; processor time of the worker's child."""
    child = training_child(stack)
    begun, cpu = time.perf_counter(), used_s(child)
    submit_and_wait(stack, spec)
    return Cost(time.perf_counter() - begun, used_s(child) - cpu)


def ratios(some: list[Cost], others: list[Cost]) -> str:
    return f"{ratio(some, others, 0):.2f} of wall, {ratio(some, others, 1):.2f} of processor"


class Attempt(SilentAttempt):
    """Reads an upload, and keeps nothing."""

    features_max_bytes = None

    def __init__(self, store: ArtifactStore, dataset: dict[str, Any]) -> None:
        self.store, self._dataset = store, SimpleNamespace(**dataset)

    def get_dataset(self, _id: str) -> Any:
        return self._dataset


def run_alone(spec: dict[str, Any], store: ArtifactStore, dataset: dict[str, Any]) -> Cost:
    from gradline.worker.kinds import logistic_regression

    begun, cpu = time.perf_counter(), time.process_time()
    logistic_regression.run(parse_spec("logistic-regression", spec), Attempt(store, dataset))
    return Cost(time.perf_counter() - begun, time.process_time() - cpu)


def upload(stack: Stack, path: Path) -> tuple[dict[str, Any], Cost]:
    """The data set, and what uploading it cost; processor time is the API's."""
    api = psutil.Process(stack.pids()["api"])
    begun, cpu = time.perf_counter(), used_s(api)
    with path.open("rb") as file:
        answer = client_of(stack.url).post(f"/v1/datasets?format={path.suffix[1:]}", content=file, timeout=3600)
    cost = Cost(time.perf_counter() - begun, used_s(api) - cpu)
    return dict(answer.raise_for_status().json()), cost


def spec_over(dataset: dict[str, Any]) -> dict[str, Any]:
    data = {"source": "dataset", "dataset_id": dataset["id"], "target": "y"}
    return {"data": data, "report": {"plots": []}, "preprocess": {"max_levels": max(LEVELS)}}


def fit_itself(path: Path) -> tuple[Cost, Cost]:
    """Of reading, and of training by the solver that `auto` stands for: standardised, to its tolerance, certified.

    Each on one thread, as in the child: on a machine that others use two of them wait for each other.
    """
    import torch

    from gradline.training import Family, Objective, choose, make_problem, zero_parameters

    torch.set_num_threads(1)
    begun, cpu = time.perf_counter(), time.process_time()
    if path.suffix == ".parquet":
        rows = pq.read_table(path, use_threads=False)
    else:
        rows = pyarrow.csv.read_csv(path, pyarrow.csv.ReadOptions(use_threads=False))
    read = Cost(time.perf_counter() - begun, time.process_time() - cpu)
    x_nd = torch.from_numpy(np.stack([rows.column(f"x{j}").to_numpy() for j in range(D)], 1).astype(np.float32))
    x_nd = (x_nd - x_nd.mean(0)) / x_nd.std(0)
    y_n = torch.from_numpy(rows.column("y").to_numpy())
    begun, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        problem = make_problem(x_nd, y_n, Family.BINOMIAL, implies_ones=True)
        theta_bkp = zero_parameters(D, 1, has_intercept=True, dtype=torch.float64)
        solver = choose(Objective(problem), theta_bkp).solver
        while solver.ending is None and not solver.is_converged(1e-6):
            solver.step()
        assert solver.gap() is not None
    return read, Cost(time.perf_counter() - begun, time.process_time() - cpu)


# --- what it takes


def measure_memory(stack: Stack, path: Path, n: int, features_bytes: int) -> None:
    n_bytes = path.stat().st_size
    api, child = psutil.Process(stack.pids()["api"]), training_child(stack)
    before = {process: process.memory_info().rss for process in (api, child)}
    with peak_of(api) as of_api:
        dataset, uploaded = upload(stack, path)
    with peak_of(child) as of_child:
        job = submit_and_wait(stack, spec_over(dataset))
    grown = {p: peak["rss"] - before[p] for p, peak in ((api, of_api), (child, of_child))}
    table(
        f"a file of {n:,} rows and {n_bytes // MIB} MiB, GRADLINE_FEATURES_MAX_BYTES {BOUND // MIB} MiB",
        [
            ("features", f"{features_bytes // MIB} MiB"),
            ("API: at rest, most while it takes the upload", f"{before[api] // MIB}, {of_api['rss'] // MIB} MiB"),
            ("worker's child: at rest, most while it fits", f"{before[child] // MIB}, {of_child['rss'] // MIB} MiB"),
            ("of that in no file, at most", f"{of_child['private'] // MIB} MiB"),
            ("the API grew by, as a share of the file", f"{grown[api] / n_bytes:.2f}"),
            ("the child grew by, as a share of the file", f"{grown[child] / n_bytes:.2f}"),
            ("the child grew by, beyond the bound, a row", f"{(grown[child] - BOUND) / n:.0f} bytes"),
            ("upload", told(uploaded)),
            ("fit", f"{training_s(job):.1f} s"),
        ],
    )


@contextmanager
def peak_of(process: psutil.Process) -> Iterator[dict[str, int]]:
    """The most resident memory that a look every 5 ms finds."""
    peak, is_over = {"rss": 0, "private": 0}, threading.Event()

    def look() -> None:
        while not is_over.wait(0.005):
            memory = process.memory_info()
            peak["rss"] = max(peak["rss"], memory.rss)
            peak["private"] = max(peak["private"], memory.rss - memory.shared)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def middle(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(c.wall_s for c in costs), statistics.median(c.cpu_s for c in costs))


def ratio(costs: list[Cost], others: list[Cost], field: int) -> float:
    return middle(costs)[field] / middle(others)[field]


def told(cost: Cost) -> str:
    return f"{cost.wall_s:.2f} s, of a processor {cost.cpu_s:.2f} s"


if __name__ == "__main__":
    main()
