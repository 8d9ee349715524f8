"""A one-machine stack with one warm child, and what every benchmark over REST does with it."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil

from gradline.embedded.stack import Stack, Wishes
from gradline.settings import Settings

NOTES: dict[str, Any] = {
    "data": {"source": "blobs"},
    "solver": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
    "stop": {"max_steps": 1000, "accuracy_above": 0.99},
    "report": {"every": 20, "plots": []},
    "seed": 10,
}


@contextmanager
def stack_in(home: Path) -> Iterator[Stack]:
    stack = Stack(Settings(home=home), Wishes(port=0, n_children=1, mlflow_port=0), lambda line: print(f"  ({line})"))
    stack.lock()
    stack.start()
    try:
        assert stack.wait_for_api(120)
        assert stack.wait_for_mlflow(300)
        for seed in range(5):  # the child is warm when the first figure is taken
            submit_and_wait(stack, NOTES | {"seed": seed})
        wait_until_carried(stack)
        yield stack
    finally:
        stack.stop()


@functools.cache
def client_of(url: str) -> httpx2.Client:
    """One for all requests: making one takes as long as some jobs."""
    return httpx2.Client(base_url=url, trust_env=False, timeout=120)


def submit_and_wait(stack: Stack, spec: dict[str, Any], kind: str = "logistic-regression") -> dict[str, Any]:
    """However long it takes."""
    client, body = client_of(stack.url), {"kind": kind, "spec": spec}
    response = client.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}).raise_for_status()
    if response.status_code == httpx2.codes.ACCEPTED:
        response = follow(stack, response.json()["id"])
    job: dict[str, Any] = response.json()
    assert job["status"] == "succeeded", job
    return job


def follow(stack: Stack, job_id: str) -> httpx2.Response:
    """The job once it has ended, and with it the stream of its events."""
    client, path = client_of(stack.url), f"/v1/jobs/{job_id}"
    with client.stream("GET", f"{path}/events", timeout=None) as events:
        for _ in events.iter_lines():
            pass
    return client.get(path).raise_for_status()


def wait_until_carried(stack: Stack) -> None:
    jobs = functools.partial(client_of(stack.url).get, "/v1/jobs?limit=100")
    wait_until(lambda: all(job["mlflow"]["synced"] for job in jobs().json()["items"]))


def wait_until(condition: Callable[[], Any], timeout_s: float = 600.0) -> None:
    """For what nobody is told of; of jobs there are streams and `Prefer: wait`."""
    stop_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < stop_at, f"not so after {timeout_s:.0f} s"
        time.sleep(0.05)


def family_of(stack: Stack, program: str) -> list[psutil.Process]:
    first = psutil.Process(stack.pids()[program])
    return [first, *first.children(recursive=True)]


def training_child(stack: Stack) -> psutil.Process:
    """The one child that trains."""
    (child,) = (process for process in family_of(stack, "worker-cpu") if "spawn_main" in " ".join(process.cmdline()))
    return child


def used_s(*processes: psutil.Process) -> float:
    """Processor time."""
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


def signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        process.send_signal(number)


def training_s(job: dict[str, Any]) -> float:
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()


def table(title: str, rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
