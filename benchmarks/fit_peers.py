"""Whole fits against other programs at equal quality: from arrays in memory to coefficients within 1e-6 of the minimum.

Binary or multinomial l2-penalised logistic regression with C = 1, intercept free, on made data or (`breast_cancer`,
`wine`, `digits`) on real ones as scikit-learn brings them, unscaled. The minimum is our own float64 Newton's (of the
float32 values); a fit's quality is its relative objective gap in float64. Each peer gets the loosest rung of a ladder
of tolerances that reaches 1e-6 (not timed), then rounds are interleaved and the median is told. Each reads its arrays
once before its time begins, so that they are in memory. Ours runs at its default tolerance, certificate included. One
thread everywhere. liblinear and snapml penalise the intercept too, and may be left out for that alone. H2O fits in a
Java process: its processor time counts, its memory is not seen.

A peer that is not installed is left out. Those that should not share our environment run in one of their own: name its
interpreter with --peers; it needs numpy, scipy, scikit-learn and what there is of scikit-learn-intelex, glum, snapml
and h2o.
Run: `python benchmarks/fit_peers.py 100kx20 1mx28 --peers /path/to/python --rounds 5`
"""

import argparse
import functools
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

TARGET = 1e-6
HERE = Path(__file__).resolve()
LADDER = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7]


class Shape(NamedTuple):
    n: int
    d: int
    k: int = 2
    density: float = 1.0
    peers: tuple[str, ...] = ()
    """The rest take minutes."""
    is_real: bool = False
    """Its name is that of a data set of scikit-learn."""
    is_mixed: bool = False
    """Columns come in no order, not beside those that they lean on."""


DENSE = ("sk-lbfgs", "sk-newton-cholesky", "sk-newton-cg", "ex-lbfgs", "glum", "snapml", "sk-liblinear", "h2o")
CLASSES = ("sk-lbfgs", "sk-newton-cholesky", "sk-newton-cg", "ex-lbfgs")
SHAPES = {
    "breast_cancer": Shape(569, 30, peers=DENSE, is_real=True),
    "wine": Shape(178, 13, k=3, peers=CLASSES, is_real=True),
    "digits": Shape(1_797, 64, k=10, peers=CLASSES, is_real=True),
    "small": Shape(569, 30, peers=DENSE),
    "10kx20": Shape(10_000, 20, peers=DENSE),
    "100kx20": Shape(100_000, 20, peers=DENSE),
    "1mx28": Shape(1_000_000, 28, peers=DENSE),
    "10mx28": Shape(10_000_000, 28, peers=("sk-lbfgs", "ex-lbfgs")),
    "200kx500": Shape(200_000, 500, peers=("sk-lbfgs", "sk-newton-cg", "ex-lbfgs")),
    "20kx5000": Shape(20_000, 5_000, peers=("sk-lbfgs", "sk-newton-cg", "ex-lbfgs")),
    "20kx5000-mixed": Shape(20_000, 5_000, peers=("sk-lbfgs", "sk-newton-cg", "ex-lbfgs"), is_mixed=True),
    "multi10": Shape(100_000, 100, k=10, peers=("sk-lbfgs", "sk-newton-cg", "ex-lbfgs")),
    "sparse": Shape(100_000, 100_000, density=1e-3, peers=("sk-lbfgs", "sk-newton-cg", "sk-liblinear", "snapml")),
}


def data_of(name: str, seed: int) -> tuple[Any, Any]:
    shape = SHAPES[name]
    if not shape.is_real:
        return make_data(shape, seed)
    import sklearn.datasets

    x_nd, y_n = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return x_nd.astype(np.float32), y_n.astype(np.int64)


