"""Fits on uploaded tables, from the file to predictions made with the saved model."""

import json
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch

from gradline.data.sample import Roles
from gradline.data.split import split_rows
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split
from gradline.storage import ArtifactStore
from gradline.worker.kinds.logistic_regression import drawings
from tests.numerics.attempts import MemoryAttempt, regression_spec, train
from tests.unit.data.uploads import ID, stored

CITIES = ["Ulm", "Bonn", "Kiel"]


def passengers(n: int = 200) -> bytes:
    """Quoted fields, blanks and text; survival leans on age, fare and city."""
    generator = np.random.default_rng(0)
    lines = ['"pass, name",age,fare,city,survived']
    for i in range(n):
        age, fare, city = generator.normal(40, 12), generator.lognormal(3, 1), CITIES[generator.integers(3)]
        z = 0.05 * (40 - age) + 0.02 * fare + (city == "Ulm") - 0.5
        survived = "yes" if generator.random() < 1 / (1 + np.exp(-z)) else "no"
        shown = "" if i % 9 == 0 else f"{age:.2f}"
        lines.append(f'"n, {i % 3}",{shown},{fare:.3f},{"NA" if i % 11 == 0 else city},{survived}')
    return "\n".join(lines).encode()


@pytest.fixture
def attempt(tmp_path) -> MemoryAttempt:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, passengers())
    return attempt


def job(**fields: Any) -> dict[str, Any]:
    data = {"source": "dataset", "dataset_id": ID, "target": "survived", "features": ["age", "fare", "city"]}
    defaults = {
        "data": data,
        "preprocess": {"missing": "indicator"},
        "split": {"validation_fraction": 0.25},
        "penalty": {"l2": 0.01},
    }
    return defaults | fields


def predict(files: dict[str, bytes], rows: list[dict[str, Any]]) -> np.ndarray:
    """Class probabilities as model.json describes them; an independent reading of the format."""
    model = json.loads(files["model.json"])
    inputs = {i["column"]: i for i in model["inputs"]}

    def factor(row: dict[str, Any], wanted: dict[str, Any]) -> float:
        value, column = row[wanted["column"]], inputs[wanted["column"]]
        if "is_missing" in wanted:
            return float(value is None)
        if "level" not in wanted:
            return column["fill"] if value is None else value
        level = column["missing"] if value is None else value if value in column["levels"] else column["unseen"]
        return float(level == wanted["level"])

    def z(row: dict[str, Any]) -> float:
        terms = [np.prod([factor(row, f) for f in w["factors"]]) * w["coefficients"][0] for w in model["features"]]
        return sum(terms) + model["intercepts"][0]

    return 1 / (1 + np.exp(-np.array([z(row) for row in rows])))


def test_an_odd_csv_is_fitted_and_its_model_predicts_as_its_metrics_say(attempt):
    result, _ = train(attempt, **job(split={"validation_fraction": 0.0}))
    assert result["outcome"] == "converged"
    assert result["classes"] == {"names": ["no", "yes"], "positive": "yes"}
    names = [c["feature"] for c in result["coefficients"]]
    assert names == ["age", "age is missing", "fare", "city=Kiel", "city=Ulm", "city=(missing)"]
    rows, truth = [], []
    for line in passengers().decode().splitlines()[1:]:
        age, fare, city, survived = line.rsplit(",", 4)[1:]
        rows.append({"age": float(age) if age else None, "fare": float(fare), "city": None if city == "NA" else city})
        truth.append(survived == "yes")
    p, y = predict(attempt.files, rows), np.array(truth)
    assert -np.log(np.where(y, p, 1 - p)).mean() == pytest.approx(result["metrics"]["train"]["log_loss"], rel=1e-9)
    assert ((p >= 0.5) == y).mean() == pytest.approx(result["metrics"]["train"]["accuracy"])


def test_what_stands_in_the_validation_rows_changes_no_coefficient(attempt):
    lines = passengers().decode().splitlines()
    class_n = torch.tensor([line.endswith("yes") for line in lines[1:]]).long()
    _, validation_r = split_rows(Roles(class_n, ["no", "yes"]), Split(validation_fraction=0.25))
    for row in validation_r.tolist():
        name, _, _, _, survived = lines[row + 1].rsplit(",", 4)
        lines[row + 1] = f"{name},1000,-5000,Ulm,{survived}"
    straight, _ = train(attempt, **job())
    attempt.uploads[ID] = stored(attempt.store, "\n".join(lines).encode())
    changed, _ = train(attempt, **job())
    assert changed["coefficients"] == straight["coefficients"]
    assert changed["metrics"]["train"] == straight["metrics"]["train"]
    assert changed["metrics"]["validation"] != straight["metrics"]["validation"]


