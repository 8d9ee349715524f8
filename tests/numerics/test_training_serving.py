"""What training makes of rows, the saved model makes of them too: policies, interactions and offsets included."""

import io
import sqlite3
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from gradline.csv_tables import read_csv_text
from gradline.data import uploaded
from gradline.export.checking import check_onnx, check_scorecard, check_sql
from gradline.export.onnx_model import write_onnx
from gradline.export.sql import write_sql
from gradline.scoring import RowsRefused, Scorecard
from gradline.scoring_tables import encode_table
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

FEATURES = ["age", "city", "zone", "member"]
PAIRS = [["age", "city"], ["city", "zone"], ["age", "member"]]


def table(n: int = 400) -> str:
    """Held-out rows have cities and zones that training rows lack, and values missing where those have none."""
    generator = np.random.default_rng(0)
    lines = ["age,city,zone,member,start,part,y"]
    for i in range(n):
        is_held = i % 4 == 0
        age = "" if i % 7 == 0 else f"{generator.normal(1000, 12):.3f}"
        city = generator.choice(["Ulm", "Bonn", "Kiel", "Aue", ""], p=[0.4, 0.3, 0.2, 0.05, 0.05])
        zone = str(generator.integers(1, 4))
        if is_held and i % 3 == 0:
            city, zone = "Rom", "7"
        member = generator.choice(["true", "false"])
        y = "yes" if generator.random() < (0.7 if city == "Ulm" else 0.4) else "no"
        lines.append(f"{age},{city},{zone},{member},{generator.normal():.3f},{'h' if is_held else 't'},{y}")
    return "\n".join(lines)


def fitted(tmp_path: Any, dtype: str, **preprocess: Any) -> tuple[dict[str, Any], Scorecard]:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, table().encode())
    data = {"source": "dataset", "dataset_id": ID, "target": "y", "features": FEATURES}
    data |= {"group": "part", "offset": "start", "types": {"zone": "categorical"}}
    result, _ = train(
        attempt,
        data=data,
        split={"validation_fraction": 0.4},
        preprocess={"missing": "indicator", "interactions": PAIRS} | preprocess,
        penalty={"l2": 0.01},
        dtype=dtype,
        inference={"std_errors": "none"},
    )
    return result, Scorecard.parse(attempt.files["model.json"])


def log_losses(card: Scorecard) -> dict[str, float]:
    """Of the model's own predictions, by part."""
    rows = read_csv_text(table().encode())
    p_n = card.respond(card.linear_predictor(encode_table(card, rows)))[:, 1]
    is_yes_n = np.array(rows.column("y").to_pylist()) == "yes"
    is_held_n = np.array(rows.column("part").to_pylist()) == "h"
    loss_n = -np.log(np.where(is_yes_n, p_n, 1 - p_n))
    return {"train": loss_n[~is_held_n].mean(), "validation": loss_n[is_held_n].mean()}


@pytest.mark.parametrize("unseen", ["ignore", "own_level"])
@pytest.mark.parametrize("missing", ["indicator", "mean", "median", "most_frequent"])
def test_the_model_predicts_as_training_did(tmp_path, missing: str, unseen: str):
    result, card = fitted(tmp_path, "float64", missing=missing, unseen=unseen)
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=1e-9), part


@pytest.mark.parametrize(
    ("dtype", "sparse", "tolerance"), [("float64", True, 1e-9), ("float32", False, 1e-5), ("float32", True, 1e-4)]
)
def test_it_does_so_whatever_the_features_are_kept_in(tmp_path, dtype: str, sparse: bool, tolerance: float):
    result, card = fitted(tmp_path, dtype, sparse=sparse)
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=tolerance), part


def test_an_offset_is_in_what_training_said_of_its_rows(tmp_path):
    _, card = fitted(tmp_path, "float64")
    assert card.offset is not None
    assert check_scorecard(card) < 1e-9


@pytest.mark.parametrize("spelled", ["  Ulm ", "Ulm\t", "", "  "])
def test_text_is_trimmed_as_in_training_and_empty_text_is_missing(tmp_path, spelled):
    _, card = fitted(tmp_path, "float64")
    row = card.document["examples"]["rows"][0]
    plain, sent = ({**row, "city": city} for city in (spelled.strip() or None, spelled))
    z_nk = card.linear_predictor(card.encode_rows([plain, sent]))
    assert z_nk[0] == z_nk[1]
    assert z_nk[0] != card.linear_predictor(card.encode_rows([row | {"city": "Kiel"}]))[0]


