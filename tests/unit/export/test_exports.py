"""Models in other formats say what the scorecard says, on rows with missing values and unseen levels."""

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from sqlalchemy import create_engine, text

from gradline.export import checking, exporting
from gradline.export.checking import Disagreement, check_sql, onnx_inputs
from gradline.export.onnx_model import write_onnx
from gradline.export.sql import write_sql
from gradline.relay.served import ServedModel
from gradline.scoring import FORMAT, VERSION, RowsRefused, Scorecard

FAMILIES = ["binomial", "multinomial", "gaussian", "log-linear", "poisson"]
LEVELS = ["Ulm", "O'Hara", 'a "b"', "(missing)", "é"]


def finite(bound: float) -> st.SearchStrategy[float]:
    return st.floats(-bound, bound, allow_nan=False).map(lambda v: round(v, 3))


@st.composite
def models(draw: st.DrawFn, refusing: bool = True) -> dict[str, Any]:
    """Any scorecard: numbers, booleans, levels, indicators, interactions of all sorts, an offset."""
    family = draw(st.sampled_from(FAMILIES))
    k = 3 if family == "multinomial" else 1

    def weights() -> list[float]:
        return [draw(finite(3)) for _ in range(k)]

    def stand_in(levels: list[str]) -> str | None:
        choices: list[str | None] = list(levels)
        return draw(st.sampled_from([*choices, None] if refusing else choices))

    inputs: list[dict[str, Any]] = []
    for i in range(draw(st.integers(1, 2))):
        fill = draw(finite(5)) if not refusing or draw(st.booleans()) else None
        inputs.append({"column": f'x "{i}"', "type": draw(st.sampled_from(["number", "boolean"])), "fill": fill})
    for i in range(draw(st.integers(0, 2))):
        levels = draw(st.lists(st.sampled_from(LEVELS), min_size=2, max_size=4, unique=True))
        stands = {"missing": stand_in(levels), "unseen": stand_in(levels)}
        inputs.append({"column": f"t{i}", "type": "text", "levels": levels, **stands})

    def main(column: dict[str, Any]) -> list[dict[str, Any]]:
        name = column["column"]
        levels = column.get("levels", [None])[1:]
        return [{"column": name, "level": level} for level in levels] if "levels" in column else [{"column": name}]

    factors = [[f] for column in inputs for f in main(column)]
    factors += [[{"column": c["column"], "is_missing": True}] for c in inputs if c.get("fill") is not None]
    for a, b in [(a, b) for i, a in enumerate(inputs) for b in inputs[i + 1 :] if draw(st.booleans())]:
        factors += [[f, g] for f in main(a) for g in main(b)]
    classes = {"binomial": ["no", "it's"], "multinomial": [1, 2, 3]}.get(family)
    return {
        "format": FORMAT,
        "version": VERSION,
        "family": family,
        "target": "y",
        "classes": classes,
        "threshold": draw(st.sampled_from([0.5, 0.2])) if family == "binomial" else None,
        "inputs": inputs,
        "offset": "o" if k == 1 and draw(st.booleans()) else None,
        "features": [{"name": f"f{i}", "factors": f, "coefficients": weights()} for i, f in enumerate(factors)],
        "intercepts": weights(),
    }


@st.composite
def models_with_rows(draw: st.DrawFn, refusing: bool = True) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    model = draw(models(refusing))
    values = {"number": finite(50), "boolean": st.booleans(), "text": st.sampled_from([*LEVELS, "never seen"])}
    columns = {i["column"]: st.none() | values[i["type"]] for i in model["inputs"]}
    if model["offset"] is not None:
        columns["o"] = finite(2)
    return model, draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=6))


def slow_predictors(model: dict[str, Any], row: dict[str, Any]) -> list[float] | None:
    """The format as its documentation says it, one row at a time; None for a row that is refused."""
    inputs = {i["column"]: i for i in model["inputs"]}
    stood_in = {}
    for name, column in inputs.items():
        value = row[name]
        if column["type"] != "text":
            value = column["fill"] if value is None else float(value)
        elif value is None:
            value = column["missing"]
        elif value not in column["levels"]:
            value = column["unseen"]
        if value is None:
            return None
        stood_in[name] = value
    z = [i + (row["o"] if model["offset"] else 0.0) for i in model["intercepts"]]
    for feature in model["features"]:
        entry = 1.0
        for factor in feature["factors"]:
            name = factor["column"]
            if "level" in factor:
                entry *= stood_in[name] == factor["level"]
            elif "is_missing" in factor:
                entry *= row[name] is None
            else:
                entry *= stood_in[name]
        z = [a + entry * c for a, c in zip(z, feature["coefficients"], strict=True)]
    return z