def test_validation_rows_are_measured_apart(attempt):
    result, _ = train(attempt, **job())
    metrics = result["metrics"]
    assert metrics["train"]["n"] + metrics["validation"]["n"] == 200
    assert metrics["validation"]["n"] == pytest.approx(50, abs=1)
    assert metrics["train"]["log_loss"] != metrics["validation"]["log_loss"]
    assert {"validation_loss", "validation_accuracy"} <= set(attempt.points[0])


def test_another_positive_class_flips_every_sign(attempt):
    straight, _ = train(attempt, **job(stop={"tolerance": 1e-10}))
    spec = job(stop={"tolerance": 1e-10})
    spec["data"] |= {"positive_class": "no"}
    flipped, _ = train(attempt, **spec)
    assert flipped["classes"]["positive"] == "no"
    for one, other in zip(straight["coefficients"], flipped["coefficients"], strict=True):
        assert one["estimate"] == pytest.approx(-other["estimate"], abs=1e-7)


def test_missing_values_under_the_error_policy_name_column_and_count(attempt):
    with pytest.raises(PermanentError) as failed:
        train(attempt, **job(preprocess={"missing": "error"}))
    faults = {fault["value"]: fault["reason"] for fault in failed.value.details["faults"]}
    assert faults.keys() == {"age", "city"}
    assert "no value in 23 of its rows" in faults["age"]
    assert "no value in 19 of its rows" in faults["city"]


def test_a_column_that_the_file_lacks_fails_the_job_with_the_columns_listed(attempt):
    spec = job()
    spec["data"]["features"] = ["age", "cabin"]
    with pytest.raises(PermanentError) as failed:
        train(attempt, **spec)
    assert failed.value.code == "bad_data"
    assert "'cabin'" in str(failed.value.details) or "cabin" in failed.value.message


@pytest.mark.parametrize(
    ("family", "data", "expected"),
    [
        ("auto", {}, {"name": "binomial", "reason": "the target has 2 classes"}),
        ("binomial", {}, {"name": "binomial", "reason": "asked for"}),
        ("log-linear", {"target": "fare"}, {"name": "log-linear", "reason": "asked for"}),
        ("auto", {"target": "city"}, {"name": "multinomial", "reason": "the target has 3 classes"}),
    ],
)
def test_the_result_says_which_family_was_fitted_and_why(attempt, family, data, expected):
    roles = {"source": "dataset", "dataset_id": ID, "target": "survived", "features": ["age"]} | data
    roles["missing_target"] = "drop"
    result, _ = train(attempt, data=roles, preprocess={"missing": "mean"}, model={"family": family})
    assert result["family"] == expected


def test_whole_numbers_that_were_taken_for_classes_are_said_to_be_with_the_mend(attempt):
    attempt.uploads[ID] = stored(attempt.store, "\n".join(["a,y", *(f"{i % 7},{i % 5}" for i in range(60))]).encode())
    result, _ = train(attempt, data={"source": "dataset", "dataset_id": ID, "target": "y"})
    assert result["family"]["name"] == "multinomial"
    assert result["family"]["reason"].startswith("each of the 5 whole numbers in the target is taken for a class")
    assert "set model.family to gaussian" in result["family"]["reason"]


def test_the_curve_and_the_plot_data_hold_every_report(attempt):
    result, _ = train(attempt, **job(solver={"name": "adam"}, stop={"max_steps": 100}, report={"every": 10}))
    curve = pyarrow.parquet.read_table(pyarrow.BufferReader(attempt.files["metrics.parquet"])).to_pydict()
    assert curve["step"] == [*range(0, 100, 10), 99]
    data = json.loads(attempt.files["plot_data.json"])
    assert data["history"]["step"] == curve["step"]
    assert data["history"]["validation_loss"] == curve["validation_loss"]
    assert sum(map(sum, data["confusion_matrix"]["train"])) == result["n_rows"]
    assert data["points"] is None
    assert data["frames"] == []
    names = drawings(regression_spec(**job()), result)
    assert names[:3] == ["loss.png", "accuracy.png", "confusion_matrix.png"]
    assert not {"boundary", "animation.gif", "residuals.png", "regions.png"} & set(names)
