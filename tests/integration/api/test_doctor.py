"""What `gradline doctor` says of the workers of a stack that runs."""

import os
from pathlib import Path

import pytest

from gradline.cli.doctor import Finding, Verdict, look_at_processes
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


def of_cpu_worker(home: Path) -> Finding:
    (found,) = (finding for finding in look_at_processes(Settings(home=home)) if finding.what == "worker cpu")
    return found


def test_a_worker_whose_children_fail_is_a_failure_told_with_the_error_of_its_log(home: Path) -> None:
    log_of(home, "worker-cpu").write_text(TRACEBACK)
    found = of_cpu_worker(home)
    assert found.verdict is Verdict.FAIL
    assert found.detail == "takes no jobs: ImportError: libtorch_cpu.so is not here"
    assert found.mend == f"see {log_of(home, 'worker-cpu')}"


def test_a_worker_whose_children_still_come_up_is_not_a_failure_yet(home: Path) -> None:
    found = of_cpu_worker(home)
    assert (found.verdict, found.detail) == (Verdict.WARN, "takes no jobs yet")
