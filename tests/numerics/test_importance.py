"""Variable importance from the file on, against scikit-learn's coefficients of standardised columns."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from gradline.data.features import InteractionFeatures, NumericFeatures, term_names
from gradline.storage import ArtifactStore
from gradline.worker.kinds.logistic_regression import drawings
from tests.numerics.attempts import MemoryAttempt, regression_spec, train
from tests.unit.data.uploads import ID, stored

Run = Callable[..., tuple[dict[str, Any], MemoryAttempt]]


@pytest.fixture
def run(tmp_path) -> Run:
    """Fit `y` of a table."""

    def run_table(table: pd.DataFrame, data: dict[str, Any] | None = None, **spec: Any):
        attempt = MemoryAttempt()
        attempt.store = ArtifactStore(f"file://{tmp_path}")
        written = io.BytesIO()
        table.to_parquet(written)
        attempt.uploads[ID] = stored(attempt.store, written.getvalue(), "parquet")
        return train(attempt, data={"source": "dataset", "dataset_id": ID, "target": "y"} | (data or {}), **spec)

    return run_table


def crowd(n: int = 400, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({"age": draw.normal(4000, 12, n), "fare": draw.lognormal(3, 1, n)})
    table["city"] = draw.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.6, 0.3, 0.1])
    z = (4000 - table.age) / 15 + 1.5 * (table.city == "Ulm") - 0.3
    table["y"] = (draw.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return table


def design(table: pd.DataFrame) -> pd.DataFrame:
    """Columns by the feature's name; of `age` the mean and where it is missing."""
    x = pd.DataFrame({"age": table.age.fillna(table.age.mean())})
    if table.age.isna().any():
        x["age is missing"] = table.age.isna() * 1.0
    x["fare"] = table.fare
    x["city=Kiel"], x["city=Ulm"] = (table.city == "Kiel") * 1.0, (table.city == "Ulm") * 1.0
    return x


def of_columns(size: np.ndarray, names: list[str]) -> dict[str, float]:
    """Added up over what is made of a column."""
    columns = [name.split("=")[0].split(" ")[0] for name in names]
    return pd.Series(size).groupby(columns).sum().to_dict()


def told(result: dict[str, Any]) -> dict[str, float]:
    importance = result["importance"]
    values = [line["importance"] for line in importance]
    assert values == sorted(values, reverse=True)
    assert sum(line["share"] for line in importance) == pytest.approx(1, rel=1e-12)
    assert [line["share"] for line in importance] == pytest.approx(np.array(values) / sum(values), rel=1e-12)
    assert result["importance_withheld"] is None
    return {line["term"]: line["importance"] for line in importance}


@pytest.mark.parametrize("preprocess", [{}, {"standardize": False}, {"sparse": True}], ids=str)
def test_levels_count_for_their_column_whether_or_not_columns_are_standardised(run: Run, preprocess: dict[str, Any]):
    table = crowd()
    result, _ = run(table, preprocess=preprocess)
    x = design(table)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(StandardScaler().fit_transform(x), table.y)
    assert told(result) == pytest.approx(of_columns(np.abs(theirs.coef_[0]), list(x)), rel=1e-4)


def test_where_a_column_is_missing_counts_for_it_and_a_penalty_withholds_nothing(run: Run):
    table = crowd()
    table.loc[table.index % 7 == 0, "age"] = np.nan
    result, _ = run(table, preprocess={"missing": "indicator"}, penalty={"l2": 0.05})
    x = design(table)
    theirs = LogisticRegression(C=1 / (0.05 * len(x)), tol=1e-12, max_iter=10_000)
    theirs.fit(StandardScaler().fit_transform(x), table.y)
    assert told(result) == pytest.approx(of_columns(np.abs(theirs.coef_[0]), list(x)), rel=1e-4)


def test_deviations_are_weighted_as_the_rows_are(run: Run):
    table = crowd()
    table["y"], table["w"] = table.age / 3 + table.fare, np.random.default_rng(1).gamma(1, size=len(table))
    result, _ = run(table, {"weights": "w", "features": ["age", "fare"]}, model={"family": "gaussian"})
    x = StandardScaler().fit_transform(table[["age", "fare"]], sample_weight=table.w)
    theirs = LinearRegression().fit(x, table.y, sample_weight=table.w)
    assert told(result) == pytest.approx(dict(zip(("age", "fare"), np.abs(theirs.coef_), strict=True)), rel=1e-6)


