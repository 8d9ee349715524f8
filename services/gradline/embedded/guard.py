"""Ends what a supervisor has left behind, should it be killed itself: `python -I -S guard.py GRACE_S`.

The supervisor writes `+PGID` and `-PGID` lines as process groups begin and end. When its end of the pipe closes,
whatever is still listed gets SIGTERM, then SIGKILL after the grace. After a clean stop nothing is listed.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

POLL_S = 0.05


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = read_groups(sys.stdin)
    # On Linux the kernel has already sent SIGTERM (launch.py); a second one would make a worker stop less gently.
    if sys.platform != "linux":
        signal_groups(groups, signal.SIGTERM)
    wait_for_groups(groups, float(sys.argv[1]))
    signal_groups(groups, signal.SIGKILL)


def read_groups(lines: Iterable[str]) -> set[int]:
    groups: set[int] = set()
    for line in lines:
        pgid = int(line[1:])
        if line.startswith("+"):
            groups.add(pgid)
        else:
            groups.discard(pgid)
    return groups


def wait_for_groups(groups: set[int], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while any(group_exists(pgid) for pgid in groups) and time.monotonic() < end:
        time.sleep(POLL_S)


def signal_groups(groups: set[int], number: int) -> None:
    for pgid in groups:
        try:
            os.killpg(pgid, number)
        except (ProcessLookupError, PermissionError):
            continue


def group_exists(pgid: int) -> bool:
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


if __name__ == "__main__":
    main()
