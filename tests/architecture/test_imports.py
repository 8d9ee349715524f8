"""What each process loads when it starts: torch costs seconds and hundreds of megabytes where it is not needed."""

import subprocess
import sys

import pytest

TORCH_FREE = ["gradline.api.main", "gradline.conductor.main", "gradline.worker.main", "gradline.cli.main"]
HEAVY = ("torch", "mlflow", "sklearn", "matplotlib", "pandas", "scipy")


@pytest.mark.parametrize("module", TORCH_FREE)
def test_starting_a_process_without_training_leaves_heavy_libraries_unimported(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


def test_the_drawing_lane_leaves_torch_unimported() -> None:
    code = "import sys, gradline.worker.tasks; print('torch' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.strip() == "False"
