"""The MLflow server of the stack: SQLite and a folder behind it, two processes, on loopback only."""

import sqlite3
import sys
from pathlib import Path

from gradline.embedded.child import Program
from gradline.embedded.probes import answers_http

MLFLOW_PORT = 5000
"""MLflow's usual port."""


def mlflow_program(folder: Path, host: str, port: int, after: tuple[str, ...] = ()) -> Program:
    """Keeps everything in `folder`. The slowest of all to start, and nothing waits for it, so it starts last."""
    (folder / "artifacts").mkdir(parents=True, exist_ok=True)
    database = folder / "mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--serve-artifacts"]
    command += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    command += ["--allowed-hosts", f"{host}:{port},localhost:{port}"]
    # With job execution on, MLflow is ten processes and 1.4 GB instead of two and 0.6 GB.
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return Program(
        "mlflow",
        command,
        after=after,
        env=env,
        prepare=lambda: set_aside_unfinished(database),
        is_ready=lambda: _is_ready(f"http://{host}:{port}/health", database),
    )


def set_aside_unfinished(database: Path) -> None:
    """Move a database out of the way that MLflow was still creating when it was stopped: it cannot go on from there.

    Such a one was never served, as the mark that `_is_ready` leaves would say, and holds no run.
    """
    if not database.exists() or _mark(database).exists() or _holds_runs(database):
        return
    for path in (database, *(database.with_name(database.name + end) for end in ("-journal", "-wal", "-shm"))):
        if path.exists():
            path.replace(path.with_name(path.name + ".unfinished"))


def _is_ready(health_url: str, database: Path) -> bool:
    if not answers_http(health_url):
        return False
    _mark(database).touch()
    return True


def _mark(database: Path) -> Path:
    return database.with_suffix(".complete")


def _holds_runs(database: Path) -> bool:
    connection = sqlite3.connect(database)
    try:
        return connection.execute("select 1 from runs limit 1").fetchone() is not None
    except sqlite3.OperationalError:  # no such table
        return False
    finally:
        connection.close()
