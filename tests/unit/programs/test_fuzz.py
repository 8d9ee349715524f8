# ruff: noqa: E501, PT017  rows of pieces are easier to read on one line; a refusal is one of two good ends
"""A minute of new texts against the parser and its checks, other ones each time: none crashes it, none finds a way out.

A failure prints the text, made as small as it gets, and the seed; `FUZZ_SEED=<seed> pytest <this file>` finds it again.
"""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradline.programs import ProgramRejected, expressions, parse
from gradline.programs import statements as s
from gradline.programs.allowed import ENTRIES, MEMBERS
from tests.programs.generated import programs
from tests.programs.run_hostile import ALL

FUZZ_S = 60.0
SLOWEST_S = 5.0
"""A text that takes longer than this hangs the API; most take a millisecond."""
N_PER_ROUND = 500
SNIPPETS = sorted((Path(__file__).parents[2] / "programs" / "snippets").glob("*.py"))
LINES = sorted({line for path in SNIPPETS for line in path.read_text().split("\n")} | {t for t in ALL if len(t) < 300})
PIECES = [
    *"()[]{}:,.=+-*/@%&|^~<>;\\'\"#`$?!\n\t\0\r\f ", "**", "//", ":=", "->", "!=", "<<", "...", "'''", "\n    ", "\u202e", "\ufeff",
    "lambda", "yield", "await", "async", "class A:", "def f(", "for x in", "if", "else", "import", "from", "with", "try:", "except",
    "global", "nonlocal", "del", "match", "case", "type", "__class__", "__init__", "super()", "getattr(", "f'{", "'%s' %", ".format(",
    "torch", "nn.Module", ".grad", ".backward()", "x", "w", "1e999", "0x", "9" * 50, "None", ">>> ", "In [1]: ", "```", "𝓮", "ｅ", "é",
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Lines of snippets and attacks, whole programs, or heaps of pieces; cut, doubled and spliced at random places."""
    lines = st.lists(st.sampled_from(LINES), min_size=1, max_size=12).map("\n".join)
    heap = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=60).map(" ".join)
    text = draw(lines | programs() | heap | st.text(max_size=200))
    for _ in range(draw(st.integers(0, 6))):
        at, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        piece = draw(st.sampled_from(PIECES) | st.sampled_from(LINES) | st.just(text[at:end]))
        text = text[:at] + piece + text[draw(st.sampled_from([at, end])) :]
    return text


def parts(value: Any) -> Iterator[s.Node]:
    """Every node of a program."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, s.Node):
            yield part
        if isinstance(part, tuple):
            waiting.extend(part)
        elif is_dataclass(part):
            waiting.extend(getattr(part, field.name) for field in fields(part))


def check(text: str) -> None:
    """Refused with lines and reasons, or a program that names nothing but the table and its own."""
    began = time.monotonic()
    try:
        program = parse(text)
    except ProgramRejected as rejected:
        assert rejected.faults
        assert all(fault.line >= 1 and fault.column >= 1 and fault.reason for fault in rejected.faults)
    else:
        for part in parts(program.body):
            if isinstance(part, s.Entry | s.Name):
                name = part.name if isinstance(part, s.Entry) else part.fallback
                assert name in {*ENTRIES, "...", None, "super", "getattr", "hasattr", "setattr"}, name
            elif isinstance(part, s.Attribute):
                assert part.name in {*MEMBERS, "__init__"} or not part.name.startswith("__"), part.name
    assert time.monotonic() - began < SLOWEST_S


def fuzz(seed: int, n_examples: int, *phases: Phase) -> None:
    """Checks a number of texts, those that follow from the seed."""

    def told(text: str) -> None:
        try:
            check(text)
        except BaseException as error:
            error.add_note(f"the text is {text!r}, again with FUZZ_SEED={seed}")
            raise

    quiet = settings(
        max_examples=n_examples, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )
    hypothesis.seed(seed)(quiet(given(text=texts())(told)))()


def test_no_new_text_crashes_the_parser_or_names_what_the_table_does_not() -> None:
    given_seed = os.environ.get("FUZZ_SEED")
    if given_seed is not None:
        fuzz(int(given_seed), N_PER_ROUND, Phase.generate, Phase.shrink)
        return
    ends_at = time.monotonic() + FUZZ_S
    while time.monotonic() < ends_at:
        fuzz(random.SystemRandom().randrange(1 << 32), N_PER_ROUND, Phase.generate, Phase.shrink)


def test_a_crash_planted_in_the_parser_is_found_and_told_with_its_text_and_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(expressions.OPERATORS, "MatMult")
    with pytest.raises(KeyError, match="MatMult") as caught:
        fuzz(1, 20 * N_PER_ROUND, Phase.generate)
    note = caught.value.__notes__[0]
    assert "@" in note
    assert note.endswith("again with FUZZ_SEED=1")


class _Anything(frozenset[str]):
    """A table in which every name stands."""

    def __contains__(self, _name: object) -> bool:
        return True


def test_a_way_out_planted_in_the_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the check; of the lines that texts are made of, since how long a search takes is chance."""
    monkeypatch.setattr("gradline.programs.names.MEMBERS", _Anything())
    with pytest.raises(AssertionError, match="__"):
        list(map(check, LINES))
