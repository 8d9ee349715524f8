"""The whole of Gradline on one machine: which programs, on which ports, with which settings."""

import importlib.util
import math
import os
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gradline.db.migrations import upgrade
from gradline.db.session import Database
from gradline.db.workers import WorkerStore
from gradline.embedded.child import Program, last_error
from gradline.embedded.home_lock import HomeLock, Running
from gradline.embedded.mlflow_server import MLFLOW_PORT, mlflow_program
from gradline.embedded.ports import choose_port
from gradline.embedded.probes import answers_http, answers_socket
from gradline.embedded.redis_server import OwnRedis, given_redis, own_redis
from gradline.embedded.supervisor import Supervisor
from gradline.errors import DependencyDown
from gradline.settings import Settings

LOOPBACK = "127.0.0.1"
CPU_WORKER = "worker-cpu"
BESIDE = 5
"""Niceness of what must not slow training down: the relay, MLflow and the drawing of plots. Three to one against it;
with more they would take minutes to start on a busy machine."""
STOP_MARGIN_S = 5.0
"""What a worker gets to end beyond the grace that its own children have."""


WORKER_START_S = 30.0
"""Past it the others start beside the worker."""


@dataclass(frozen=True)
class Wishes:
    """What the caller of `gradline up` asked for."""

    port: int
    n_children: int
    mlflow_port: int = MLFLOW_PORT


