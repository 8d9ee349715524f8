"""A child that has come up loads, beside its work, what torch would load in the middle of a job."""

import os
import re
import subprocess
import sys

PROGRAM = """
import sys, threading
from gradline.worker.kinds import LOADED_LATE, warm_up

warm_up(1)
at_once = set(LOADED_LATE) & set(sys.modules)
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join(60)
print(at_once, set(LOADED_LATE) <= set(sys.modules))
"""


def test_what_optimizers_and_transforms_load_is_there_soon_and_not_waited_for() -> None:
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout == "set() True\n"


def test_threads_of_torch_wait_asleep() -> None:
    """Told by what they come from, as it is loaded."""
    program = "from gradline.worker.kinds import warm_up; warm_up(2)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"OMP_DISPLAY_ENV": "verbose"},
    )
    assert re.search(r"GOMP_SPINCOUNT *= *.0.", run.stderr)
