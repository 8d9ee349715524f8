# ruff: noqa: BLE001, PT017, T201  a script that runs programs and prints what they do
"""Teaches hostile programs one after the other under an audit hook, in a throwaway process; prints how each one ended.

python -m tests.programs.run_hostile FIRST END
"""

import faulthandler
import json
import re
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from gradline.autograd.lesson import Wishes, teach
from gradline.autograd.limits import LimitReached, Limits
from gradline.autograd.pictures import draw_graph, draw_page
from gradline.programs import ProgramRejected, parse
from tests.programs.hostile import HOSTILE
from tests.programs.hostile_more import HOSTILE_MORE
from tests.programs.hostile_objects import OBJECTS
from tests.programs.hostile_wide import WIDE

ALL = [*HOSTILE, *HOSTILE_MORE, *WIDE, *OBJECTS]
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "shutil.",
    "os.chmod",
)
MAX_S = 25.0
"""A program that takes so long has hung; the process ends, and the test sees that the rest is missing."""
MAX_ADDRESS_BYTES = 12 << 30
"""The process may not take the machine with it."""
crossed: list[str] = []


def watch(event: str, args: tuple[object, ...]) -> None:
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if (writes and args[0] != "/proc/self/clear_refs") or event.startswith(FORBIDDEN):
        crossed.append(f"{event} {args!r}"[:200])


def ending_of(text: str) -> str:
    try:
        program = parse(text)
    except ProgramRejected as rejected:
        assert rejected.faults
        assert all(fault.line >= 1 and fault.column >= 1 and fault.reason for fault in rejected.faults)
        str(rejected).encode()
        return "rejected"
    try:
        result = teach(program, Limits(statements=3_000, seconds=3.0, memory_bytes=400 << 20), Wishes())
    except LimitReached as reached:
        return f"limit {reached.limit}"
    json.dumps(result, allow_nan=False).encode()
    page = draw_page(program.text, result)
    page.encode()
    draw_graph(result).encode()
    assert not re.search(r"</script><script>|<img src=x", page)
    return str(result["outcome"])


def state() -> dict[str, Any]:
    """All of torch's own state that a program could leave behind."""
    return {
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "print": vars(torch._tensor_str.PRINT_OPTS).copy(),
        "threads": torch.get_num_threads(),
        "random": torch.get_rng_state().sum().item(),
        "dual": torch.autograd.forward_ad._current_level,
        "functorch": torch._C._functorch.maybe_current_level(),
    }


def peak_bytes() -> int:
    return next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))


def resident_bytes() -> int:
    return next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    teach(parse("x = torch.ones(1, requires_grad=True)\nx.sum().backward()"), Limits())  # what torch loads late
    sys.addaudithook(watch)
    before = state()
    first, end = (int(given) for given in sys.argv[1:])
    for number, text in list(enumerate(ALL))[first:end]:
        crossed.clear()
        faulthandler.dump_traceback_later(MAX_S, exit=True)
        Path("/proc/self/clear_refs").write_text("5")
        began, resident = time.monotonic(), resident_bytes()
        try:
            ending = ending_of(text)
        except BaseException:
            ending = "crashed " + traceback.format_exc(limit=-3)
        seconds, grown = time.monotonic() - began, peak_bytes() - resident
        after = state()
        left = [f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]
        print(json.dumps([number, ending, seconds, grown >> 20, [*crossed, *left]]), flush=True)
