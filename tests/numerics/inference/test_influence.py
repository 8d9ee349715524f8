"""The rows that pull a fit most, from the file on, against statsmodels' GLMInfluence."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from gradline.errors import InvalidInput, PermanentError
from gradline.storage import ArtifactStore
from tests.numerics.attempts import MemoryAttempt, regression_spec, train
from tests.unit.data.uploads import ID, stored

Run = Callable[..., dict[str, Any]]
FAMILIES = {
    "binomial": sm.families.Binomial(),
    "gaussian": sm.families.Gaussian(),
    "log-linear": sm.families.Gaussian(),
    "poisson": sm.families.Poisson(),
}


@pytest.fixture
def run(tmp_path) -> Run:
    """Fit `y` of a table."""

    def run_table(table: pd.DataFrame, data: dict[str, Any] | None = None, m: int = 25, **spec: Any) -> dict[str, Any]:
        attempt = MemoryAttempt()
        attempt.store = ArtifactStore(f"file://{tmp_path}")
        written = io.BytesIO()
        table.to_parquet(written)
        attempt.uploads[ID] = stored(attempt.store, written.getvalue(), "parquet")
        roles = {"source": "dataset", "dataset_id": ID, "target": "y"} | (data or {})
        spec["inference"] = {"influence": m} | spec.get("inference", {})
        return train(attempt, data=roles, report={"plots": []}, **spec)[0]

    return run_table


def crowd(family: str = "binomial", n: int = 300, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({"age": draw.normal(400, 12, n), "fare": draw.lognormal(0, 1, n)})
    table["city"] = draw.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.6, 0.3, 0.1])
    z = (400 - table.age) / 15 + (table.city == "Ulm") - 0.3 + 0.2 * table.fare
    numbers = {
        "binomial": (draw.random(n) < 1 / (1 + np.exp(-z))).astype(int),
        "gaussian": z + draw.normal(0, 2, n),
        "log-linear": np.exp(z + draw.normal(0, 2, n)),
        "poisson": draw.poisson(np.exp(z / 2)),
    }
    table["y"] = numbers[family]
    return table


def design(table: pd.DataFrame) -> pd.DataFrame:
    x = table[["age", "fare"]].copy()
    x["age"] = x.age.fillna(x.age.mean())
    if table.age.isna().any():
        x["age is missing"] = table.age.isna() * 1.0
    x["Kiel"], x["Ulm"] = (table.city == "Kiel") * 1.0, (table.city == "Ulm") * 1.0
    return sm.add_constant(x)


def theirs(table: pd.DataFrame, family: str, **more: Any) -> pd.DataFrame:
    """By the row's number from 1; what overflows in statsmodels is no row of these tables."""
    y = np.log(table.y) if family == "log-linear" else table.y
    fit = sm.GLM(y, design(table), family=FAMILIES[family], **more).fit(tol=1e-14, maxiter=100)
    influence = fit.get_influence(observed=False)
    told = {
        "cooks_distance": influence.cooks_distance[0],
        "leverage": influence.hat_matrix_diag,
        "std_residual": influence.resid_studentized,
    }
    found = pd.DataFrame({name: np.asarray(values) for name, values in told.items()}, index=table.index + 1)
    return found.sort_values("cooks_distance", ascending=False)


def agree(result: dict[str, Any], expected: pd.DataFrame, rtol: float = 1e-6) -> None:
    assert result["influence_withheld"] is None
    ours = pd.DataFrame(result["influence"]).set_index("row")
    assert list(ours.index) == list(expected.index[: len(ours)])
    for name in expected:
        np.testing.assert_allclose(ours[name], expected[name][: len(ours)], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_with_one_predictor_names_the_rows_of_statsmodels(run: Run, family: str, standardize: bool):
    table = crowd(family)
    result = run(table, model={"family": family}, preprocess={"standardize": standardize})
    assert len(result["influence"]) == 25
    agree(result, theirs(table, family))


def test_missing_values_and_an_offset_are_part_of_the_fit(run: Run):
    table = crowd("poisson")
    table.loc[table.index % 7 == 0, "age"] = np.nan
    table["o"] = np.linspace(-1, 1, len(table))
    result = run(table, {"offset": "o"}, model={"family": "poisson"}, preprocess={"missing": "indicator"})
    agree(result, theirs(table, "poisson", offset=table.o))


@pytest.mark.parametrize("family", ["binomial", "gaussian"])
def test_a_row_of_weight_three_is_one_of_three_rows(run: Run, family: str):
    table = crowd(family)
    table["w"] = np.random.default_rng(1).integers(0, 4, len(table)).astype(float)
    result = run(table, {"weights": "w"}, m=20, model={"family": family})
    repeated = table.loc[table.index.repeat(table.w.astype(int))]
    expected = theirs(repeated, family)
    agree(result, expected[~expected.index.duplicated()].sort_values("cooks_distance", ascending=False))
    assert (table.w[[line["row"] - 1 for line in result["influence"]]] > 0).all()


def test_rows_are_numbered_as_in_the_file_where_others_are_held_out_or_have_no_target(run: Run):
    table = crowd(n=600)
    table["y"] = table.y.astype("float64").where(table.index % 11 != 0)
    split = {"validation_fraction": 0.3}
    result = run(table, {"missing_target": "drop"}, m=1000, split=split)
    rows = sorted(line["row"] for line in result["influence"])
    assert len(rows) == result["n_rows"] < 420
    agree(result, theirs(table.loc[[row - 1 for row in rows]], "binomial"))


def test_of_built_in_data_held_out_rows_are_not_named_either():
    data = {"source": "builtin", "name": "diabetes"}
    fields = {"model": {"family": "gaussian"}, "inference": {"influence": 1000}}
    whole, part = (train(data=data, **fields, split={"validation_fraction": f})[0] for f in (0.0, 0.4))
    rows, some = ([line["row"] for line in result["influence"]] for result in (whole, part))
    assert sorted(rows) == list(range(1, 443))
    assert len(set(some)) == part["n_rows"] == 265
    assert max(some) > 400


def test_many_rows_in_many_blocks_give_the_largest_of_all(run: Run):
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(3, 2, (120_000, 20)).astype("float32"), columns=list("abcdefghijklmnopqrst"))
    table["y"] = (draw.random(len(table)) < 1 / (1 + np.exp(3 - table.a + table.b / 4))).astype(int)
    single, double = run(table, m=300), run(table, m=300, dtype="float64")
    assert (single["dtype"], double["dtype"]) == ("float32", "float64")
    fit = sm.GLM(table.y, sm.add_constant(table.iloc[:, :20].astype(float)), family=FAMILIES["binomial"]).fit(tol=1e-14)
    influence = fit.get_influence(observed=False)
    distance = pd.Series(np.asarray(influence.cooks_distance[0]), index=table.index + 1)
    for result, rtol in ((single, 1e-4), (double, 1e-6)):
        rows = [line["row"] for line in result["influence"]]
        named = [line["cooks_distance"] for line in result["influence"]]
        np.testing.assert_allclose(named, distance.sort_values(ascending=False)[:300], rtol=rtol)
        np.testing.assert_allclose(named, distance[rows], rtol=rtol)


