"""`make demo` as a new user sees it, in an empty folder and without a terminal."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.one_machine import BIN, environment, processes_of


@pytest.mark.timeout(600)
def test_the_demo_trains_two_models_and_shows_what_it_promises(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ran = subprocess.run(
        [BIN / "gradline", "demo"],
        env=environment(home, GRADLINE_PORT="0"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert_progress(ran.stderr)
    assert_results(ran.stdout)
    assert_plots(ran.stdout, tmp_path)
    assert "Both runs are in MLflow" in ran.stderr
    assert "/docs" in ran.stdout
    assert "/runs?workflowType=machine_learning" in ran.stdout
    assert processes_of(home) == [], "it has stopped cleanly"


def assert_progress(talk: str) -> None:
    assert "notes-logistic-regression: step 380" in talk
    assert "loss 0.04928  accuracy 0.995" in talk
    assert "renewals: succeeded: converged" in talk


def assert_results(data: str) -> None:
    """The numbers of issue 2, and the coefficients of the uploaded table by the names of its columns."""
    lines = [line.split() for line in data.splitlines()]
    assert "Target reached at step 380" in data
    assert ["accuracy", "0.995"] in lines
    assert ["x1", "-1.41394"] in lines
    assert ["x2", "-1.47688"] in lines
    assert ["(intercept)", "1.92616"] in lines
    assert "plan=family, monthly" in data, "a quoted field with a comma is one value"
    assert "contact=(missing)" in data, "a blank in a text column is a level of its own"


def assert_plots(data: str, folder: Path) -> None:
    paths = [folder / line for line in data.splitlines() if line.startswith("gradline-demo/")]
    assert {path.name for path in paths} >= {"loss.png", "accuracy.png", "confusion_matrix.png", "animation.gif"}
    for path in paths:
        signature = b"GIF8" if path.suffix == ".gif" else b"\x89PNG"
        assert path.read_bytes().startswith(signature), path
