"""What `gradline doctor` says of the workers of a stack that runs."""

import os
from pathlib import Path

import pytest

from gradline.cli.doctor import Finding, Verdict, look_at_processes, of_readiness
from gradline.embedded.home_lock import HomeLock, Running
from gradline.embedded.stack import log_of
from gradline.settings import Settings
from tests.integration.api.conftest import StartApi

NOBODY = "http://127.0.0.1:9"
TRACEBACK = """Traceback (most recent call last):
  File "tasks.py", line 1, in <module>
    import torch
ImportError: libtorch_cpu.so is not here
"""


@pytest.fixture
def home(tmp_path: Path, start_api: StartApi) -> Path:
    """Of a stack whose API runs and whose workers do not take jobs."""
    home = tmp_path / "stack"
    log_of(home, "worker-cpu").parent.mkdir(parents=True)
    HomeLock(home).announce(Running(os.getpid(), start_api().url, NOBODY))
    return home


def found_of(what: str, home: Path) -> Finding:
    (found,) = (finding for finding in look_at_processes(Settings(home=home)) if finding.what == what)
    return found


def test_what_the_api_can_serve_without_is_not_a_failure(home: Path) -> None:
    """MLflow may be away, or still start, and jobs run."""
    found = found_of("API", home)
    assert found.verdict is Verdict.WARN
    assert "mlflow" in found.detail


def test_what_the_api_cannot_serve_without_is_a_failure() -> None:
    mlflow = {"is_ok": False, "is_fatal": False, "detail": "away"}
    database = {"is_ok": False, "is_fatal": True, "detail": "away"}
    assert of_readiness(NOBODY, {"mlflow": mlflow, "database": database}).verdict is Verdict.FAIL


def test_a_worker_whose_children_fail_is_a_failure_told_with_the_error_of_its_log(home: Path) -> None:
    log_of(home, "worker-cpu").write_text(TRACEBACK)
    found = found_of("worker cpu", home)
    assert found.verdict is Verdict.FAIL
    assert found.detail == "takes no jobs: ImportError: libtorch_cpu.so is not here"
    assert found.mend == f"see {log_of(home, 'worker-cpu')}"


def test_a_worker_whose_children_still_come_up_is_not_a_failure_yet(home: Path) -> None:
    found = found_of("worker cpu", home)
    assert (found.verdict, found.detail) == (Verdict.WARN, "takes no jobs yet")
