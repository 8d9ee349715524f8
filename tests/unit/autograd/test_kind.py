# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""The kind's runner: result, files, stops and limits."""

import gc
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gradline.autograd.record.trace import Trace
from gradline.errors import CancelRequested, InvalidInput, PermanentError
from gradline.specs import parse_spec
from gradline.worker.kinds.autograd import MAX_LINES, run


class RecordingContext:
    """The parts of an attempt that a program uses; a test reads them afterwards."""

    job = SimpleNamespace(lane="cpu")

    def __init__(self, stop_after: int | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.ticks: list[Mapping[str, Any]] = []
        self.steps: list[tuple[int, int]] = []
        self._left = stop_after

    def raise_if_stopped(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise CancelRequested("cancelled")

    def tick_is_due(self) -> bool:
        return True

    def tick(self, values: Mapping[str, Any]) -> None:
        self.ticks.append(values)

    def progress(self, step: int, total_steps: int, eta_s: float | None = None) -> None:
        self.steps.append((step, total_steps))

    def save_artifact(
        self, name: str, data: bytes, media_type: str, kind: str = "table", step: int | None = None
    ) -> None:
        self.files[name] = data


def work(program: str, context: RecordingContext, **more: Any) -> dict[str, Any]:
    return run(parse_spec("autograd", {"program": program, **more}), context)  # type: ignore[arg-type]


def test_an_object_of_a_class_of_the_program_is_told_by_that_class() -> None:
    program = "class XOR(nn.Module):\n    def forward(self, x):\n        return x\nmodel = XOR()\nx = torch.ones(1, requires_grad=True)"
    lines = work(program, RecordingContext())["lines"]
    (change,) = next(line["changes"] for line in lines if line["source"] == "model = XOR()")
    assert change["value"] == {"type": "XOR"}


def test_the_result_has_the_fields_that_others_rely_on() -> None:
    context = RecordingContext()
    result = work("x = torch.tensor(3., requires_grad=True)\ny = x ** 2\ny.backward()\nprint(x.grad)", context)
    assert result["outcome"] == "completed"
    assert result["printed"] == [{"line": 4, "text": "tensor(6.)\n"}]
    assert [line["line"] for line in result["lines"]] == [1, 2, 3, 4]
    assert result["tensors"]["x"] == {
        "value": 3.0, "grad": 6.0, "requires_grad": True, "is_leaf": True, "grad_fn": None, "shape": [], "dtype": "float32", "version": 0,
    }  # fmt: skip
    assert result["tensors"]["y"]["grad_fn"] == "PowBackward0"
    assert [node["kind"] for node in result["graph"]["nodes"]] == ["operation", "leaf"]
    assert "error" not in result


def test_the_files_are_the_trace_the_graph_and_the_page() -> None:
    context = RecordingContext()
    work("x = torch.tensor(3., requires_grad=True)\nx.sin().backward()", context)
    assert set(context.files) == {"trace.json", "graph.svg", "steps.html"}
    assert json.loads(context.files["trace.json"])["outcome"] == "completed"
    work("x = 1", context := RecordingContext(), pictures=False)
    assert set(context.files) == {"trace.json"}


def test_a_program_whose_lesson_is_an_error_succeeds() -> None:
    result = work("x = torch.ones(2, requires_grad=True)\nx.backward()", RecordingContext())
    assert (result["outcome"], result["error"]["type"]) == ("raised", "RuntimeError")


def test_a_stop_ends_the_program_between_statements() -> None:
    context = RecordingContext(stop_after=50)
    with pytest.raises(CancelRequested):
        work("try:\n    while True:\n        pass\nexcept:\n    pass", context)
    assert context.files == {}
    assert context.ticks[-1] == {"step": 50}


def test_a_limit_fails_the_job_and_is_named() -> None:
    with pytest.raises(PermanentError, match=r"line 2: more than 40 statements were executed") as caught:
        work("while True:\n    pass", RecordingContext(), limits={"statements": 40})
    assert (caught.value.code, caught.value.details) == ("limit_reached", {"limit": "statements", "line": 2})


@pytest.mark.parametrize(
    "call",
    [
        "sum([q.sum() for q in p]).backward()",
        "torch.autograd.grad(sum([q.sum() for q in p]), p)",
        "[setattr(q, 'grad', torch.ones(1).expand(10**6)) for q in p] and torch.optim.Adam(p).step()",
    ],
)
def test_what_one_call_is_about_to_take_is_refused_before_it(call: str) -> None:
    takes_nothing = "p = [torch.ones(1).expand(10**6).requires_grad_() for i in range(30)]"
    with pytest.raises(PermanentError, match="line 2: the program needs more than") as caught:
        work(f"{takes_nothing}\n{call}", RecordingContext(), limits={"memory_mib": 64})
    assert caught.value.details == {"limit": "memory_bytes", "line": 2}


def test_many_lines_are_cut_in_the_result_and_kept_in_the_trace() -> None:
    context = RecordingContext()
    result = work("for i in range(400):\n    x = i", context)
    assert (len(result["lines"]), result["n_lines_left_out"]) == (MAX_LINES, 800 - MAX_LINES)
    assert len(json.loads(context.files["trace.json"])["lines"]) == 800


def test_a_program_leaves_torchs_settings_as_it_found_them() -> None:

    before = (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        repr(torch.tensor(1 / 3)),
    )
    work(
        "torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\ntorch.manual_seed(5)\ntorch.set_printoptions(precision=1)\n"
        "torch.autograd.set_detect_anomaly(True)\nx = torch.rand(2)",
        RecordingContext(),
    )
    assert before == (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        repr(torch.tensor(1 / 3)),
    )
    assert not torch.is_anomaly_enabled()


def test_the_same_seed_draws_the_same_numbers() -> None:
    first, again = (work("x = torch.randn(3)", RecordingContext(), seed=4)["tensors"] for _ in range(2))
    assert first == again != work("x = torch.randn(3)", RecordingContext(), seed=5)["tensors"]


def test_a_bad_program_is_refused_at_submit_with_every_fault() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_spec("autograd", {"program": "w = torch.ones(1)\nprint(w.grad)\ngrad.zero_()\nw.foo"})
    assert [(fault.field, fault.value, fault.reason.split(": ")[0]) for fault in caught.value.faults] == [
        ("spec.program", "grad.zero_()", "line 3, column 1"),
        ("spec.program", "w.foo", "line 4, column 1"),
    ]


def test_a_program_leaves_no_record_behind() -> None:
    program = "x = torch.ones(9, requires_grad=True)\ny = x.exp()\nh = y.register_hook(lambda g: g)\ny.sum().backward()\ny.sum().backward()"
    before = _ids_of_traces()
    work(program, RecordingContext())
    assert _ids_of_traces() <= before


def _ids_of_traces() -> set[int]:
    """Of the records that are alive: other tests may hold some."""
    gc.collect()
    return {id(found) for found in gc.get_objects() if type(found) is Trace}
