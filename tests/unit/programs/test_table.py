# ruff: noqa: E501  a program, or a row of a table, is easier to read on one line
"""The table names what torch has, and nothing that reaches further."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import torch

from gradline.autograd import calls  # noqa: F401  fills the registry
from gradline.autograd.library import OPERATIONS, TENSOR_METHODS, VALUES
from gradline.autograd.registry import SPECIAL_FUNCTIONS
from gradline.programs import allowed, parse

SAFE_UNDERSCORED = {"_version", "_base", "__name__", "saved_tensors", "__version__"}


def test_every_entry_is_torchs_own() -> None:
    for name in [entry for entry in allowed.ENTRIES if entry.startswith("torch.")]:
        assert functools.reduce(getattr, name.split(".")[1:], torch) is not None, name
    assert set(allowed.METHODS["tensor"]) == set(TENSOR_METHODS)
    assert all(hasattr(torch.Tensor, name) for name in allowed.ATTRIBUTES["tensor"])


def test_every_function_and_constant_has_a_meaning_in_the_interpreter() -> None:
    known = set(OPERATIONS) | set(VALUES) | set(SPECIAL_FUNCTIONS)
    assert allowed.ENTRIES - known == set()


def test_no_member_with_underscores_but_the_known_ones() -> None:
    odd = {name for name in allowed.MEMBERS if name.startswith("_") and not name.startswith("_saved_")}
    assert odd <= SAFE_UNDERSCORED


def test_nothing_that_reads_memory_files_or_code_is_in_the_table() -> None:
    forbidden = {
        "empty",
        "load",
        "save",
        "compile",
        "hub",
        "ops",
        "_C",
        "jit",
        "from_file",
        "set_",
        "resize_",
        "apply_",
        "map_",
        "as_strided",
    }
    last = {name.rpartition(".")[2] for name in allowed.ENTRIES}
    assert not forbidden & (last | allowed.MEMBERS)


def test_the_language_is_parsed_without_torch() -> None:
    code = "import sys; from gradline.specs.autograd import AutogradSpec; AutogradSpec(program='x = torch.ones(1)'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_no_code_of_the_language_evaluates_text() -> None:
    for module in (allowed.__file__, parse.__code__.co_filename):
        for path in Path(module).parent.glob("*.py"):
            names = {
                node.func.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not names & {"eval", "exec", "compile", "getattr", "setattr", "__import__"}, path