def make_data(shape: Shape, seed: int) -> tuple[Any, Any]:
    """Columns that lean on their neighbours, or sparse rows as text has them; classes with noise."""
    import scipy.sparse

    rng = np.random.default_rng(seed)
    n, d, k = shape.n, shape.d, shape.k
    w_dk = rng.standard_normal((d, 1 if k == 2 else k)) / np.sqrt(d)
    if shape.density < 1:
        n_words = max(1, round(d * shape.density))
        column = np.minimum((rng.pareto(1.1, n * n_words) * 10).astype(np.int64), d - 1).astype(np.int32)
        value = rng.random(n * n_words, dtype=np.float32)
        x_nd = scipy.sparse.csr_matrix((value, column, np.arange(0, n * n_words + 1, n_words)), (n, d))
        x_nd.sum_duplicates()
        z_nk = x_nd @ (w_dk * np.sqrt(d))
    else:
        x_nd = rng.standard_normal((n, d), dtype=np.float32)
        for j in range(1, d):
            x_nd[:, j] = 0.8 * x_nd[:, j - 1] + 0.6 * x_nd[:, j]
        z_nk = x_nd @ w_dk.astype(np.float32)
        if shape.is_mixed:
            x_nd = np.ascontiguousarray(x_nd[:, rng.permutation(d)])
    if k == 2:
        return x_nd, (rng.random(n) < 1 / (1 + np.exp(-z_nk[:, 0]))).astype(np.int64)
    return x_nd, np.argmax(z_nk + rng.gumbel(size=z_nk.shape), 1)


def peer_fit(name: str, x_nd: Any, y_n: Any, tol: float, served: tuple[str, int]) -> Any:
    """Coefficients [k, d + 1], the intercept last. Raises ImportError where the peer is not there."""
    import warnings

    warnings.simplefilter("ignore")
    n = x_nd.shape[0]
    program, _, solver = name.partition("-")
    if program == "sk":
        from sklearn.linear_model import LogisticRegression

        scaling = {"intercept_scaling": 100.0} if solver == "liblinear" else {}
        model = LogisticRegression(C=1.0, solver=solver, tol=tol, max_iter=10_000, **scaling).fit(x_nd, y_n)
    elif program == "ex":
        from sklearnex.linear_model import LogisticRegression as Patched

        model = Patched(C=1.0, solver=solver, tol=tol * 1e-3, max_iter=10_000).fit(x_nd, y_n)
    elif program == "h2o":
        return h2o_fit(h2o_frame(*served), tol)
    elif program == "glum":
        from glum import GeneralizedLinearRegressor

        glm = GeneralizedLinearRegressor(
            family="binomial", alpha=1 / n, l1_ratio=0.0, gradient_tol=tol, max_iter=1000, scale_predictors=False
        ).fit(x_nd, y_n)
        return np.append(glm.coef_, glm.intercept_)[None]
    else:
        from snapml import LogisticRegression as Snap

        snap = Snap(regularizer=1.0, tol=tol, max_iter=5000, n_jobs=1, fit_intercept=True, normalize=False)
        model = snap.fit(x_nd, np.where(y_n == 1, 1, -1))
    return np.concatenate((np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)[:, None]), 1)


@functools.cache
def h2o_frame(name: str, seed: int) -> Any:
    """The rows inside H2O, which has them before a fit is timed as all peers do."""
    import h2o

    h2o.init(nthreads=1, max_mem_size="6G", verbose=False)
    h2o.no_progress()
    x_nd, y_n = data_of(name, seed)
    frame = h2o.H2OFrame(np.column_stack((x_nd, y_n)))
    frame[-1] = frame[-1].asfactor()
    return frame


def h2o_fit(frame: Any, tol: float) -> Any:
    from h2o.estimators import H2OGeneralizedLinearEstimator

    glm = H2OGeneralizedLinearEstimator(
        family="binomial", solver="IRLSM", lambda_=1 / frame.nrows, alpha=0, standardize=False, max_iterations=1000,
        gradient_epsilon=tol, beta_epsilon=tol, objective_epsilon=tol,
    )  # fmt: skip
    glm.train(x=frame.columns[:-1], y=frame.columns[-1], training_frame=frame)
    coefficients = glm.coef()
    return np.array([[*(coefficients[name] for name in frame.columns[:-1]), coefficients["Intercept"]]])