def test_levels_beyond_the_limit_are_the_same_level_in_both(tmp_path):
    result, card = fitted(tmp_path, "float64", max_levels=3)
    names = [c["feature"] for c in result["coefficients"]]
    assert "city=(other)" in names
    for part, loss in log_losses(card).items():
        assert loss == pytest.approx(result["metrics"][part]["log_loss"], rel=1e-9), part


def test_a_model_that_refuses_unseen_levels_names_column_and_level(tmp_path):
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, b"city,y\nUlm,0\nBonn,1\nUlm,1\nBonn,0\nUlm,1\n")
    data = {"source": "dataset", "dataset_id": ID, "target": "y"}
    train(attempt, data=data, preprocess={"unseen": "error"}, penalty={"l2": 0.1})
    card = Scorecard.parse(attempt.files["model.json"])
    with pytest.raises(RowsRefused, match=r"rows\[1\].city") as refused:
        card.encode_rows([{"city": "Ulm"}, {"city": "Rom"}])
    assert [fault.value for fault in refused.value.faults] == ["Rom"]


def levels_of_numbers(tmp_path: Any, n: int = 300) -> tuple[dict[str, Any], Scorecard, pa.Table]:
    """A fit on numbers and booleans that are read as levels, in Parquet."""
    generator = np.random.default_rng(0)
    rates = np.where(np.arange(n) < n // 2, generator.choice([3.0, 1e16], n), generator.choice([1e-7, 2.5, 100.0], n))
    rows = pa.table(
        {
            "rate": pa.array(rates, mask=generator.random(n) < 0.1),
            "zone": pa.array(generator.choice([1, 2, 30], n)),
            "flag": pa.array(generator.random(n) < 0.5, mask=generator.random(n) < 0.1),
            "y": pa.array((generator.random(n) < np.where(rates > 2, 0.7, 0.3)).astype(int)),
        }
    )
    file = io.BytesIO()
    pyarrow.parquet.write_table(rows, file)
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, file.getvalue(), "parquet")
    data = {"source": "dataset", "dataset_id": ID, "target": "y"}
    data |= {"types": dict.fromkeys(("rate", "zone", "flag"), "categorical")}
    result, _ = train(attempt, data=data, preprocess={"missing": "indicator"}, penalty={"l2": 0.01})
    return result, Scorecard.parse(attempt.files["model.json"]), rows


def test_numbers_read_as_levels_are_taken_however_they_are_spelled(tmp_path, monkeypatch):
    monkeypatch.setattr(uploaded, "BLOCK_BYTES", 1000)
    result, card, rows = levels_of_numbers(tmp_path)
    names = [c["feature"] for c in result["coefficients"]]
    assert [n for n in names if n.startswith("rate")] == [
        "rate=2.5", "rate=3", "rate=100", "rate=10000000000000000", "rate=(missing)"
    ]  # fmt: skip
    is_one_n = np.array(rows.column("y").to_pylist()) == 1
    given = rows.drop_columns(["y"]).to_pylist()
    spelled = [{k: None if v is None else f"{v:e}" if k == "rate" else str(v) for k, v in row.items()} for row in given]
    for encoded in (encode_table(card, rows), card.encode_rows(given), card.encode_rows(spelled)):
        p_n = card.respond(card.linear_predictor(encoded))[:, 1]
        loss = -np.log(np.where(is_one_n, p_n, 1 - p_n)).mean()
        assert loss == pytest.approx(result["metrics"]["train"]["log_loss"], rel=1e-9)


def test_sql_over_numbers_read_as_levels_predicts_as_the_model(tmp_path):
    _, card, rows = levels_of_numbers(tmp_path)
    given = [*rows.drop_columns(["y"]).to_pylist(), {"rate": 7.25, "zone": 99, "flag": True}]
    with sqlite3.connect(":memory:") as connection:
        connection.execute('CREATE TABLE "rows" (rate REAL, zone INTEGER, flag BOOLEAN)')
        connection.executemany('INSERT INTO "rows" VALUES (:rate, :zone, :flag)', given)
        said = np.array([row[-2:] for row in connection.execute(write_sql(card)).fetchall()])
    expected = card.respond(card.linear_predictor(card.encode_rows(given)))
    np.testing.assert_allclose(said, expected, rtol=1e-12)
    assert check_sql(card, write_sql(card)) < 1e-12


