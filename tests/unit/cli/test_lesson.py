"""The annotated listing of an autograd program."""

from pathlib import Path
from typing import Any

import pytest

from gradline.cli.jobs import read_body
from gradline.cli.results import print_result

W = {"data": [1.0], "requires_grad": True, "grad_fn": None}
RESULT: dict[str, Any] = {
    "outcome": "raised",
    "lines": [
        {"line": 1, "source": "w = …", "changes": [{"kind": "assigned", "name": "w", "tensor": W}]},
        {
            "line": 2,
            "source": "y.backward()",
            "changes": [{"kind": "grad", "name": "w", "before": None, "after": [5.0]}],
        },
        {"line": 3, "source": "print(w.grad)", "changes": [], "printed": "tensor([5.])\n"},
        {"line": 4, "source": "y.backward()", "changes": [], "raised": True},
    ],
    "error": {"line": 4, "type": "RuntimeError", "message": "a second time", "diagnosis": "freed", "mend": "retain it"},
    "hints": [{"line": 2, "code": "x", "text": "zero it"}],
    "gradient_checks": [{"status": "agrees"}, {"status": "agrees"}],
    "gradient_checks_left_out": {"n": 3, "reason": "the time was over"},
    "symbolic": [{"of": "w", "expression": "w**2", "derivative": "2*w"}],
}


def test_a_lesson_is_listed_line_by_line_with_what_each_changed(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT)
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert shown[:6] == [
        "1  w = …",
        "│ w = [1]  leaf, requires grad",
        "2  y.backward()",
        "│ w.grad: None → [5]",
        "3  print(w.grad)",
        "> tensor([5.])",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "assigned", "name": "step", "value": {"type": "int", "value": 0}}, "step = 0"),
        ({"kind": "assigned", "name": "key", "value": {"type": "str", "value": "w"}}, "key = 'w'"),
        ({"kind": "assigned", "name": "g", "value": {"type": "UserFunction", "value": "f"}}, "g = f"),
        ({"kind": "assigned", "name": "opt", "value": {"type": "Adam"}}, "opt = Adam"),
        ({"kind": "assigned", "name": "both", "value": {"type": "tuple", "length": 2}}, "both = tuple of 2"),
        ({"kind": "changed in place", "name": "w", "tensor": W, "version_before": 1}, "w changed in place: [1]  leaf"),
        ({"kind": "requires_grad", "name": "w", "before": False, "after": True}, "w.requires_grad: False → True"),
        ({"kind": "condition", "value": True}, "the condition is True"),
        ({"kind": "deleted", "name": "w"}, "w deleted"),
    ],
)
def test_a_change_is_told_in_the_words_of_the_program(
    change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result({"lines": [{"line": 1, "source": "…", "changes": [change]}]})
    assert f"│ {said}" in capsys.readouterr().out


def test_a_lesson_ends_with_the_error_its_cause_its_mend_and_the_checks(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT)
    out = capsys.readouterr().out
    told = (
        "Line 4 raised RuntimeError: a second time",
        "freed",
        "retain it",
        "line 2: zero it",
        "2*w",
        "2 agrees; 3 not checked: the time was over",
    )
    for text in told:
        assert text in out, text


def test_a_python_file_is_submitted_as_a_program(tmp_path: Path) -> None:
    program = tmp_path / "two_backwards.py"
    program.write_text("x = torch.ones(1)\n")
    assert read_body(str(program)) == {
        "kind": "autograd",
        "name": "two_backwards.py",
        "spec": {"program": "x = torch.ones(1)\n"},
    }
