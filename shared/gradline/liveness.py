"""Whether a process without a port is still turning: its loop touches a file, a health check reads the file's age.

`python -m gradline.liveness conductor` exits 0 while the conductor on this machine (or in this container) turns.
"""

import sys
import tempfile
import time
from pathlib import Path

MAX_AGE_S = 60.0


def beat(process: str) -> None:
    _file(process).touch()


def is_alive(process: str, max_age_s: float = MAX_AGE_S) -> bool:
    try:
        return time.time() - _file(process).stat().st_mtime < max_age_s
    except FileNotFoundError:
        return False


def _file(process: str) -> Path:
    return Path(tempfile.gettempdir()) / f"gradline-{process}.alive"


if __name__ == "__main__":
    sys.exit(0 if is_alive(sys.argv[1]) else 1)
