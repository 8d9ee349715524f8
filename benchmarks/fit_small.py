"""A small job through the kind's runner, without queue or database, against the plain script of the notes.

Processor time of one thread, so that other work on the machine matters little.
Run: `OMP_NUM_THREADS=1 python benchmarks/fit_small.py`
"""

import statistics
import time
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any

import torch

from gradline.specs import parse_spec
from gradline.worker.kinds import logistic_regression

N_ROUNDS = 15


class SilentAttempt:
    """Takes everything and keeps nothing."""

    job = SimpleNamespace(lane="cpu")
    store = None
    warnings = MappingProxyType[str, str]({})

    def latest_checkpoint(self) -> None:
        return None

    def tick_is_due(self) -> bool:
        return False

    def checkpoint_is_due(self, every_s: float) -> bool:  # noqa: ARG002
        return False

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def plain_script(n_steps: int) -> None:
    torch.manual_seed(10)
    ones = torch.ones(100, 2)
    x = torch.cat((torch.normal(1.7 * ones, 1) + 1, torch.normal(-1.7 * ones, 1) + 1))
    y = torch.cat((torch.zeros(100), torch.ones(100)))
    net, criterion = torch.nn.Linear(2, 1), torch.nn.BCELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(n_steps):
        loss = criterion(torch.sigmoid(net(x)).squeeze(), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def our_job(n_steps: int, attempt: Any) -> None:
    spec = {
        "solver": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
        "stop": {"max_steps": n_steps},
        "report": {"plots": []},
        "seed": 10,
    }
    logistic_regression.run(parse_spec("logistic-regression", spec), attempt)


def median_ms(call: Callable[[], None]) -> float:
    times = []
    for _ in range(N_ROUNDS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    attempt = SilentAttempt()
    our_job(1, attempt)
    plain_script(1)
    print(f"{'steps':>6} {'plain script':>14} {'our job':>10} {'ratio':>7}   (200 x 2, ms, median of {N_ROUNDS})")
    for n_steps in (50, 1000):
        plain, ours = median_ms(lambda n=n_steps: plain_script(n)), median_ms(lambda n=n_steps: our_job(n, attempt))
        print(f"{n_steps:>6} {plain:>14.1f} {ours:>10.1f} {plain / ours:>6.1f}x")


if __name__ == "__main__":
    main()
