"""Predictions as CSV, a line a row."""

from typing import Any

import pytest

from gradline.cli.jobs import show_predictions
from gradline.cli.output import Output

ANSWER: dict[str, Any] = {
    "target": "ill",
    "class_names": ["no", "yes"],
    "classes": ["yes", "no"],
    "probabilities": [[0.25, 0.75], [0.5, 0.5]],
    "values": None,
    "interval": None,
    "contributions": None,
}
INTERVAL = {
    "confidence": 0.9, "df": None, "std_errors": [0.1, 0.2], "low": [0.7, 0.4], "high": [0.8, None],
    "observation_low": None, "observation_high": None,
}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], **more: Any) -> list[str]:
    show_predictions(ANSWER | more, Output.TABLE)
    return capsys.readouterr().out.splitlines()


def test_classes_have_their_probabilities(capsys):
    assert shown(capsys) == ["ill,probability of no,probability of yes", "yes,0.25,0.75", "no,0.5,0.5"]


def test_numbers_have_their_values_and_what_was_asked_for(capsys):
    told = {"terms": ["age", "city"], "base": [1.5], "rows": [[[0.5, 0.0]], [[-1.0, 2.0]]]}
    numbers = {"class_names": None, "classes": None, "probabilities": None, "values": [3.0, None]}
    observed = INTERVAL | {"observation_low": [0.0, 0.1], "observation_high": [1.0, 2.0]}
    (header, *rows) = shown(capsys, **numbers, interval=observed, contributions=told)
    names = ["ill", "standard error", "interval low", "interval high", "observation low", "observation high"]
    assert header.split(",") == [*names, "base", "contribution of age", "contribution of city"]
    assert rows == [
        "3.0,0.1,0.7,0.8,0.0,1.0,1.5,0.5,0.0",
        ",0.2,0.4,,0.1,2.0,1.5,-1.0,2.0",
    ]


def test_two_classes_have_intervals_of_the_second_and_several_have_contributions_each(capsys):
    assert shown(capsys, interval=INTERVAL)[0].endswith("yes,standard error,interval low,interval high")
    told = {"terms": ["age"], "base": [1.0, 2.0], "rows": [[[0.5], [0.25]], [[3.0], [4.0]]]}
    (header, first, _) = shown(capsys, contributions=told)
    assert header.endswith("base to no,contribution of age to no,base to yes,contribution of age to yes")
    assert first == "yes,0.25,0.75,1.0,0.5,2.0,0.25"
