"""Each fold learns fills, levels and scales from its own training rows, as scikit-learn's Pipeline in a search does."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, train
from tests.unit.data.uploads import ID, stored

L2, N_FOLDS = 0.02, 4
IMPUTED = {"mean": "mean", "median": "median", "most_frequent": "most_frequent", "indicator": "mean"}


def rows(n: int = 160) -> pd.DataFrame:
    """Fold by `fold`: skewed numbers some of which are missing, and levels that not every fold has."""
    generator = np.random.default_rng(8)
    table = pd.DataFrame({"a": generator.exponential(size=n).round(2), "b": generator.normal(50, 20, n).round(1)})
    table["fold"] = np.arange(n) % N_FOLDS
    table["level"] = generator.choice(["m", "n", "o"], n)
    margin = table["a"] - table["b"] / 40 + (table["level"] == "n") + generator.normal(size=n)
    table["label"], table["number"] = np.where(margin > 0, "yes", "no"), margin.round(4)
    return table


def with_missing(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(a=table["a"].mask(table.index % 7 == 3), b=table["b"].mask(table.index % 11 == 5))


def with_rare_levels(table: pd.DataFrame, *levels: str) -> pd.DataFrame:
    """Each on a row of its own in fold 1."""
    own = table["level"].copy()
    own.iloc[[1 + N_FOLDS * i for i in range(len(levels))]] = levels
    return table.assign(level=own)


def fitted(tmp_path: Any, table: pd.DataFrame, **fields: Any) -> dict[str, Any]:
    attempt = MemoryAttempt()
    attempt.store = ArtifactStore(f"file://{tmp_path}")
    attempt.uploads[ID] = stored(attempt.store, table.to_csv(index=False).encode())
    data = {"source": "dataset", "dataset_id": ID, "fold": "fold"} | fields.pop("data")
    return train(attempt, data=data, stop={"tolerance": 1e-11}, **fields)[0]


def pipeline(model: Any, numbers: list[str], levels: list[str], **imputer: Any) -> Any:
    """Every feature standardised, also the indicators and those of levels; the first level is the reference."""
    encoder = OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer((SimpleImputer(**imputer), numbers), (encoder, levels))
    return make_pipeline(columns, StandardScaler(), model)


def logistic(n_rows: int, l2: float = L2) -> LogisticRegression:
    return LogisticRegression(C=np.inf if l2 == 0 else 1 / (l2 * n_rows), tol=1e-12, solver="newton-cholesky")


@pytest.mark.filterwarnings("ignore:Found unknown categories")
def held_out_losses(table: pd.DataFrame, numbers: list[str], levels: list[str], l2: float = L2, **imputer: Any):
    losses = []
    for fold in range(N_FOLDS):
        own, other = table[table["fold"] != fold], table[table["fold"] == fold]
        model = pipeline(logistic(len(own), l2), numbers, levels, **imputer)
        model.fit(own, own["label"])
        losses.append(log_loss(other["label"], model.predict_proba(other)))
    return losses


def losses_of(result: dict[str, Any], name: str = "log_loss") -> list[float]:
    return result["cross_validation"]["metrics"][name]["values"]


@pytest.mark.parametrize("missing", IMPUTED)
def test_fills_are_learned_by_each_fold(tmp_path: Any, missing: str) -> None:
    table = with_missing(rows())
    data = {"target": "label", "features": ["a", "b"], "positive_class": "yes"}
    found = losses_of(fitted(tmp_path, table, data=data, preprocess={"missing": missing}, penalty={"l2": L2}))
    imputer = {"strategy": IMPUTED[missing], "add_indicator": missing == "indicator"}
    assert found == pytest.approx(held_out_losses(table, ["a", "b"], [], **imputer), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("rare", [("z",), ("aa",), ("aa", "z")], ids=["late", "reference", "both"])
@pytest.mark.parametrize("l2", [L2, 0.0])
def test_levels_are_learned_by_each_fold(tmp_path: Any, rare: tuple[str, ...], l2: float) -> None:
    table = with_rare_levels(rows(), *rare)
    data = {"target": "label", "features": ["a", "b", "level"], "positive_class": "yes"}
    found = losses_of(fitted(tmp_path, table, data=data, penalty={"l2": l2}))
    expected = held_out_losses(table, ["a", "b"], ["level"], l2)
    assert found[1] == pytest.approx(expected[1], rel=1e-6), "the fold that holds out the rare levels"
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_level_that_only_one_fold_has_is_no_error_in_the_others(tmp_path: Any) -> None:
    table = with_rare_levels(rows(), "z")
    data = {"target": "label", "features": ["a", "level"], "positive_class": "yes"}
    strict = fitted(tmp_path, table, data=data, penalty={"l2": L2}, preprocess={"unseen": "error"})
    assert losses_of(strict) == losses_of(fitted(tmp_path, table, data=data, penalty={"l2": L2}))


def test_the_path_learns_fills_and_scales_fold_by_fold(tmp_path: Any) -> None:
    table = with_missing(rows())
    data = {"target": "number", "features": ["a", "b"]}
    path = {"l1_ratio": 0.0, "n_values": 6}
    fields = {"model": {"family": "gaussian"}, "penalty": {"path": path}, "preprocess": {"missing": "median"}}
    result = fitted(tmp_path, table, data=data, **fields)["path"]
    for point in result["points"]:
        losses = []
        for fold in range(N_FOLDS):
            own, other = table[table["fold"] != fold], table[table["fold"] == fold]
            ridge = pipeline(Ridge(point["strength"] * len(own), tol=1e-12), ["a", "b"], [], strategy="median")
            predicted = ridge.fit(own, own["number"]).predict(other)
            losses.append(mean_squared_error(other["number"], predicted) / 2)
        assert point["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
        assert point["std_error"] == pytest.approx(np.std(losses, ddof=1) / N_FOLDS**0.5, rel=1e-6)


def test_a_column_whose_values_are_all_in_one_fold_is_left_to_it(tmp_path: Any) -> None:
    table = rows()
    table["b"] = table["b"].where((table["fold"] == 2) & (table.index < 40))
    data = {"target": "label", "features": ["a", "b"], "positive_class": "yes"}
    found = losses_of(fitted(tmp_path, table, data=data, preprocess={"missing": "mean"}, penalty={"l2": L2}))
    own, other = table[table["fold"] != 2], table[table["fold"] == 2]
    alone = pipeline(logistic(len(own)), ["a"], []).fit(own, own["label"])
    assert found[2] == pytest.approx(log_loss(other["label"], alone.predict_proba(other)), rel=1e-6)