def processor_s() -> float:
    """Of this process, and of the Java process where H2O fits."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    total = time.process_time()
    for child in children.read_text().split() if children.exists() else ():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def serve_peer(arguments: argparse.Namespace) -> None:
    """In a process of the peer's own: one line of JSON in, one out."""
    served = arguments.shape, arguments.seed
    x_nd, y_n = data_of(*served)
    if arguments.dtype == "float64":
        x_nd = x_nd.astype(np.float64)
    answers, sys.stdout = sys.stdout, sys.stderr  # peers may print
    if arguments.serve == "h2o" and importlib.util.find_spec("h2o"):
        h2o_frame(*served)
    for line in sys.stdin:
        tol, before = json.loads(line), peak_mib()
        bring_in(x_nd, y_n)
        start, start_cpu = time.perf_counter(), processor_s()
        try:
            theta = peer_fit(arguments.serve, x_nd, y_n, tol, served)
        except Exception as error:  # noqa: BLE001  whatever a peer raises, it has no result
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}), file=answers, flush=True)
            continue
        wall, cpu = time.perf_counter() - start, processor_s() - start_cpu
        np.save(arguments.out, theta)
        print(json.dumps({"wall": wall, "cpu": cpu, "mib": peak_mib() - before}), file=answers, flush=True)


def bring_in(x_nd: Any, y_n: Any) -> None:
    """Read the arrays once: what lay idle while others fitted may have been paged out, and fits begin in memory."""
    y_n.sum()
    for part in (x_nd,) if isinstance(x_nd, np.ndarray) else (x_nd.indptr, x_nd.indices, x_nd.data):
        part.sum()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Ours:
    """The library as a user of it calls it."""

    name = "gradline"

    def __init__(self, shape: Shape, x_nd: Any, y_n: Any) -> None:
        import torch

        torch.set_num_threads(1)
        self._arrays = x_nd, y_n
        self._shape, self._y_n = shape, torch.from_numpy(y_n)
        self._x_nd = sparse_tensor(x_nd) if shape.density < 1 else torch.from_numpy(x_nd)

    def fit(self) -> dict[str, Any]:
        import torch

        from gradline.training import Objective, choose, zero_parameters

        bring_in(*self._arrays)
        before, start, start_cpu = peak_mib(), time.perf_counter(), time.process_time()
        with torch.inference_mode():
            problem = self.problem(self._x_nd)
            objective = Objective(problem, l2=1 / problem.n)
            theta_bkp = zero_parameters(problem.d, problem.k, has_intercept=True, dtype=torch.float64)
            name, _, solver = choose(objective, theta_bkp)
            while solver.ending is None and not solver.is_converged(TARGET):
                solver.step()
            wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            gap = solver.gap()
        assert gap is not None
        about = f"{name}, {solver.n_passes} passes, certified {gap.relative_b.item():.0e} by {gap.method}"
        return {"wall": wall, "cpu": cpu, "mib": peak_mib() - before, "theta": theta_bkp, "about": about}

    def problem(self, x_nd: Any) -> Any:
        from gradline.training import Family, make_problem

        family = Family.BINOMIAL if self._shape.k == 2 else Family.MULTINOMIAL
        return make_problem(x_nd, self._y_n, family, self._shape.k, implies_ones=True)

    def least(self, theta_bkp: Any) -> tuple[Any, float]:
        """The objective in float64, and its minimum."""
        import torch

        from gradline.training import Objective, choose

        with torch.inference_mode():
            problem = self.problem(self._x_nd.double())
            objective = Objective(problem, l2=1 / problem.n)
            solver = choose(objective, theta_bkp.clone()).solver
            while solver.ending is None and not solver.is_converged(1e-9):
                solver.step()
            return objective, objective.smooth_value(solver.theta_bkp).item()


def sparse_tensor(x_nd: Any) -> Any:
    import warnings

    import torch

    warnings.filterwarnings("ignore", "Sparse CSR tensor support")
    parts = (torch.from_numpy(part) for part in (x_nd.indptr, x_nd.indices, x_nd.data))
    return torch.sparse_csr_tensor(*parts, x_nd.shape)


