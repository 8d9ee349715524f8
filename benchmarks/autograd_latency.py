"""Submit to result of a ten-line autograd program on a warm one-machine stack.

python benchmarks/autograd_latency.py
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from autograd_overhead import TEN_LINES
from warm_stack import stack_in, submit_and_wait, table

from gradline.embedded.stack import Stack

ROUNDS = 40
WISHES: dict[str, dict[str, Any]] = {
    "nothing but the trace": {"pictures": False, "gradient_checks": False, "symbolic": False},
    "with checks and symbols (aim: median under 150 ms)": {"pictures": False},
    "with pictures": {},
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gradline-benchmark-") as home, stack_in(Path(home)) as stack:
        for wishes in WISHES.values():  # what the child loads on its first program is not measured
            submit(stack, wishes)
        rows = []
        for name, wishes in WISHES.items():
            times = sorted(submit(stack, wishes) for _ in range(ROUNDS))
            median, late = statistics.median(times), times[int(0.95 * ROUNDS)]
            rows.append((name, f"median {median * 1e3:5.0f} ms   95 % under {late * 1e3:5.0f} ms"))
        table(f"a ten-line program, submit to result over REST ({ROUNDS} each)", rows)


def submit(stack: Stack, wishes: dict[str, Any]) -> float:
    """Seconds until the client has the result."""
    begun = time.perf_counter()
    job = submit_and_wait(stack, {"program": TEN_LINES, **wishes}, "autograd")
    taken = time.perf_counter() - begun
    assert job["result"]["outcome"] == "completed", job
    return taken


if __name__ == "__main__":
    main()
