"""What tracking costs a training, on a warm one-machine stack. Run: `python benchmarks/tracking.py`.

One child trains one job after another. In turns of a few seconds relay and MLflow are at work or stopped, and the time
of a training step is compared between each turn and its neighbour. What a stopped turn leaves undone is carried in
the next one at work, also what follows the end of a training, so the cost is if anything overstated.
"""

import argparse
import math
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from warm_stack import NOTES, family_of, signal_all, stack_in, table, training_child, used_s

from gradline.db.jobs import JobStore
from gradline.db.records import Job, NewJob
from gradline.db.session import Database
from gradline.embedded.stack import Stack
from gradline.errors import Conflict
from gradline.lanes import Doorbell
from gradline.settings import Settings
from gradline.specs import parse_spec
from gradline.status import EventKind

N_RESAMPLES = 10_000
QUEUED = 2
"""Jobs that wait, so that the child never does."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1200, help="of training in all")
    parser.add_argument("--turn-s", type=float, default=2.0, help="seconds at work, or stopped, at a time")
    parser.add_argument("--steps", type=int, default=20_000, help="of each training, some 0.3 ms each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gradline-benchmark-") as home, stack_in(Path(home)) as stack:
        measure(stack, arguments.seconds, arguments.turn_s, arguments.steps)


@dataclass
class Turn:
    """Some seconds in which relay and MLflow are either at work or stopped. Times in seconds."""

    is_on: bool
    begun: float
    ended: float = 0.0
    queued_s: float = 0.0
    """The training thread ready to run and without a processor."""
    tracking_s: float = 0.0
    """Processor time of relay and MLflow."""
    n_steps: int = 0
    training_s: float = 0.0
    """What these steps took, commits included."""


@dataclass
class Trainings:
    """Jobs for the one child, as many as it can take."""

    stack: Stack
    n_steps: int
    ids: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = JobStore(Database(Settings(home=self.stack.home).database))
        self._bell = Doorbell(f"unix://{next(self.stack.home.rglob('*.sock'))}")

    def feed(self) -> None:
        """See to it that some are queued."""
        for _ in range(QUEUED - len(self.jobs.list_jobs("local", status="queued", limit=QUEUED))):
            spec = NOTES | {
                "data": {"source": "blobs", "samples_per_class": 20_000},
                "stop": {"max_steps": self.n_steps},
                "seed": len(self.ids),
            }
            parsed = parse_spec("logistic-regression", spec).model_dump(mode="json")
            job, _ = self.jobs.submit(NewJob("local", "logistic-regression", parsed, "cpu", "-"))
            self.ids.append(job.id)
            self._bell.ring("cpu", 1)

    def end(self) -> list[Job]:
        """Cancel what is left; all that ran."""
        for job_id in self.ids[-QUEUED - 1 :]:
            with suppress(Conflict):  # it has ended
                self.jobs.cancel(job_id, "local")
        return [job for job_id in self.ids if (job := self.jobs.find(job_id)) and job.attempt]

    def commits(self, job: Job) -> Iterator[tuple[float, int]]:
        """When points of the job were committed, and the step that it had come to by then."""
        steps: dict[float, int] = {}
        after = 0
        while page := self.jobs.events(job.id, after):
            points = (event for event in page if event.kind is EventKind.METRIC)
            steps |= {event.created_at.timestamp(): event.data["step"] for event in points}
            after = page[-1].seq
        yield from sorted(steps.items())


def measure(stack: Stack, seconds: float, turn_s: float, n_steps: int) -> None:
    trainings = Trainings(stack, n_steps)
    load = os.getloadavg()[0]
    trainings.feed()
    turns = [take_turn(stack, trainings, turn_s, is_on=is_on) for is_on in order(seconds, turn_s)]
    for job in trainings.end():
        credit(turns, list(trainings.commits(job)))
    report(turns, f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after")


def order(seconds: float, turn_s: float) -> Iterator[bool]:
    """On, off, off, on: neither comes first more often."""
    for k in range(max(2, round(seconds / turn_s / 2))):
        yield from (k % 2 == 0, k % 2 == 1)


def take_turn(stack: Stack, trainings: Trainings, turn_s: float, *, is_on: bool) -> Turn:
    trainings.feed()
    tracking = [process for name in ("relay", "mlflow") for process in family_of(stack, name)]
    thread = Path(f"/proc/{training_child(stack).pid}/schedstat")  # of the main thread, which trains
    if is_on:
        signal_all(tracking, signal.SIGCONT)
    else:
        stop_all(stack, tracking)
    queued_s, used = _queued_s(thread), used_s(*tracking)
    turn = Turn(is_on, time.time())
    time.sleep(turn_s)
    turn.ended = time.time()
    turn.queued_s, turn.tracking_s = _queued_s(thread) - queued_s, used_s(*tracking) - used
    signal_all(tracking, signal.SIGCONT)
    return turn


def stop_all(stack: Stack, processes: list[psutil.Process]) -> None:
    """None of them falls asleep with the only pen of SQLite in its hand."""
    database = Database(Settings(home=stack.home).database)
    with database.write():
        signal_all(processes, signal.SIGSTOP)
    database.close()


def _queued_s(schedstat: Path) -> float:
    return int(schedstat.read_text().split()[1]) / 1e9


def credit(turns: list[Turn], commits: list[tuple[float, int]]) -> None:
    """Give what lies between two commits to the turn that saw all of it."""
    for (begun, first), (ended, last) in pairwise(commits):
        for turn in turns:
            if turn.begun <= begun and ended <= turn.ended:
                turn.n_steps += last - first
                turn.training_s += ended - begun


def report(turns: list[Turn], load: str) -> None:
    pairs = [sorted(pair, key=lambda turn: turn.is_on) for pair in zip(turns[::2], turns[1::2], strict=True)]
    pairs = [pair for pair in pairs if all(turn.n_steps for turn in pair)]
    off, on = ([pair[k] for pair in pairs] for k in (0, 1))

    def share(of: str, some: list[Turn]) -> str:
        return f"{sum(getattr(turn, of) for turn in some) / sum(turn.ended - turn.begun for turn in some):.2%}"

    table(
        f"cost of tracking: {len(pairs)} pairs of turns in trainings of 40,000 rows, {load}",
        [
            ("a step while both are stopped", f"{step_s(off) * 1e6:.1f} us"),
            ("a step while both are at work", f"{step_s(on) * 1e6:.1f} us"),
            ("the training thread waits for a processor, stopped", share("queued_s", off)),
            ("the same while both are at work", share("queued_s", on)),
            ("relay and MLflow use of a processor", share("tracking_s", on)),
            ("cost, mean of pairs (aim: under 2 %)", told(mean_cost(off, on))),
            ("cost, all steps over all time, by resampled pairs", told(total_cost(off, on))),
        ],
    )


def step_s(turns: list[Turn]) -> float:
    return sum(turn.training_s for turn in turns) / sum(turn.n_steps for turn in turns)


def mean_cost(off: list[Turn], on: list[Turn]) -> tuple[float, float, float]:
    """Geometric mean of the pairs' ratios less one, and its 95 % interval by the normal distribution."""
    logs = [math.log(step_s([b]) / step_s([a])) for a, b in zip(off, on, strict=True)]
    middle, half = statistics.mean(logs), 1.96 * statistics.stdev(logs) / math.sqrt(len(logs))
    low, mean, high = (math.expm1(middle + k * half) for k in (-1, 0, 1))
    return mean, low, high


def total_cost(off: list[Turn], on: list[Turn]) -> tuple[float, float, float]:
    """Ratio of the mean step times less one, and its 95 % interval by the bootstrap over pairs."""
    totals_kn = np.array([[turn.training_s for turn in on], [turn.n_steps for turn in on]])
    others_kn = np.array([[turn.training_s for turn in off], [turn.n_steps for turn in off]])
    n = len(on)
    drawn_bn = np.random.default_rng(0).integers(0, n, (N_RESAMPLES, n))

    def cost(rows: Any) -> Any:
        at_work, stopped = totals_kn[:, rows].sum(-1), others_kn[:, rows].sum(-1)
        return at_work[0] / at_work[1] / (stopped[0] / stopped[1]) - 1

    low, high = np.quantile(cost(drawn_bn), [0.025, 0.975])
    return float(cost(np.arange(n))), float(low), float(high)


def told(cost: tuple[float, float, float]) -> str:
    return "{:+.2%} ({:+.2%} to {:+.2%})".format(*cost)


if __name__ == "__main__":
    main()