class Peer:
    """A process that fits when told to."""

    def __init__(self, interpreter: str, name: str, shape: str, seed: int, dtype: str) -> None:
        self.name = f"{name} {dtype}"
        self._out = tempfile.NamedTemporaryFile(suffix=".npy")  # noqa: SIM115  lives as long as the peer
        command = [interpreter, str(HERE), shape, "--serve", name, "--seed", str(seed), "--dtype", dtype]
        self._process = subprocess.Popen(
            [*command, "--out", self._out.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.tol = LADDER[0]

    def fit(self) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(self.tol) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline() or '{"error": "died"}')
        if "error" not in answer:
            answer["theta"] = np.load(self._out.name)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def calibrate(peer: Peer, gap_of: Any, limit_s: float) -> str | None:
    """Set the loosest tolerance that is good enough; else why there is none."""
    best = float("inf")
    for peer.tol in LADDER:
        answer = peer.fit()
        if "error" in answer:
            return str(answer["error"])
        best = min(best, gap_of(answer["theta"]))
        if best <= TARGET:
            return None
        if answer["wall"] > limit_s:
            break
    return f"reached only {best:.0e}"


def compare(shape_name: str, arguments: argparse.Namespace) -> None:
    import torch

    shape = SHAPES[shape_name]
    x_nd, y_n = data_of(shape_name, arguments.seed)
    ours = Ours(shape, x_nd, y_n)
    objective, least = ours.least(ours.fit()["theta"])

    def gap_of(theta: Any) -> float:
        with torch.inference_mode():
            theta_bkp = torch.as_tensor(theta, dtype=torch.float64).view(1, objective.problem.k, -1)
            return float((objective.smooth_value(theta_bkp).item() - least) / least)

    runners: list[Any] = [ours]
    print(f"\n{shape_name}: {shape.n:,} x {shape.d:,}, {shape.k} classes, seed {arguments.seed}")
    dtypes = ["float32", "float64"] if shape.n * shape.d <= 3e7 or shape.density < 1 else ["float32"]
    for name in (name for name in shape.peers if arguments.only is None or name in arguments.only):
        for dtype in dtypes[:1] if name == "h2o" else dtypes:
            peer = Peer(arguments.peers, name, shape_name, arguments.seed, dtype)
            reason = calibrate(peer, gap_of, arguments.limit)
            if reason is None:
                runners.append(peer)
            else:
                print(f"  {peer.name:28} left out: {reason}")
                peer.close()
    rounds: list[list[dict[str, Any]]] = [[runner.fit() for runner in runners] for _ in range(arguments.rounds)]
    tell(runners, rounds, gap_of)
    for peer in runners[1:]:
        peer.close()


def tell(runners: list[Any], rounds: list[list[dict[str, Any]]], gap_of: Any) -> None:
    def median(column: int, key: str) -> float:
        return statistics.median(answers[column][key] for answers in rounds)

    times = [median(i, "cpu") for i in range(len(runners))]
    print(f"  {'':28} {'wall s':>9} {'cpu s':>9} {'gap':>9} {'ratio':>7} {'MiB':>6}")
    for i, runner in enumerate(runners):
        last = rounds[-1][i]
        memory = max(answers[i]["mib"] for answers in rounds)
        print(
            f"  {runner.name:28} {median(i, 'wall'):9.4f} {times[i]:9.4f} {gap_of(last['theta']):9.1e} "
            f"{times[i] / times[0]:6.2f}x {memory:6.0f}  {last.get('about', '')}"
        )
    if len(runners) > 1:
        best = min(range(1, len(runners)), key=times.__getitem__)
        print(f"  against the best peer ({runners[best].name}): {times[best] / times[0]:.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shapes", nargs="+", choices=SHAPES)
    parser.add_argument("--peers", default=sys.executable, help="interpreter of the environment that has the peers")
    parser.add_argument("--only", nargs="*", help="these peers only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which a peer's ladder ends")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.shape = arguments.shapes[0]
    if arguments.serve:
        serve_peer(arguments)
        return
    for shape in arguments.shapes:
        compare(shape, arguments)


if __name__ == "__main__":
    main()
