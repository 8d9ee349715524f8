"""Text for terminals: nothing of a user's may drive them."""

import pytest
from rich.console import Console
from rich.text import Text

from gradline.cli.display import PlainDisplay
from gradline.cli.results import print_job, print_result
from gradline.cli.terminal import clean, duration, number, print_facts, say, write_table
from gradline.cli.view import JobView


def test_control_characters_of_others_are_replaced() -> None:
    assert clean("red\x1b[31m\x07 alert\x9b2J") == "red�[31m� alert�2J"
    assert clean("two\nlines\tand a tab, ümläut") == "two\nlines\tand a tab, ümläut"


def test_markup_in_a_users_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold red]boo[/] :smile:")
    assert capsys.readouterr().err == "[bold red]boo[/] :smile:\n"


def test_a_table_without_a_terminal_is_whole_lines_without_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("name", "n"), [("x" * 200, "1"), ("[b]", Text("22"))], numeric=[1])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "name" + " " * 199 + "n"
    assert second == "x" * 200 + "   1"
    assert third.split() == ["[b]", "22"]


def test_an_address_is_not_folded_however_narrow_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    address = "http://127.0.0.1:5000/#/experiments/1/runs/" + "a" * 32
    print_facts(Console(width=40, force_terminal=True), [("MLflow", address), ("日本", Text("ok"))])
    assert capsys.readouterr().out.splitlines() == [f"MLflow  {address}", "日本    ok"]


@pytest.mark.parametrize(
    ("outcome", "said"), [("step_limit", "Step limit reached"), ("early_stopped", "Stopped early")]
)
def test_an_ending_is_said_as_people_would(outcome: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"outcome": outcome, "steps": 7})
    assert capsys.readouterr().out == f"{said} at step 7\n"


def test_an_ending_names_the_step_whose_parameters_were_kept(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"outcome": "early_stopped", "steps": 1200, "best_step": 0, "objective": 0.5})
    assert capsys.readouterr().out == "Stopped early at step 1,200, parameters of step 0; objective 0.5\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0492769766, "0.049277"), (1234567, "1,234,567"), (None, "–"), (1e-12, "1e-12"), ("a\x1b", "a�")],
)
def test_numbers_have_six_digits(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.44, "0.4 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3725, "1 h 02 min"), (None, "–")]
)
def test_durations_are_as_people_say_them(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_several_classes_make_a_column_each(capsys: pytest.CaptureFixture[str]) -> None:
    coefficients = [
        {"feature": feature, "class": name, "estimate": estimate}
        for name, estimates in (("cat", (1.0, 2.0)), ("dog", (3.0, 4.0)))
        for feature, estimate in zip(("age", "weight"), estimates, strict=True)
    ]
    intercepts = [{"class": "cat", "estimate": 5.0}, {"class": "dog", "estimate": 6.0}]
    print_result({"outcome": "converged", "steps": 7, "coefficients": coefficients, "intercepts": intercepts})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["Converged", "at", "step", "7"]
    assert lines[2:] == [["feature", "cat", "dog"], ["age", "1", "3"], ["weight", "2", "4"], ["(intercept)", "5", "6"]]


def test_errors_of_estimates_are_shown_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "feature": "age",
        "estimate": 1.0,
        "std_error": 0.25,
        "z": 4.0,
        "p_value": 6e-5,
        "ci_low": 0.5,
        "ci_high": 1.5,
    }
    print_result({"coefficients": [row], "classes": {"names": ["no", "yes"], "positive": "yes"}})
    out = capsys.readouterr().out
    assert "std. error" in out
    assert "0.5 … 1.5" in out
    assert "Class 1 is 'yes'." in out


def test_advice_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"outcome": "step_limit", "steps": 10, "advice": "raise stop.max_steps"})
    assert capsys.readouterr().out.splitlines() == ["Step limit reached at step 10", "raise stop.max_steps"]


def test_a_program_that_is_explained_has_no_lines_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    display, view = PlainDisplay(), JobView("1", "lesson.py", step=1)
    display.update(view)
    view.status = "succeeded"
    display.update(view)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_a_job_is_a_line_now_and_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    display, view = PlainDisplay(), JobView("1", "fit", step=0, total_steps=100, loss=0.7, rate=9.0)
    display.update(view)
    view.step = 20
    display.update(view)  # too soon after the first
    view.step, view.status, view.loss = 40, "succeeded", 0.25
    display.update(view)
    assert capsys.readouterr().err.splitlines() == ["fit: step 0/100  loss 0.7", "fit: step 40  loss 0.25"]