def test_classes_are_added_up():
    x, y = load_iris(return_X_y=True)
    result, attempt = train(
        data={"source": "builtin", "name": "iris"}, penalty={"l2": 0.01}, stop={"max_steps": 1000, "tolerance": 1e-10}
    )
    theirs = LogisticRegression(C=1 / (0.01 * len(y)), tol=1e-12, max_iter=10_000)
    theirs.fit(StandardScaler().fit_transform(x), y)
    names = [entry["feature"] for entry in result["coefficients"][:4]]
    expected = dict(zip(names, np.abs(theirs.coef_).sum(0), strict=True))
    assert told(result) == pytest.approx(expected, rel=1e-4)
    assert json.loads(attempt.files["importance.json"]) == result["importance"]
    assert json.loads(attempt.files["plot_data.json"])["importance"] == result["importance"]
    assert "importance.png" in drawings(regression_spec(data={"source": "builtin", "name": "iris"}), result)


def test_many_rows_that_are_kept_in_float32_have_the_importance_of_float64(run: Run):
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(3, 2, (100_000, 3)).astype("float32"), columns=list("abc"))
    table["y"] = (draw.random(len(table)) < 1 / (1 + np.exp(3 - table.a + table.b / 4))).astype(int)
    single, double = run(table)[0], run(table, dtype="float64")[0]
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    assert told(single) == pytest.approx(told(double), rel=1e-5)
    expected = {c["feature"]: abs(c["estimate"]) * table[c["feature"]].std(ddof=0) for c in double["coefficients"]}
    assert told(double) == pytest.approx(expected, rel=1e-5)


def test_an_interaction_is_a_term_of_its_own(run: Run):
    table = crowd()
    result, _ = run(table, preprocess={"interactions": [["fare", "city"]]})
    assert set(told(result)) == {"age", "fare", "city", "fare:city"}
    product = {f"fare:city={level}": table.fare * (table.city == level) for level in ("Kiel", "Ulm")}
    estimates = {c["feature"]: c["estimate"] for c in result["coefficients"]}
    expected = sum(abs(estimates[name]) * values.std(ddof=0) for name, values in product.items())
    assert told(result)["fare:city"] == pytest.approx(expected, rel=1e-9)


def test_an_interaction_has_quotes_where_a_column_has_its_name():
    a, b, both = (NumericFeatures(name, None) for name in ("a", "b", "a:b"))
    assert term_names([a, b, InteractionFeatures(a, b)]) == ["a", "b", "a:b"]
    assert term_names([a, b, both, InteractionFeatures(a, b)]) == ["a", "b", "a:b", "'a':'b'"]


def test_a_column_that_moves_nothing_has_no_importance(run: Run):
    table = crowd()
    table["fixed"] = 7.0
    assert told(run(table)[0])["fixed"] == 0
    alone, _ = run(table, {"features": ["age", "fare"]}, penalty={"l1": 10.0})
    assert [(line["importance"], line["share"]) for line in alone["importance"]] == [(0, None), (0, None)]


def test_generated_data_have_it_from_a_fit_to_the_minimum_only():
    blobs = {"source": "blobs", "samples_per_class": 200, "mean": 0.5}
    exact, _ = train(data=blobs)
    assert len(told(exact)) == 2
    stepped, attempt = train(data=blobs, solver={"name": "sgd"}, stop={"max_steps": 50})
    assert stepped["importance"] is None
    assert "preprocess.standardize" in stepped["importance_withheld"]
    assert "importance.json" not in attempt.files
    spec = regression_spec(data=blobs, solver={"name": "sgd"}, stop={"max_steps": 50})
    assert "importance.png" not in drawings(spec, stepped)
    standard, _ = train(data=blobs, solver={"name": "sgd"}, stop={"max_steps": 50}, preprocess={"standardize": True})
    assert len(told(standard)) == 2


def test_infinite_estimates_and_those_that_are_no_numbers_have_none(run: Run):
    table = crowd()
    table["split"] = table.y * 2.0 - 1
    separated, _ = run(table)
    assert separated["outcome"] == "separated"
    assert (separated["importance"], "infinite" in separated["importance_withheld"]) == (None, True)
    stopped, _ = run(table, stop={"accuracy_above": 0.9})
    assert stopped["outcome"] == "target_reached"
    assert (stopped["importance"], "infinite" in stopped["importance_withheld"]) == (None, True)
    firth, _ = run(table[["split", "y"]], on_separation="firth")
    assert told(firth).keys() == {"split"}
    diverged, _ = run(crowd(), solver={"name": "sgd", "learning_rate": 1e30}, stop={"max_steps": 50})
    assert (diverged["outcome"], diverged["importance"]) == ("diverged", None)
    assert diverged["importance_withheld"] == "the fit diverged"
