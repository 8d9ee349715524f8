"""Runs a command that dies with its parent. Started by path, with the standard library alone: it costs milliseconds.

`python -I -S launch.py PARENT_PID NICENESS COMMAND...`
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
AUTOGROUP = "/proc/self/autogroup"
TRIES = 50


def give_way(niceness: int) -> None:
    """Let other programs go first by so much.

    Where Linux shares the processors among sessions first, as it does by default, the niceness of a process counts only
    within its session. Each program of the stack has a session of its own, so the session gets it too.
    """
    os.nice(niceness)
    for _ in range(TRIES):
        try:
            with open(AUTOGROUP, "w") as session:
                session.write(str(niceness))
        except BlockingIOError:
            time.sleep(0.05)  # the kernel takes ten of these a second
        except OSError:
            return  # no sharing among sessions here
        else:
            return


def main() -> None:
    parent, niceness, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if niceness:
        give_way(niceness)
    if sys.platform == "linux":
        # SIGTERM and not SIGKILL: a worker then checkpoints its jobs and takes its own children along.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606  what this file is for


if __name__ == "__main__":
    main()
