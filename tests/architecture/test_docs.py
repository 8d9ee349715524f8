"""The documents say what the code says."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from gradline import errors
from gradline.lanes import Lane
from gradline.settings import Settings
from gradline.specs import KINDS
from gradline.specs.logistic_regression import LogisticRegressionSpec
from gradline.status import EventKind, JobStatus

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_setting_is_documented_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(GRADLINE_\w+)` \| (.*?) \|", (DOCS / "settings.md").read_text(), re.M))
    assert listed.keys() == {f"GRADLINE_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default_factory is None:
            shown = "empty" if field.default in ("", None) else f"`{field.default}`"
            assert listed[f"GRADLINE_{name.upper()}"] == shown, name


def test_the_settings_page_says_what_the_code_says_of_each_setting() -> None:
    text = (DOCS / "settings.md").read_text()
    tree = ast.parse((ROOT / "shared/gradline/settings.py").read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    for field, doc in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(doc, ast.Expr), f"{field.target.id} has no docstring"
            assert isinstance(doc.value, ast.Constant)
            assert " ".join(str(doc.value.value).split()) in text, field.target.id


def test_every_state_and_event_is_on_the_page_of_states() -> None:
    text = (DOCS / "job-states.md").read_text()
    for word in [*JobStatus, *EventKind]:
        assert f"`{word}`" in text, word


def test_the_glossary_knows_every_word_that_a_job_can_show() -> None:
    text = (DOCS / "glossary.md").read_text()
    solvers = get_args(LogisticRegressionSpec.model_fields["solver"].annotation)
    named = [get_args(solver.model_fields["name"].annotation)[0] for solver in solvers]
    for word in [*Lane, *KINDS, *named]:
        assert f"`{word}`" in text or word == "auto", word


def test_no_module_has_a_name_that_says_nothing() -> None:
    avoided = {"manager", "helper", "helpers", "utils", "util", "common", "misc"}
    modules = [path.stem for top in ("shared", "services", "workers") for path in (ROOT / top).rglob("*.py")]
    assert avoided.isdisjoint(modules)


def _error_classes() -> list[type[errors.GradlineError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [value for value in found if issubclass(value, errors.GradlineError)]


def test_the_tree_in_the_errors_module_is_the_real_one() -> None:
    drawn = re.findall(r"^ {4}([│ ]*(?:[├└]── )?)([A-Z]\w+)", errors.__doc__ or "", re.M)
    depths = {name: len(indent) // 4 for indent, name in drawn}
    assert depths == {cls.__name__: len(cls.__mro__) - 4 for cls in _error_classes()}


@pytest.mark.parametrize("cls", _error_classes(), ids=lambda cls: cls.__name__)
def test_every_error_is_on_the_page_of_errors(cls: type[errors.GradlineError]) -> None:
    assert f"`{cls.__name__}`" in (DOCS / "errors.md").read_text()


def test_every_decision_has_its_four_parts() -> None:
    for page in (DOCS / "decisions").glob("*.md"):
        text = page.read_text()
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"**{part}.**" in text, f"{page.name}: {part}"


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
