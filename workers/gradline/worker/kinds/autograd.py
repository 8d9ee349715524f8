"""Runs an `autograd` job: interprets the program, tells its lesson, draws its pictures."""

import json
from typing import Any

from gradline.autograd.lesson import Wishes, teach
from gradline.autograd.limits import LimitReached, Limits
from gradline.autograd.pictures import draw_graph, draw_page
from gradline.errors import PermanentError
from gradline.specs.autograd import AutogradSpec
from gradline.specs.base import Spec
from gradline.worker.context import AttemptContext
from gradline.worker.last_resort import ended_after

MAX_LINES = 500
"""Executed lines in the job's result; trace.json has them all."""
OVERTIME_S = 60.0
"""After a program's time, for its checks and mends; what takes longer hangs in a call that nothing interrupts."""


def run(spec: Spec, ctx: AttemptContext) -> dict[str, Any]:
    """The result of the job; its files are saved on the way."""
    assert isinstance(spec, AutogradSpec)  # noqa: S101  the registry pairs kinds and specs
    with ended_after(spec.limits.seconds + OVERTIME_S):
        lesson = _teach(spec, ctx)
    ctx.progress(lesson["n_statements"], lesson["n_statements"])
    trace = {"program": spec.program, **lesson}
    ctx.save_artifact("trace.json", json.dumps(trace, allow_nan=False).encode(), "application/json")
    if spec.pictures:
        ctx.save_artifact("graph.svg", draw_graph(lesson).encode(), "image/svg+xml", kind="plot")
        ctx.save_artifact("steps.html", draw_page(spec.parsed.text, lesson).encode(), "text/html", kind="plot")
    return _shortened(lesson)


def drawings(spec: Spec, result: dict[str, Any]) -> list[str]:  # noqa: ARG001  the pictures are drawn by `run` itself
    """None: a program's pictures take milliseconds."""
    return []


def _teach(spec: AutogradSpec, ctx: AttemptContext) -> dict[str, Any]:
    limits = Limits(
        statements=spec.limits.statements,
        tensor_elements=spec.limits.tensor_elements,
        memory_bytes=spec.limits.memory_mib << 20,
        seconds=spec.limits.seconds,
    )
    wishes = Wishes(spec.gradient_checks, spec.symbolic, spec.seed)
    n_statements = 0

    def step() -> None:
        nonlocal n_statements
        n_statements += 1
        ctx.raise_if_stopped()
        if ctx.tick_is_due():
            ctx.tick({"step": n_statements})

    try:
        return teach(spec.parsed, limits, wishes, step)
    except LimitReached as reached:
        raise PermanentError(reached.message, code="limit_reached", limit=reached.limit, line=reached.line) from reached


def _shortened(lesson: dict[str, Any]) -> dict[str, Any]:
    n_more = len(lesson["lines"]) - MAX_LINES
    if n_more <= 0:
        return lesson
    return lesson | {"lines": lesson["lines"][:MAX_LINES], "n_lines_left_out": lesson["n_lines_left_out"] + n_more}
