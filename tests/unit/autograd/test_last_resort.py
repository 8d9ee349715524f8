"""A program in a call that never gives up Python's lock takes its child with it, and nothing else does."""

import subprocess
import sys

HANG = "ctypes.PyDLL(None).sleep(120)"
"""Holds Python's lock: no thread, no signal handler and no limit of a program gets a turn."""
CHILD = """
import ctypes, sys, time
from gradline.specs import parse_spec
from gradline.worker.kinds import autograd
from tests.unit.autograd.test_kind import RecordingContext

class Context(RecordingContext):
    def raise_if_stopped(self):
        {inside}

autograd.OVERTIME_S = 0.5
spec = parse_spec("autograd", {{"program": "x = torch.ones(1)\\ny = x * 2", "limits": {{"seconds": 1.0}}}})
print(autograd.run(spec, Context())["outcome"], flush=True)
{after}
print("alive")
"""


def child(inside: str, after: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD.format(inside=inside, after=after)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_child_whose_program_holds_pythons_lock_ends_and_says_where() -> None:
    ended = child(inside=HANG, after="pass")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Timeout (0:00:01.5" in ended.stderr
    assert "raise_if_stopped" in ended.stderr


def test_a_child_lives_on_after_a_program_that_ended_in_time() -> None:
    ended = child(inside="pass", after="time.sleep(2.5)")
    assert (ended.returncode, ended.stdout) == (0, "completed\nalive\n")
