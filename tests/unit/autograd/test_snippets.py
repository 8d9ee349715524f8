"""Snippets of tutorials run as they stand, and print what plain torch prints, to the byte."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradline.programs import parse
from tests.unit.autograd.conftest import lesson, observe

FOLDER = Path(__file__).parents[2] / "programs" / "snippets"
OWN_BACKWARD = {"custom_clip", "custom_reverse_gradient"}
"""Snippets that teach a backward which is not the derivative, on purpose: the check tells."""
SNIPPETS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.stem)
def test_a_snippet_prints_and_leaves_what_plain_torch_does(
    path: Path, plain_torch: Callable[[str], dict[str, Any]]
) -> None:
    text = path.read_text()
    assert observe(text) == plain_torch(as_script(text))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.stem)
def test_the_lesson_of_a_snippet_is_plain_json_and_no_gradient_differs_unexplained(path: Path) -> None:
    result = lesson(path.read_text())
    json.dumps(result, allow_nan=False)
    differing = [c for c in result["gradient_checks"] if c["status"] == "differs" and "reason" not in c]
    assert bool(differing) == (path.stem in OWN_BACKWARD)


def as_script(text: str) -> str:
    """What the parser makes of pasted text, so that plain Python takes it too; a transcript shows its expressions."""
    program = parse(text)
    if not program.is_transcript:
        return textwrap.dedent(program.text)
    typed = f"for line in {program.text!r}.split('\\n') + ['']:\n    shell.push(line)\n"
    return f"import code\nshell = code.InteractiveConsole(globals())\n{typed}"
