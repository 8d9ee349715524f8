"""Runs a command that dies with its parent. Started by path, with the standard library alone: it costs milliseconds.

`python -I -S launch.py PARENT_PID NICENESS COMMAND...`
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, niceness, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    os.nice(niceness)
    if sys.platform == "linux":
        # SIGTERM and not SIGKILL: a worker then checkpoints its jobs and takes its own children along.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606  what this file is for


if __name__ == "__main__":
    main()