@settings(max_examples=150, deadline=None)
@given(models_with_rows())
def test_scoring_is_what_the_format_says(case: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    model, rows = case
    card = Scorecard.parse(json.dumps(model))
    for row in rows:
        expected = slow_predictors(model, row)
        if expected is None:
            with pytest.raises(RowsRefused):
                card.encode_rows([row])
        else:
            assert card.linear_predictor(card.encode_rows([row]))[0].tolist() == pytest.approx(expected, rel=1e-9)


def predicted(card: Scorecard, rows: list[dict[str, Any]]) -> np.ndarray:
    return card.respond(card.linear_predictor(card.encode_rows(rows)))


def is_taken(card: Scorecard, row: dict[str, Any]) -> bool:
    try:
        card.encode_rows([row])
    except RowsRefused:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(models_with_rows())
def test_a_real_onnx_runtime_predicts_the_same_from_raw_columns(
    case: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    model, rows = case
    card = Scorecard.parse(model)
    session = onnxruntime.InferenceSession(write_onnx(card))
    fed = {name: v for name, v in onnx_inputs(card, rows).items() if name in {i.name for i in session.get_inputs()}}
    said = session.run(["probabilities" if card.has_classes else "prediction"], fed)[0]
    for i, row in enumerate(rows):
        if is_taken(card, row):
            np.testing.assert_allclose(said[i], predicted(card, [row])[0], rtol=1e-9, atol=1e-12)
        else:
            assert np.isnan(said[i]).all()


@settings(max_examples=60, deadline=None)
@given(models_with_rows(refusing=False))
def test_sqlite_predicts_the_same(case: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    model, rows = case
    card = Scorecard.parse(model | {"examples": {"rows": rows}})
    assert check_sql(card, write_sql(card)) < 1e-9


def table_of(model: dict[str, Any], connection: Any, rows: list[dict[str, Any]]) -> None:
    types = {"number": "double precision", "boolean": "boolean", "text": "text"}
    kinds = {i["column"]: types[i["type"]] for i in model["inputs"]} | ({"o": "integer"} if model["offset"] else {})
    names = {name: '"' + name.replace('"', '""') + '"' for name in kinds}
    columns = ", ".join(f"{names[name]} {kind}" for name, kind in kinds.items())
    connection.execute(text(f'CREATE TEMPORARY TABLE "rows" (row_number integer, {columns})'))
    places = ", ".join(f":p{i}" for i in range(len(kinds)))
    for at, row in enumerate(rows):
        values = {f"p{i}": row[name] for i, name in enumerate(kinds)}
        connection.execute(text(f'INSERT INTO "rows" VALUES ({at}, {places})'), values)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_database_predicts_the_same_from_typed_columns(database_url: str, family: str) -> None:
    model = {
        "format": FORMAT, "version": VERSION, "family": family, "target": "y", "threshold": None,
        "classes": {"binomial": [False, True], "multinomial": ["a", "b", "c"]}.get(family),
        "inputs": [
            {"column": "x", "type": "number", "fill": 1.5},
            {"column": "b", "type": "boolean", "fill": 0.25},
            {"column": "t", "type": "text", "levels": ["Ulm", "O'Hara"], "missing": "O'Hara", "unseen": None},
        ],
        "offset": None if family == "multinomial" else "o",
        "features": [
            {"name": "x", "factors": [{"column": "x"}], "coefficients": [0.3, -1.0, 40.0]},
            {"name": "b", "factors": [{"column": "b"}], "coefficients": [-2.0, 0.5, 0.1]},
            {"name": "t", "factors": [{"column": "x"}, {"column": "t", "level": "O'Hara"}], "coefficients": [1, 2, 3]},
        ],
        "intercepts": [0.1, 0.2, 0.3],
    }  # fmt: skip
    if family != "multinomial":
        model["features"] = [f | {"coefficients": f["coefficients"][:1]} for f in model["features"]]
        model |= {"intercepts": [0.1], "threshold": 0.5 if family == "binomial" else None}
    rows = [
        {"x": x, "b": b, "t": t, "o": o}
        for x, b, t, o in [
            (1, True, "Ulm", 0),
            (None, None, None, 1),
            (-900.0, False, "O'Hara", 2),
            (900, True, "Ulm", 0),
        ]
    ]
    if family == "multinomial":
        rows = [{name: value for name, value in row.items() if name != "o"} for row in rows]
    refused = rows[0] | {"t": "Rome"}
    card = Scorecard.parse(model)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        table_of(model, connection, [*rows, refused])
        answers = [row._mapping for row in connection.execute(text(write_sql(card)))]
    engine.dispose()
    answers.sort(key=lambda answer: answer["row_number"])
    assert answers.pop()["prediction"] is None
    with np.errstate(over="ignore"):
        expected = predicted(card, rows)
    if card.has_classes:
        names = [f"probability of {name}" for name in model["classes"]]
        said = np.array([[answer[name] for name in names] for answer in answers])
        decided = card.decide(card.linear_predictor(card.encode_rows(rows)))
        assert [answer["prediction"] for answer in answers] == [model["classes"][c] for c in decided]
    else:
        said = np.array([answer["prediction"] for answer in answers])
    np.testing.assert_allclose(said, expected, rtol=1e-9, atol=1e-12)


def with_examples(model: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    predictors = [slow_predictors(model, row) for row in rows]
    return model | {"examples": {"rows": rows, "linear_predictors": predictors}}


MODEL = {
    "format": FORMAT, "version": VERSION, "family": "binomial", "target": "y", "classes": [0, 1], "threshold": 0.5,
    "inputs": [
        {"column": "x", "type": "number", "fill": 1.5},
        {"column": "t", "type": "text", "levels": ["Ulm", "Kiel"], "missing": "Kiel", "unseen": "Ulm"},
    ],
    "offset": "o",
    "features": [
        {"name": "x", "factors": [{"column": "x"}], "coefficients": [0.3]},
        {"name": "x is missing", "factors": [{"column": "x", "is_missing": True}], "coefficients": [-0.7]},
        {"name": "t=Kiel", "factors": [{"column": "t", "level": "Kiel"}], "coefficients": [2.0]},
        {"name": "x:t=Kiel", "factors": [{"column": "x"}, {"column": "t", "level": "Kiel"}], "coefficients": [-1.1]},
    ],
    "intercepts": [0.4],
}  # fmt: skip
ROWS = [{"x": 0.5, "t": "Kiel", "o": 1.0}, {"x": None, "t": "Ulm", "o": -0.5}, {"x": 3, "t": None, "o": 0}]


def test_every_format_is_written_and_checked_on_odd_rows_too() -> None:
    scorecard = json.dumps(with_examples(MODEL, ROWS)).encode()
    files = {e.name: e.data for e in exporting.export_all(scorecard, exporting.file_names(["sql", "onnx", "pt2"]))}
    assert list(files) == ["model.sql", "model.onnx", "model.pt2", "exports.json"]
    report = json.loads(files["exports.json"])
    assert report["n_rows_checked"] == len(ROWS) + 2  # everything missing, levels unseen
    assert max(report[name]["max_difference"] for name in files if name != "exports.json") < 1e-12
    assert b'"use_pickle": true' not in files["model.pt2"]


@pytest.mark.parametrize("sent", [" Kiel", "Kiel ", "  Kiel  ", "\tKiel", "Kiel\n", "Kiel\u00a0", " ", " New  York"])
def test_text_that_is_not_trimmed_is_trimmed_or_answered_with_nan_but_never_another_level(sent: str) -> None:
    card = Scorecard.parse(with_examples(MODEL, ROWS))
    rows = [{"t": spelled, "x": 0.5, "o": 1.0} for spelled in (sent.strip() or None, sent)]
    plain, same = predicted(card, rows)
    assert plain.tolist() == same.tolist()
    frame = pd.DataFrame(rows)
    assert ServedModel(card).predict(frame).iloc[0].tolist() == ServedModel(card).predict(frame).iloc[1].tolist()
    if sent.strip(" ") == sent.strip():
        assert check_sql(Scorecard.parse(with_examples(MODEL, rows)), write_sql(card)) < 1e-12
    data = write_onnx(card)
    fed = {name: v.copy() for name, v in onnx_inputs(card, rows).items()}
    fed["t"][1, 0] = sent
    for runtime in (ReferenceEvaluator(onnx.load_from_string(data)), onnxruntime.InferenceSession(data)):
        said = runtime.run(["probabilities"], fed)[0]
        np.testing.assert_allclose(said[0], plain, rtol=1e-9)
        assert np.isnan(said[1]).all()


def test_a_scorecard_that_is_not_what_training_said_is_not_exported() -> None:
    wrong = with_examples(MODEL, ROWS) | {"intercepts": [0.5]}
    with pytest.raises(Disagreement, match="the scorecard"):
        list(exporting.export_all(json.dumps(wrong).encode(), ["model.sql"]))


def test_an_export_that_says_something_else_is_found() -> None:
    card = Scorecard.parse(with_examples(MODEL, ROWS))
    other = Scorecard.parse(with_examples(MODEL | {"intercepts": [0.40001]}, ROWS))
    with pytest.raises(Disagreement, match=r"model\.sql"):
        check_sql(card, write_sql(other))
    with pytest.raises(Disagreement, match=r"model\.onnx"):
        checking.check_onnx(card, write_onnx(other))


def test_a_model_of_many_columns_is_no_deeper_in_sql_than_databases_allow() -> None:
    names = [f"x{i}" for i in range(1400)]
    model = MODEL | {
        "inputs": [{"column": name, "type": "number", "fill": None} for name in names],
        "offset": None,
        "features": [{"name": n, "factors": [{"column": n}], "coefficients": [0.01]} for n in names],
    }
    card = Scorecard.parse(with_examples(model, [{name: float(i % 7) for i, name in enumerate(names)}]))
    assert check_sql(card, write_sql(card)) < 1e-9


def test_a_model_of_too_many_columns_for_a_table_says_so() -> None:
    names = [f"x{i}" for i in range(2000)]
    model = MODEL | {
        "inputs": [{"column": name, "type": "number", "fill": None} for name in names],
        "offset": None,
        "features": [{"name": "x0", "factors": [{"column": "x0"}], "coefficients": [0.01]}],
    }
    scorecard = json.dumps(with_examples(model, [dict.fromkeys(names, 1.0)])).encode()
    (report,) = exporting.export_all(scorecard, ["model.sql"])
    assert "2000 columns" in json.loads(report.data)["model.sql"]["left_out"]
