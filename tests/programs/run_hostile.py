# ruff: noqa: BLE001, PT017, T201  a script that runs programs and prints what they do
"""Teaches every hostile program under an audit hook, in a throwaway process; prints how each one ended."""

import faulthandler
import json
import sys
import time
import traceback

from gradline.autograd.lesson import Wishes, teach
from gradline.autograd.limits import LimitReached, Limits
from gradline.programs import ProgramRejected, parse
from tests.programs.hostile import HOSTILE

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
MAX_S = 60.0
"""A program that takes so long has hung; the process ends, and the test sees that the rest is missing."""
crossed: list[str] = []


def watch(event: str, args: tuple[object, ...]) -> None:
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event.startswith(FORBIDDEN):
        crossed.append(f"{event} {args!r}"[:200])


def ending_of(text: str) -> str:
    try:
        program = parse(text)
    except ProgramRejected as rejected:
        assert rejected.faults
        assert all(fault.line >= 1 and fault.column >= 1 and fault.reason for fault in rejected.faults)
        return "rejected"
    try:
        result = teach(program, Limits(statements=3_000, seconds=3.0, memory_bytes=400 << 20), Wishes(symbolic=False))
    except LimitReached as reached:
        return f"limit {reached.limit}"
    json.dumps(result, allow_nan=False)
    return str(result["outcome"])


if __name__ == "__main__":
    teach(parse("x = torch.ones(1, requires_grad=True)\nx.sum().backward()"), Limits())  # what torch loads late
    sys.addaudithook(watch)
    for number, text in list(enumerate(HOSTILE))[int(sys.argv[1]) if sys.argv[1:] else 0 :]:
        crossed.clear()
        faulthandler.dump_traceback_later(MAX_S, exit=True)
        began = time.monotonic()
        try:
            ending = ending_of(text)
        except BaseException:
            ending = "crashed " + traceback.format_exc(limit=-3)
        print(json.dumps([number, ending, time.monotonic() - began, crossed]), flush=True)
