"""Hostile programs end in a refusal, a named limit or an error of their own; reach nothing; leave nothing behind."""

import json
import subprocess
import sys

import pytest

from tests.programs.run_hostile import ALL

MAX_SECONDS = 25.0
"""With a limit of 3 s: what torch loads on first use, and one operation that nothing can interrupt, come on top."""
MAX_GROWTH_MIB = 800
"""With a limit of 400."""
N_PARTS = 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(N_PARTS))
def test_no_hostile_program_gets_out_hangs_grows_or_changes_what_the_next_one_finds(part: int) -> None:
    first, end = len(ALL) * part // N_PARTS, len(ALL) * (part + 1) // N_PARTS
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.programs.run_hostile", str(first), str(end)],
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    endings = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(endings) == end - first >= 100, f"{ALL[first + len(endings)][:200]!r}: {run.stderr[-2000:]}"
    for number, ending, seconds, grown_mib, left in endings:
        shown = f"{ALL[number][:100]!r}: {ending}"
        assert not ending.startswith("crashed"), shown
        assert left == [], f"{shown} {left}"
        assert seconds < MAX_SECONDS, shown
        assert grown_mib < MAX_GROWTH_MIB, f"{shown} {grown_mib} MiB"
