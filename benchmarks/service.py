"""What the service costs over the bare training, on a warm one-machine stack. Run: `python benchmarks/service.py`.

Every figure is a ratio or a difference against something measured in the same run, interleaved with it.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from warm_stack import NOTES, family_of, follow, signal_all, stack_in, submit_and_wait, table

from gradline.db.jobs import JobStore
from gradline.db.records import NewJob
from gradline.db.session import Database
from gradline.embedded.stack import Stack
from gradline.lanes import Doorbell
from gradline.settings import Settings
from gradline.specs import parse_spec

BARE_SCRIPT = """
import time, torch
torch.set_num_threads(1)
def fit(seed):
    torch.manual_seed(seed)
    ones = torch.ones(100, 2)
    x = torch.cat((torch.normal(1.7 * ones, 1) + 1, torch.normal(-1.7 * ones, 1) + 1))
    y = torch.cat((torch.zeros(100), torch.ones(100)))
    net, loss_of = torch.nn.Linear(2, 1), torch.nn.BCELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for step in range(1000):
        p = torch.sigmoid(net(x)).squeeze()
        loss = loss_of(p, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 and ((p >= 0.5).float() == y).float().mean().item() > 0.99:
            break
fit(10)
for _ in range(15):
    t = time.perf_counter()
    fit(10)
    print(time.perf_counter() - t, flush=True)
"""
BARE_LOOP = """
import sys, time
sys.path.insert(0, "benchmarks")
from fit_small import SilentAttempt
from gradline.specs import parse_spec
from gradline.worker.kinds import runner_of, warm_up
warm_up(1)
run, spec = runner_of("logistic-regression"), parse_spec("logistic-regression", {spec})
for _ in range(20):
    run(spec, SilentAttempt())
t = time.perf_counter()
for _ in range({n}):
    run(spec, SilentAttempt())
print(time.perf_counter() - t)
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=300, help="jobs for the throughput figure")
    parser.add_argument("--only", choices=["latency", "throughput"], help="one of the two figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gradline-benchmark-") as home, stack_in(Path(home)) as stack:
        if arguments.only in (None, "latency"):
            measure_latency(stack)
        if arguments.only in (None, "throughput"):
            measure_throughput(stack, arguments.jobs)


def measure_latency(stack: Stack) -> None:
    """Submit to `succeeded`, as the client sees it, against the training time of a plain script."""
    bare = subprocess.run([sys.executable, "-c", BARE_SCRIPT], capture_output=True, text=True, check=True).stdout
    bare_s = statistics.median(float(line) for line in bare.split())
    taken = []
    for _ in range(25):
        begun = time.perf_counter()
        submit_and_wait(stack, NOTES)
        taken.append(time.perf_counter() - begun)
    ours_s = statistics.median(taken)
    table(
        "the notes' job, plots off",
        [
            ("plain script, training only (median of 15)", f"{bare_s * 1e3:.1f} ms"),
            ("submit to succeeded over REST (median of 25)", f"{ours_s * 1e3:.1f} ms"),
            ("over the plain script (aim: under 100 ms)", f"{(ours_s - bare_s) * 1e3:+.1f} ms"),
            ("ratio to the plain script", f"{ours_s / bare_s:.2f}"),
        ],
    )


def measure_throughput(stack: Stack, n_jobs: int) -> None:
    """Jobs a second through one child against a loop that calls the same training function."""
    spec = NOTES | {"stop": {"max_steps": 50}, "report": {"every": 50, "plots": []}}
    loop = BARE_LOOP.format(spec=spec, n=n_jobs)
    bare_s = float(subprocess.run([sys.executable, "-c", loop], capture_output=True, text=True, check=True).stdout)
    ours_s = drain(stack, spec, n_jobs)
    table(
        f"{n_jobs} jobs of 50 steps, one child",
        [
            ("loop over the training function", f"{n_jobs / bare_s:.0f} a second"),
            ("through the queue, first start to last end", f"{n_jobs / ours_s:.0f} a second"),
            ("ratio (aim: at least 0.5)", f"{bare_s / ours_s:.2f}"),
        ],
    )


def drain(stack: Stack, spec: dict[str, Any], n_jobs: int) -> float:
    """Seconds from the first start to the last end of jobs that all wait before the worker is let go on."""
    settings = Settings(home=stack.home)
    jobs = JobStore(Database(settings.database))
    parsed = parse_spec("logistic-regression", spec).model_dump(mode="json")
    family = family_of(stack, "worker-cpu")
    signal_all(family, signal.SIGSTOP)
    submitted = [jobs.submit(NewJob("local", "logistic-regression", parsed, "cpu", "-"))[0].id for _ in range(n_jobs)]
    bell = Doorbell(f"unix://{next(stack.home.rglob('*.sock'))}")
    bell.ring("cpu", n_jobs)
    signal_all(family, signal.SIGCONT)
    for job_id in reversed(submitted):  # the last one ends last
        follow(stack, str(job_id))
    done = [job for i in submitted if (job := jobs.find(i))]
    first = min(job.started_at for job in done if job.started_at)
    last = max(job.finished_at for job in done if job.finished_at)
    return (last - first).total_seconds()


if __name__ == "__main__":
    main()