def test_columns_that_depend_on_others_count_once(run: Run):
    table = crowd()
    expected = theirs(table, "binomial")
    table["twice"] = 2 * table.age + 1
    table["fixed"] = 7.0
    agree(run(table), expected)


def test_columns_that_nearly_repeat_each_other_keep_their_digits(run: Run):
    table = crowd("gaussian")
    table["near"] = table.age + np.random.default_rng(2).normal(0, 1e-3, len(table))
    x = table[["age", "fare", "near"]].assign(one=1.0) - pd.Series({"age": 400, "near": 400, "fare": 0, "one": 0})
    q, _ = np.linalg.qr(np.linalg.qr(x.assign(near=table.near - table.age))[0])
    leverage = pd.Series((q**2).sum(1), index=table.index + 1)
    result = run(table, {"features": ["age", "fare", "near"]}, m=300, model={"family": "gaussian"})
    ours = pd.DataFrame(result["influence"]).set_index("row").leverage
    np.testing.assert_allclose(ours, leverage[ours.index], rtol=1e-6)


def test_a_row_that_alone_determines_a_coefficient_has_no_distance_and_stands_last(run: Run):
    table = crowd("gaussian", n=40)
    table["alone"] = (table.index == 12) * 1.0
    told = run(table, m=40, model={"family": "gaussian"})["influence"]
    assert told[-1]["row"] == 13
    assert told[-1]["leverage"] == pytest.approx(1, abs=1e-9)
    assert (told[-1]["cooks_distance"], told[-1]["std_residual"]) == (None, None)
    assert all(line["cooks_distance"] > 0 for line in told[:-1])


def test_it_is_told_with_other_standard_errors_and_without_any(run: Run):
    table = crowd()
    expected = theirs(table, "binomial")
    for kind in ("hc3", "none"):
        agree(run(table, inference={"std_errors": kind}), expected)
    near = run(table, solver={"name": "adam", "learning_rate": 0.1}, stop={"max_steps": 3000}, dtype="float64")
    agree(near, expected, rtol=1e-2)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"penalty": {"l2": 0.1}}, "a penalty draws"),
        ({"model": {"class_weights": "balanced"}}, "class weights"),
        ({"solver": {"name": "sgd"}, "stop": {"max_steps": 3}}, "not at the optimum"),
        ({"inference": {"influence": None}}, "not asked for"),
    ],
    ids=str,
)
def test_it_is_withheld_where_standard_errors_are(run: Run, fields: dict[str, Any], reason: str):
    result = run(crowd(), **fields)
    assert result["influence"] is None
    assert reason in result["influence_withheld"]


def test_it_is_withheld_where_estimates_are_infinite_or_mended_or_no_row_is_left(run: Run):
    table = crowd()
    table["split"] = table.y * 2.0 - 1
    assert "infinite" in run(table)["influence_withheld"]
    firth = run(table[["split", "y"]], on_separation="firth")
    assert (firth["inference"]["withheld"], firth["influence"]) == (None, None)
    assert "Firth" in firth["influence_withheld"]
    few = run(crowd("gaussian", n=4), {"features": ["age", "fare", "city"]}, model={"family": "gaussian"})
    assert "none is left" in few["influence_withheld"]


def test_a_model_of_more_classes_is_refused(run: Run):
    for fields in ({"model": {"family": "multinomial"}}, {"data": {"source": "builtin", "name": "iris"}}):
        with pytest.raises(InvalidInput, match="one linear predictor") as refused:
            regression_spec(inference={"influence": 3}, **fields)
        assert [(f.field, f.value) for f in refused.value.faults] == [("spec.inference.influence", 3)]
    table = crowd()
    table["y"] = table.index % 3
    with pytest.raises(PermanentError, match="one linear predictor; 'y' is multinomial"):
        run(table)
