"""What a worker says it runs on, found without torch: the parent process must not import it."""

import platform
import subprocess
from functools import cache
from pathlib import Path

from gradline.lanes import Lane


@cache
def device_of(lane: str) -> str:
    return _gpu_name() if lane == Lane.GPU else _cpu_name()


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"cpu: {line.split(':', 1)[1].strip()}"
    return f"cpu: {platform.processor() or platform.machine()}"


def _gpu_name() -> str:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "cuda: unknown"
    return "cuda: " + ", ".join(names.split("\n")).strip(", ")