def test_an_infinite_estimate_is_called_so_and_the_fit_says_how_good_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "outcome": "separated",
        "steps": 3,
        "certificate": {"relative_gap": 2.5e-9, "method": "duality_gap"},
        "coefficients": [
            {"feature": "a", "estimate": 18.3, "infinite": "inf"},
            {"feature": "b", "estimate": -9.1, "infinite": "-inf"},
            {"feature": "c", "estimate": 0.5},
        ],
        "intercepts": [{"estimate": 1.0}],
        "inference": {"withheld": "the rows can be separated", "confidence": 0.95},
    }
    print_result(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "The objective is within a relative 2.5e-09 of its minimum, by the duality gap"
    assert [line.split() for line in lines[4:7]] == [["a", "infinite"], ["b", "−infinite"], ["c", "0.5"]]
    assert lines[-1] == "No standard errors: the rows can be separated."


def test_intervals_are_headed_by_the_confidence_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    line = {"feature": "a", "estimate": 1.0, "std_error": 0.1, "ci_low": 0.7, "ci_high": 1.3}
    print_result({"coefficients": [line], "inference": {"confidence": 0.995}})
    assert "99.5 % interval" in capsys.readouterr().out


def test_terms_of_several_coefficients_and_marginal_effects_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"std_error": 0.1, "z": 5.0, "p_value": 1e-6, "ci_low": 0.3, "ci_high": 0.7}
    age = {"term": "age", "df": 1, "chi2": 25.0, "p_value": 1e-6}
    city = {"term": "city", "df": 2, "chi2": 7.5, "p_value": 0.0235}
    told = {
        "coefficients": [{"feature": "age", "estimate": 0.5} | numbers],
        "inference": {"terms": [age, city], "marginal_effects": [{"feature": "age", "effect": 0.125} | numbers]},
    }
    print_result(told)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-7:-3] == [
        [],
        ["term", "df", "chi²", "p"],
        ["age", "1", "25", "1e-06"],
        ["city", "2", "7.5", "0.0235"],
    ]
    assert lines[-2] == ["feature", "marginal", "effect", "std.", "error", "z", "p", "95", "%", "interval"]
    assert lines[-1] == ["age", "0.125", "0.1", "5", "1e-06", "0.3", "…", "0.7"]
    told["inference"] = {"terms": [age]}
    print_result(told)
    assert "chi²" not in capsys.readouterr().out


def test_what_the_rows_could_not_tell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    copies = [{"feature": f"c{i}", "estimate": 1.0, "undetermined": "collinear"} for i in range(7)]
    lines = [
        {"feature": "a", "estimate": 1.0, "std_error": 0.1},
        {"feature": "b", "estimate": 0.0, "undetermined": "constant"},
    ]
    print_result({"coefficients": lines + copies, "intercepts": [{"estimate": 1.0}], "n_without_target": 12})
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "Rows left out, because the target has no value: 12.",
        "Not determined by the rows (constant): b.",
        "Not determined by the rows (collinear): c0, c1, c2, c3, c4 and 2 more.",
    ]


def test_coefficients_at_a_bound_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"feature": f, "estimate": 0.5, "at_bound": at} for f, at in (("a", "at_least"), ("b", "at_most"))]
    print_result({"coefficients": [*lines, {"feature": "c", "estimate": 1.0}]})
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "At the least that model.bounds or non_negative allow: a.",
        "At the most that model.bounds allow: b.",
    ]


def test_what_was_chosen_for_the_fit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "coefficients": [{"feature": "a", "estimate": 1.0}],
        "decision": {"threshold": 0.25, "chosen_for": {"metric": "recall", "at_least": 0.9}},
        "path": {"strength": 0.125, "folds": 5, "choose": "one_standard_error"},
    }
    print_result(result)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Class 1 is predicted from 0.25 on, chosen for a recall of at least 0.9.",
        "The penalty's strength is 0.125, chosen by 5 folds (one standard error).",
    ]


def test_a_job_is_shown_with_what_was_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"outcome": "converged", "warnings": [{"code": "weights_count_rows", "message": "multiply\x1b[31m them"}]}
    print_job({"id": "1", "kind": "logistic-regression", "status": "succeeded", "result": result})
    assert "warning: multiply�[31m them" in capsys.readouterr().out
