"""A child that has come up loads, beside its work, what torch would load in the middle of a job."""

import subprocess
import sys

PROGRAM = """
import sys, time
from gradline.worker.kinds import LOADED_LATE, warm_up

warm_up(1)
at_once, deadline = LOADED_LATE in sys.modules, time.monotonic() + 60
while not hasattr(sys.modules.get(LOADED_LATE), "graph_break") and time.monotonic() < deadline:
    time.sleep(0.05)
print(at_once, LOADED_LATE in sys.modules)
"""


def test_the_compiler_that_optimizers_load_is_there_soon_and_not_waited_for() -> None:
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout == "False True\n"
