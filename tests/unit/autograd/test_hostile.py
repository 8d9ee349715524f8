"""Hostile programs end in a refusal, a named limit or an error of their own, and reach nothing outside."""

import json
import subprocess
import sys

from tests.programs.hostile import HOSTILE

MAX_SECONDS = 20.0


def test_no_hostile_program_gets_out_hangs_or_breaks_the_interpreter() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.programs.run_hostile"],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    endings = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(endings) == len(HOSTILE) >= 100, run.stderr[-2000:]
    for number, ending, seconds, crossed in endings:
        shown = f"{HOSTILE[number][:100]!r}: {ending}"
        assert not ending.startswith("crashed"), shown
        assert crossed == [], f"{shown} {crossed}"
        assert seconds < MAX_SECONDS, shown
