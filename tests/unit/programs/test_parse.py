"""Text becomes a program, or is refused with line, column and what is allowed instead."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradline.programs import ProgramFault, ProgramRejected, parse
from gradline.programs.limits import MAX_BRACKETS, MAX_CHARACTERS, MAX_DEPTH, MAX_FAULTS
from tests.programs.generated import programs


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ProgramRejected) as caught:
        parse(text)
    return [(fault.line, fault.column, fault.reason) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("w = torch.ones(1)\ny = w.grad\ngrad.zero_()", 3, 1, "`grad` is not defined; did you mean `w.grad.zero_()`?"),
        ("w = torch.ones(1, requires_grad=True)\ngrad.zero_()", 2, 1, "did you mean `w.grad.zero_()`?"),
        ("x = torch.tensor(1., requires_gard=True)", 1, 22, "did you mean `requires_grad`?"),
        ("x = torch.sigmiod(y)\ny = 1", 1, 5, "did you mean `torch.sigmoid`?"),
        ("x = torch.ones(1)\nx.bakward()", 2, 1, "did you mean `.backward`?"),
        ("weight = torch.ones(1)\nwieght.sum()", 2, 1, "`wieght` is not defined; did you mean `weight`?"),
        ("import numpy as np\nx = np.load('f')", 2, 5, "`numpy.load` is not one of the functions"),
        ("import os\nos.getcwd()", 2, 1, "a program has no files and no system"),
        ("import ctypes", 1, 1, "a program may import collections, copy"),
        ("class Net(torch.nn.Linear):\n    pass", 1, 11, "cannot derive from `torch.nn.Linear`; it can from"),
        ("class Net(nn.Module):\n    def __reduce__(self):\n        pass", 2, 5, "without leading underscores"),
        ("getattr(torch.ones(1), '__dict__')", 1, 1, "`.__dict__` is not one of the attributes"),
        ("getattr(torch.ones(1), 'a' + 'b')", 1, 1, "a name written out"),
        ("x = [1]\nx.append(open('f'))", 2, 10, "a program has no files"),
        ("x = ().__class__", 1, 5, "`.__class__` is not one of the attributes"),
        ("print(f'{1:>9999}')", 1, 7, "over the limit"),
        ("x = (1", 1, 5, "'(' was never closed"),
        ("print(“hello”)", 1, 7, "curly quotes"),
        ("%run other.py", 1, 1, "notebook"),
        ("for i in range(3):\n    pass\nbreak", 3, 1, "in a loop"),
        ("x = 1\u200b", 1, 6, "U+200B"),
        ("x = torch.ones(2)\nx.foo = 1", 2, 1, "what can: `.data`, `.grad`, `.requires_grad`"),
    ],
)
def test_a_fault_names_line_column_and_what_is_allowed(text: str, line: int, column: int, says: str) -> None:
    found = faults(text)
    assert found[0][:2] == (line, column)
    assert says in found[0][2]


def test_every_fault_is_listed_in_order_up_to_a_limit() -> None:
    assert [line for line, _, _ in faults("a = b\nc = torch.foo()\nd = e.grad")] == [1, 2, 3]
    assert len(faults("\n".join(f"x{i} = y{i}" for i in range(99)))) == MAX_FAULTS


@pytest.mark.parametrize(
    "text",
    [
        "    x = 1\n    y = 2",
        "x = 1\n    y = 2\n    z = 3",
        "\n\n        # far\n  # near\n      x = 1\n      for i in range(2):\n          y = i\n# none\n      z = 1",
        "```python\nx = 1\n```",
        "x\u00a0=\u00a01",
        "x = 1\r\ny = 2\r\n",
        "\ufeffx = 1",
        ">>> x = 1\n>>> x\n1\n>>> for i in range(2):\n...     y = i\n...\n",
        "In [1]: x = 1\nIn [2]: x\nOut[2]: 1",
    ],
)
def test_text_as_it_is_pasted_is_taken(text: str) -> None:
    assert parse(text).body


def test_a_column_counts_in_the_text_as_it_was_sent() -> None:
    assert faults("    x = 1\n    y = zz")[0][:2] == (2, 9)
    assert faults(">>> x = zz")[0][:2] == (1, 9)
    assert faults("x = 'ü' + zz")[0][:2] == (1, 11)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1" + " " * MAX_CHARACTERS, "characters; the limit is"),
        ("x = " + "[" * (MAX_BRACKETS + 1) + "]" * (MAX_BRACKETS + 1), "brackets within one another"),
        ("x = 1" + "+1" * MAX_DEPTH, "parts within one another"),
        ("x = [" + "1," * 2_000 + "]", "words and signs in one line"),
        ("x=1;" * 4_000, "words and signs"),
        ("", "there is no statement"),
        ("# only a comment", "there is no statement"),
        ("x = " + "9" * 2_000, "digits"),
    ],
)
def test_bounds_of_the_text_are_told(text: str, says: str) -> None:
    assert says in faults(text)[0][2]


_PIECES = st.sampled_from(
    [
        "x",
        "y",
        "=",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        ".",
        "+",
        "-",
        "**",
        "@",
        "lambda",
        "for",
        "in",
        "if",
        "else",
        "def",
        "class",
        "import",
        "from",
        "with",
        "as",
        "try",
        "except",
        "del",
        "global",
        "not",
        "and",
        "or",
        "is",
        "return",
        "yield",
        "await",
        "async",
        "torch",
        "F",
        "nn",
        "grad",
        "backward",
        "__class__",
        "print",
        "f'{x}'",
        "'%s'",
        '"{}"',
        "1",
        "2.",
        "1e9",
        "0x1",
        "None",
        "True",
        "...",
        "\\",
        "\n",
        "\t",
        "#",
        ">>>",
        "```",
        ";",
        ":=",
        "->",
        "~",
        "%",
        "&",
        "|",
        "^",
        "<",
        ">",
        "!=",
        "==",
        "'a'",
        "\xa0",
        "ü",
        "ｅ",
        "𝓮",
        "\u202e",
        "\x00",
        "'''",
    ]
)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    text=st.lists(_PIECES, max_size=60).flatmap(lambda ps: st.sampled_from([" ".join(ps), "".join(ps), "\n".join(ps)]))
)
def test_any_heap_of_tokens_is_parsed_or_refused(text: str) -> None:
    _parsed_or_refused(text)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(text=st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    _parsed_or_refused(text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=programs(), cut=st.integers(0, 400), insert=st.text(max_size=5), at=st.integers(0, 400))
def test_a_damaged_program_is_parsed_or_refused(text: str, cut: int, insert: str, at: int) -> None:
    _parsed_or_refused(text[:at] + insert + text[at:][:cut])


def _parsed_or_refused(text: str) -> None:
    rejected: list[ProgramFault] = []
    try:
        program = parse(text)
    except ProgramRejected as error:
        rejected = error.faults
    else:
        assert program.body
        assert len(program.shifts) == len(program.text.split("\n"))
        return
    n_lines = len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    assert rejected
    assert all(1 <= fault.line <= n_lines and fault.column >= 1 for fault in rejected)