def run_on(tmp_path: Any, table: str, **fields: Any) -> tuple[dict[str, Any], MemoryAttempt, Scorecard]:
    """A fit on a CSV text whose target is y."""
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, table.encode())
    result, _ = train(attempt, data={"source": "dataset", "dataset_id": ID, "target": "y"}, **fields)
    return result, attempt, Scorecard.parse(attempt.files["model.json"])


def loss_of(card: Scorecard, table: str) -> float:
    """Of the model's own predictions."""
    rows = read_csv_text(table.encode())
    p_n = card.respond(card.linear_predictor(encode_table(card, rows)))[:, 1]
    is_one_n = np.array(rows.column("y").to_pylist()) == "1"
    return float(-np.log(np.where(is_one_n, p_n, 1 - p_n)).mean())


@pytest.mark.parametrize("unseen", ["ignore", "own_level", "error"])
@pytest.mark.parametrize("max_levels", [3, 1000])
def test_text_that_spells_our_own_levels_counts_as_them(tmp_path, unseen: str, max_levels: int):
    generator = np.random.default_rng(0)
    levels = generator.choice(["(missing)", "(other)", "Ulm", "Bonn", "Aue", ""], 300)
    lines = ["city,y", *(f"{city},{int(generator.random() < 0.3 + 0.4 * (city == 'Ulm'))}" for city in levels)]
    preprocess = {"missing": "indicator", "unseen": unseen, "max_levels": max_levels}
    result, attempt, card = run_on(tmp_path, "\n".join(lines), preprocess=preprocess, penalty={"l2": 0.01})
    names = [c["feature"] for c in result["coefficients"]]
    assert names[-2:] == ["city=(missing)", "city=(other)"]
    assert "own_level:city:(missing)" in attempt.warnings
    assert loss_of(card, "\n".join(lines)) == pytest.approx(result["metrics"]["train"]["log_loss"], rel=1e-9)
    z_nk = card.linear_predictor(card.encode_rows([{"city": "(missing)"}, {"city": None}, {"city": "(other)"}]))
    assert z_nk[0] == z_nk[1] != z_nk[2]
    assert check_sql(card, write_sql(card)) < 1e-12
    assert check_onnx(card, write_onnx(card)) < 1e-12


def test_text_that_spells_other_makes_no_level_pass_that_the_model_refuses(tmp_path):
    lines = ["city,y", *(f"{city},{i % 3 % 2}" for i, city in enumerate(["(other)", "Ulm", "Bonn", "Ulm"] * 9))]
    _, _, card = run_on(tmp_path, "\n".join(lines), preprocess={"unseen": "error"}, penalty={"l2": 0.1})
    with pytest.raises(RowsRefused, match=r"rows\[1\].city: is none of the levels seen"):
        card.encode_rows([{"city": "(other)"}, {"city": "Rom"}])


def test_features_that_would_have_one_name_are_told_apart_wherever_they_are_named(tmp_path):
    generator = np.random.default_rng(0)
    lines = ["city,city=Ulm,age,city:age,age is missing,y"]
    for i in range(300):
        city, age = generator.choice(["Aue", "Bonn", "Ulm"]), "" if i % 9 == 0 else f"{generator.normal():.2f}"
        y = int(generator.random() < 0.3 + 0.4 * (city == "Ulm"))
        lines.append(f"{city},1,{age},{generator.normal():.2f},{generator.normal():.2f},{y}")
    preprocess = {"missing": "indicator", "interactions": [["city", "age"]]}
    result, attempt, card = run_on(tmp_path, "\n".join(lines), preprocess=preprocess)
    entries = {c["feature"]: c for c in result["coefficients"]}
    names = [*entries]
    assert names == [
        "city=Bonn", "'city'='Ulm'", "city=Ulm", "age", "'age' is missing", "city:age", "age is missing",
        "city=Bonn:age", "city=Ulm:age",
    ]  # fmt: skip
    assert len(result["coefficients"]) == len(names)
    assert "feature_names" in attempt.warnings
    constant = [name for name, entry in entries.items() if entry.get("undetermined") == "constant"]
    assert constant == result["collinearity"]["constant"] == ["city=Ulm"], "the level of that name is not constant"
    assert entries["'city'='Ulm'"]["estimate"] > 0.5
    assert [feature["name"] for feature in card.document["features"]] == names
    assert loss_of(card, "\n".join(lines)) == pytest.approx(result["metrics"]["train"]["log_loss"], rel=1e-9)
    assert check_sql(card, write_sql(card)) < 1e-12
    assert check_onnx(card, write_onnx(card)) < 1e-12