class Stack:
    """`start`, then `stop`; in between it keeps itself going. Holds the lock of its data folder."""

    def __init__(self, settings: Settings, wishes: Wishes, announce: Callable[[str], None]) -> None:
        self.home = settings.home.absolute()
        self._settings = settings
        self._wishes = wishes
        self._announce = announce
        self._lock = HomeLock(self.home)
        self._supervisor: Supervisor | None = None
        self._database: Database | None = None
        self.url = ""
        self.mlflow_url = ""

    def lock(self) -> bool:
        """Take the data folder; False where another stack has it."""
        return self._lock.acquire()

    def start(self) -> None:
        """Returns once the processes are being started. Raises DependencyDown where something is missing."""
        self._choose_addresses()
        self._database = Database(self._settings.database, pool_size=1)
        upgrade(self._database)
        redis = given_redis(self._settings) or own_redis(self.home)
        redis_url = redis if isinstance(redis, str) else redis.url
        if "redis_url" in self._settings.model_fields_set and not isinstance(redis, str):
            self._announce(
                f"GRADLINE_REDIS_URL ({self._settings.redis_url}) does not answer; starting a Redis of our own"
            )
        programs = [*_redis_programs(redis), *self._programs(self._environment(redis_url))]
        self._supervisor = Supervisor(
            programs, self.home / "logs", self._settings.grace_s + STOP_MARGIN_S, self._announce
        )
        self._supervisor.start()
        self._lock.announce(Running(os.getpid(), self.url, self.mlflow_url))

    def wait_for_api(self, timeout_s: float, interrupted: threading.Event | None = None) -> bool:
        return self._running.wait_until_ready(["api"], timeout_s, interrupted)

    def wait_for_worker(self, interrupted: threading.Event | None = None) -> bool:
        """Whether jobs are taken, False on `interrupted`. Raises DependencyDown with the reason where none will be."""
        try:
            return self._running.wait_until_ready([CPU_WORKER], math.inf, interrupted)
        except DependencyDown as down:
            log = log_of(self.home, CPU_WORKER)
            reason = last_error(log) or "it ends without a word"
            raise DependencyDown(f"no worker starts, so jobs wait: {reason}; its log: {log}") from down

    def wait_for_mlflow(self, timeout_s: float, interrupted: threading.Event | None = None) -> bool:
        return self._running.wait_until_ready(["mlflow"], timeout_s, interrupted)

    def pids(self) -> dict[str, int]:
        return self._running.pids()

    def stop(self, hurry: threading.Event | None = None) -> None:
        if self._supervisor is not None:
            self._supervisor.stop(hurry)
            self._supervisor = None
        if self._database is not None:
            self._database.close()
            self._database = None
        self._lock.release()

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the stack has not been started")
        return self._supervisor

    def _choose_addresses(self) -> None:
        host = self._settings.host
        self._port = self._choose_port("API", host, self._wishes.port)
        self._mlflow_port = self._choose_port("MLflow", LOOPBACK, self._wishes.mlflow_port, {self._port})
        self.url = f"http://{_own_view(host)}:{self._port}"
        self.mlflow_url = f"http://{LOOPBACK}:{self._mlflow_port}"

    def _choose_port(self, what: str, host: str, wanted: int, taken: set[int] | None = None) -> int:
        port = choose_port(host, wanted, taken)
        if wanted and port != wanted:
            self._announce(f"port {wanted} is taken; {what} uses {port}")
        return port

    def _environment(self, redis_url: str) -> dict[str, str]:
        return {
            "GRADLINE_HOME": str(self.home),
            "GRADLINE_REDIS_URL": redis_url,
            "GRADLINE_HOST": self._settings.host,
            "GRADLINE_PORT": str(self._port),
            "GRADLINE_URL": self.url,
            "GRADLINE_MLFLOW_TRACKING_URI": self.mlflow_url,
            "PYTHONUNBUFFERED": "1",
        }

    def _programs(self, env: dict[str, str]) -> list[Program]:
        """First what the first job needs; the others leave it the processors until it can be trained."""
        url = self.url
        mlflow = mlflow_program(self.home / "mlflow", LOOPBACK, self._mlflow_port, after=("api", CPU_WORKER))
        for_training = [
            Program("api", _module("api"), env=env, is_ready=lambda: answers_http(f"{url}/livez")),
            self._worker("cpu", env, self._wishes.n_children),
            Program("conductor", _module("conductor"), ("api",), layer=2, env=env),
            *([self._worker("gpu", env, 1)] if has_cuda() else []),
        ]
        beside = [
            self._worker("drawing", env, 1, after=("api", CPU_WORKER)),
            Program("relay", _module("relay"), ("api", CPU_WORKER), layer=2, env=env),
            mlflow,
        ]
        return [*for_training, *(replace(program, niceness=BESIDE) for program in beside)]

    def _worker(self, lane: str, env: dict[str, str], n_children: int, after: tuple[str, ...] = ()) -> Program:
        name = f"worker-{lane}"
        return Program(
            name,
            [*_module("worker"), "--lane", lane],
            after,
            layer=2,
            env={**env, "GRADLINE_N_CHILDREN": str(n_children)},
            is_ready=lambda: self._is_listed(name),
            waited_for_s=WORKER_START_S,
        )

    def _is_listed(self, name: str) -> bool:
        """Whether the worker has said that it takes jobs."""
        if self._database is None or (pid := self.pids().get(name)) is None:
            return False
        try:
            alive = WorkerStore(self._database).list_alive()
        except DependencyDown:
            return False
        return any(worker.pid == pid and worker.hostname == self._settings.hostname for worker in alive)


def log_of(home: Path, program: str) -> Path:
    """Where a program of the stack on that data folder writes."""
    return home / "logs" / f"{program}.log"


def default_children() -> int:
    """One core is left to the API, the relay and MLflow; every child holds a torch of its own in memory."""
    return min(4, max(1, (os.cpu_count() or 1) - 1))


def has_cuda() -> bool:
    """Whether this machine shows an NVIDIA device and the installed torch can use one; without importing torch."""
    has_device = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    spec = importlib.util.find_spec("torch")
    if not has_device or spec is None or spec.origin is None:
        return False
    return any((Path(spec.origin).parent / "lib").glob("libtorch_cuda*"))


def _redis_programs(redis: str | OwnRedis) -> list[Program]:
    if isinstance(redis, str):
        return []
    socket = str(redis.socket)
    return [Program("redis", redis.command, layer=0, is_ready=lambda: answers_socket(socket))]


def _module(process: str) -> list[str]:
    return [sys.executable, "-m", f"gradline.{process}.main"]


def _own_view(host: str) -> str:
    """The address under which this machine reaches what listens on `host`."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104  compared, not bound
        return LOOPBACK
    return f"[{host}]" if ":" in host else host
