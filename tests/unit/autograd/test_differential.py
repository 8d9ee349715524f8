"""Every program of the grammar gives exactly torch's values, gradients, texts and errors; its lesson never fails."""

import json
import warnings
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

from gradline.autograd.pictures import draw_graph, draw_page
from tests.programs.generated import programs
from tests.unit.autograd.conftest import lesson, observe

SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=200, derandomize=True, **SLOW_IS_FINE)  # type: ignore[arg-type]
@given(text=programs())
def test_a_generated_program_does_what_plain_torch_does(
    text: str, plain_torch: Callable[[str], dict[str, Any]]
) -> None:
    assert observe(text) == plain_torch(text)


@settings(max_examples=100, derandomize=True, **SLOW_IS_FINE)  # type: ignore[arg-type]
@given(text=programs())
def test_a_generated_program_has_a_lesson_with_pictures(text: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        result = lesson(text)
    json.dumps(result, allow_nan=False)
    assert draw_graph(result).startswith("<svg")
    assert "</html>" in draw_page(text, result)
    unexplained = [c for c in result["gradient_checks"] if c["status"] == "differs" and "reason" not in c]
    assert unexplained == []
