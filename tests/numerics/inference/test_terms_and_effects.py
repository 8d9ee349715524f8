"""Tests of whole terms and average marginal effects against statsmodels, from the uploaded file on.

Where statsmodels has no such effects (changes from a reference level among several, products of columns, offsets), they
are made of its estimates and their covariance: from predictions for changed tables, by complex steps.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
import torch
from numpy.typing import NDArray
from statsmodels.tools.numdiff import approx_fprime_cs
from statsmodels.tools.sm_exceptions import ValueWarning

from gradline.errors import CancelRequested, InvalidInput
from gradline.inference.covariance import Inverse
from gradline.inference.terms import joint_tests
from tests.numerics.attempts import regression_spec

Array = NDArray[Any]
COLUMNS = ("effect", "std_error", "z", "p_value", "ci_low", "ci_high")


def crowd(n: int = 400, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({"age": draw.normal(40, 12, n), "fare": draw.lognormal(1, 0.5, n)})
    table["male"] = draw.integers(0, 2, n)
    table["city"] = draw.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2])
    return table


def linear(table: pd.DataFrame) -> Any:
    return (table.age - 40) / 15 - 0.3 * table.fare + 0.7 * table.male + 0.8 * (table.city == "Ulm")


def with_target(table: pd.DataFrame, family: str, seed: int = 1) -> pd.DataFrame:
    draw, z = np.random.default_rng(seed), linear(table)
    if family == "binomial":
        return table.assign(y=(draw.random(len(table)) < 1 / (1 + np.exp(-z))).astype(int))
    if family == "poisson":
        return table.assign(y=draw.poisson(np.exp(z / 3)))
    if family == "gaussian":
        return table.assign(y=z + draw.normal(0, 1, len(table)))
    noise = draw.gumbel(size=(len(table), 3))
    scores = np.stack((0 * z, z, 0.5 * table.fare - 1), 1) + noise
    return table.assign(y=np.array(["x", "y", "z"])[scores.argmax(1)])


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    return sm.add_constant(table[["age", "fare", "male"]].astype(float), has_constant="add")


def theirs_of(family: str, y: Any, x: pd.DataFrame, **fit: Any) -> Any:
    made = {"binomial": sm.Logit, "multinomial": sm.MNLogit, "poisson": sm.Poisson, "gaussian": sm.OLS}[family]
    if family == "gaussian":
        return made(y, x).fit(**fit)
    y = y.astype("category").cat.codes if family == "multinomial" else y
    return made(y, x).fit(disp=0, tol=1e-13, maxiter=100, method="newton", **fit)


def told_effects(result: dict[str, Any], feature: str, columns: tuple[str, ...] = COLUMNS) -> Array:
    """One row a class."""
    told = result["inference"]["marginal_effects"]
    return np.array([[entry[name] for name in columns] for entry in told if entry["feature"] == feature])


def means(family: str, x: Any, params: Array, offset: Any = 0.0) -> Array:
    """[rows, reported classes], of complex parameters too."""
    z = x @ params.reshape(-1, x.shape[1]).T + np.reshape(offset, (-1, 1))
    if family == "gaussian":
        return z
    if family == "poisson":
        return np.exp(z)
    odds = np.concatenate((np.ones_like(z[:, :1]), np.exp(z)), 1)
    chances = odds / odds.sum(1, keepdims=True)
    return chances[:, 1:] if family == "binomial" else chances


def by_hand(theirs: Any, of_params: Callable[[Array], Array]) -> Array:
    """Estimate and standard error, by the delta method, of a function of the parameters; one row for each value."""
    params = np.asarray(theirs.params).ravel(order="F")
    jacobian = np.atleast_2d(approx_fprime_cs(params, of_params))
    errors = np.sqrt(np.einsum("mi,ij,mj->m", jacobian, np.asarray(theirs.cov_params()), jacobian))
    return np.stack((of_params(params), errors), 1)


def change_by_hand(family: str, theirs: Any, low: pd.DataFrame, high: pd.DataFrame, **more: Any) -> Array:
    """From rows of a design to others."""
    weight, offset = more.get("weight", np.ones(len(low))), more.get("offset", 0.0)
    low_np, high_np = low.to_numpy(float), high.to_numpy(float)
    return by_hand(
        theirs,
        lambda params: (
            weight / weight.sum() @ (means(family, high_np, params, offset) - means(family, low_np, params, offset))
        ),
    )


FAMILIES = ["binomial", "multinomial", "poisson"]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("std_errors", ["auto", "hc0"])
@pytest.mark.parametrize("family", FAMILIES)
def test_effects_are_those_of_get_margeff(run, family, std_errors, standardize):
    table = with_target(crowd(), family)
    result, _ = run(
        table,
        {"features": ["age", "fare", "male"]},
        model={"family": family},
        inference={"marginal_effects": True, "std_errors": std_errors},
        preprocess={"standardize": standardize},
    )
    theirs = theirs_of(family, table.y, numbers(table), **({} if std_errors == "auto" else {"cov_type": "HC0"}))
    margins = theirs.get_margeff(at="overall", dummy=family != "multinomial")  # there it fails with dummies
    names = ("age", "fare") if family == "multinomial" else ("age", "fare", "male")
    for j, name in enumerate(names):
        each = [margins.margeff[j], margins.margeff_se[j], margins.tvalues[j], margins.pvalues[j]]
        np.testing.assert_allclose(told_effects(result, name)[:, :4], np.stack(np.atleast_1d(*each), 1), rtol=1e-6)
        np.testing.assert_allclose(
            told_effects(result, name)[:, 4:], np.reshape(margins.conf_int()[j], (2, -1)).T, rtol=1e-6
        )
    classes = [entry.get("class") for entry in result["inference"]["marginal_effects"][::3]]
    assert classes == (["x", "y", "z"] if family == "multinomial" else [None])


def with_levels(table: pd.DataFrame, *, interactions: bool = False) -> pd.DataFrame:
    """The design, as the job makes it of the columns."""
    x = numbers(table)
    for level in ("Kiel", "Ulm"):
        x[f"city={level}"] = (table.city == level) * 1.0
        if interactions:
            x[f"age:city={level}"] = table.age * x[f"city={level}"]
            x[f"male:city={level}"] = table.male * x[f"city={level}"]
    if interactions:
        x["age:fare"] = table.age * table.fare
    return x


INTERACTIONS = [["age", "city"], ["age", "fare"], ["city", "male"]]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("has_interactions", [False, True])
@pytest.mark.parametrize("family", [*FAMILIES, "gaussian"])
def test_effects_go_through_interactions_and_levels_are_set_against_the_reference(
    run, family, has_interactions, standardize
):
    table = with_target(crowd(), family)
    result, _ = run(
        table,
        {"features": ["age", "fare", "male", "city"]},
        model={"family": family},
        inference={"marginal_effects": True},
        preprocess={"standardize": standardize, "interactions": INTERACTIONS if has_interactions else []},
    )

    def design(rows: pd.DataFrame) -> pd.DataFrame:
        return with_levels(rows, interactions=has_interactions)

    theirs = theirs_of(family, table.y, design(table))

    def told(name: str) -> Array:
        return told_effects(result, name, ("effect", "std_error"))

    bonn = design(table.assign(city="Bonn"))
    for level in ("Kiel", "Ulm"):
        each = change_by_hand(family, theirs, bonn, design(table.assign(city=level)))
        np.testing.assert_allclose(told(f"city={level}"), each, rtol=1e-6)
    each = change_by_hand(family, theirs, design(table.assign(male=0)), design(table.assign(male=1)))
    np.testing.assert_allclose(told("male"), each, rtol=1e-6)
    for name, step in (("age", 1e-3), ("fare", 1e-4)):
        low, high = (design(table.assign(**{name: table[name] + side * step / 2})) for side in (-1, 1))
        np.testing.assert_allclose(told(name), change_by_hand(family, theirs, low, high) / step, rtol=1e-6)
    assert len(result["inference"]["marginal_effects"]) == 5 * (3 if family == "multinomial" else 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_rows_count_rows_in_effects_too(run, family):
    table = with_target(crowd(), family)
    table["n"] = np.random.default_rng(2).integers(0, 4, len(table))
    asked = {"model": {"family": family}, "inference": {"marginal_effects": True}}
    weighed, _ = run(table, {"weights": "n"}, **asked)
    each_row, _ = run(table.loc[table.index.repeat(table.n)].drop(columns="n"), **asked)
    for name in ("age", "male", "city=Kiel"):
        np.testing.assert_allclose(told_effects(weighed, name), told_effects(each_row, name), rtol=1e-8)


def test_effects_are_about_predictions_with_the_offset(run):
    table = with_target(crowd(), "poisson").assign(exposure=np.random.default_rng(1).uniform(-1, 1, 400))
    data = {"features": ["age", "city"], "offset": "exposure"}
    result, _ = run(table, data, model={"family": "poisson"}, inference={"marginal_effects": True})
    x = with_levels(table).drop(columns=["fare", "male"])
    theirs = sm.Poisson(table.y, x, offset=table.exposure).fit(disp=0, tol=1e-13, method="newton")
    more, moved = {"offset": table.exposure.to_numpy()}, x.assign(age=x.age + 1e-3)
    each = change_by_hand("poisson", theirs, x.assign(age=x.age - 1e-3), moved, **more) / 2e-3
    np.testing.assert_allclose(told_effects(result, "age", ("effect", "std_error")), each, rtol=1e-6)
    levels = [x.assign(**{"city=Kiel": 0.0, "city=Ulm": ulm}) for ulm in (0.0, 1.0)]
    each = change_by_hand("poisson", theirs, *levels, **more)
    np.testing.assert_allclose(told_effects(result, "city=Ulm", ("effect", "std_error")), each, rtol=1e-6)


@pytest.mark.parametrize("family", ["gaussian", "log-linear"])
def test_effects_on_a_linear_mean_are_the_coefficients(run, family):
    table = with_target(crowd(), "gaussian")
    table["y"] = np.exp(table.y) if family == "log-linear" else table.y
    result, _ = run(table, model={"family": family}, inference={"marginal_effects": True, "confidence": 0.9})
    for entry in result["coefficients"]:
        coefficient = [entry[name] for name in ("estimate", *COLUMNS[1:])]
        np.testing.assert_allclose(told_effects(result, entry["feature"])[0], coefficient, rtol=1e-9)


def test_weights_of_classes_are_in_the_estimates_and_not_in_the_average(run):
    table = with_target(crowd(), "binomial")
    factor = {0: 1.0, 1: 3.0}
    result, _ = run(
        table,
        {"features": ["age", "male"]},
        model={"class_weights": {str(name): weight for name, weight in factor.items()}},
        inference={"marginal_effects": True, "std_errors": "hc0"},
    )
    x = numbers(table).drop(columns="fare")
    weights = sm.GLM(table.y, x, family=sm.families.Binomial(), var_weights=table.y.map(factor))
    theirs = weights.fit(tol=1e-14, tol_criterion="params", cov_type="HC0")
    each = change_by_hand("binomial", theirs, x.assign(male=0), x.assign(male=1))
    np.testing.assert_allclose(told_effects(result, "male", ("effect", "std_error")), each, rtol=1e-6)


@pytest.mark.parametrize("features_max_bytes", [None, 0])
@pytest.mark.parametrize("is_sparse", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_effects_are_the_same_however_features_are_kept(run, monkeypatch, is_sparse, dtype, features_max_bytes):
    """In memory or in a file, in one block or in many."""
    table = with_target(crowd(), "binomial")
    asked = {"inference": {"marginal_effects": True}, "stop": {"tolerance": 1e-10}}
    asked |= {"preprocess": {"interactions": INTERACTIONS, "sparse": is_sparse}}
    theirs = theirs_of("binomial", table.y, with_levels(table, interactions=True))
    monkeypatch.setattr("gradline.inference.rows._BLOCK_NUMBERS", 1)
    result, _ = run(table, dtype=dtype, features_max_bytes=features_max_bytes, **asked)
    bonn, ulm = (with_levels(table.assign(city=city), interactions=True) for city in ("Bonn", "Ulm"))
    low, high = (with_levels(table.assign(age=table.age + step), interactions=True) for step in (-5e-4, 5e-4))
    rtol, columns = 1e-6 if dtype == "float64" else 1e-4, ("effect", "std_error")
    each = change_by_hand("binomial", theirs, bonn, ulm)
    np.testing.assert_allclose(told_effects(result, "city=Ulm", columns), each, rtol=rtol)
    each = change_by_hand("binomial", theirs, low, high) / 1e-3
    np.testing.assert_allclose(told_effects(result, "age", columns), each, rtol=rtol)


def test_effects_in_single_precision_are_determined_by_columns_that_are_not_sums_of_others(run):
    table = with_target(crowd(), "binomial")
    table["both"] = table.age + table.fare
    result, _ = run(table, dtype="float32", inference={"marginal_effects": True})
    told = {entry["feature"]: entry.get("undetermined") for entry in result["inference"]["marginal_effects"]}
    assert {name for name, why in told.items() if why == "collinear"} == {"age", "fare", "both"}
    without, _ = run(table.drop(columns="both"), inference={"marginal_effects": True})
    for name in ("male", "city=Kiel"):
        errors = [told_effects(each, name, ("std_error",)) for each in (result, without)]
        np.testing.assert_allclose(*errors, rtol=1e-3)


def test_a_level_is_set_against_the_reference_only_where_all_levels_of_its_column_are_determined(run):
    table = with_target(crowd(), "multinomial")
    table["is_ulm"] = table.city == "Ulm"
    table["zero"] = np.where(table.male == 1, "no", "yes")
    result, _ = run(table, {"features": ["age", "city", "is_ulm", "zero"]}, inference={"marginal_effects": True})
    told = result["inference"]["marginal_effects"]
    unknown = {entry["feature"] for entry in told if entry["std_error"] is None}
    assert unknown == {"city=Kiel", "city=Ulm", "is_ulm"}
    assert unknown == {entry["feature"] for entry in told if entry.get("undetermined") == "collinear"}


def test_effects_of_a_fit_by_firths_method_are_about_its_estimates(run):
    table = with_target(crowd(60), "binomial")
    table["y"] = np.where(table.city == "Ulm", 1, table.y)
    asked = {"on_separation": "firth", "inference": {"marginal_effects": True}}
    result, _ = run(table, {"features": ["age", "city"]}, **asked)
    assert result["inference"]["method"] == "firth"
    w = {entry["feature"]: entry["estimate"] for entry in result["coefficients"]}
    z = result["intercepts"][0]["estimate"] + w["age"] * table.age
    change = 1 / (1 + np.exp(-z - w["city=Ulm"])) - 1 / (1 + np.exp(-z))
    (effect,) = told_effects(result, "city=Ulm", ("effect",))
    np.testing.assert_allclose(effect, change.mean(), rtol=1e-9)
    city = result["inference"]["terms"][1]
    assert (city["term"], city["df"]) == ("city", 2)


def test_a_missing_value_has_an_effect_of_its_own(run):
    table = with_target(crowd(), "binomial")
    is_missing = np.random.default_rng(3).random(len(table)) < 0.2
    table["age"] = table.age.mask(is_missing)
    table["male"] = table.male.astype(float).mask(~is_missing & (table.index % 7 == 0))
    result, _ = run(
        table,
        {"features": ["age", "male"]},
        preprocess={"missing": "indicator", "interactions": [["age", "male"]]},
        inference={"marginal_effects": True},
    )
    filled = table.fillna(table[["age", "male"]].mean())
    filled["age is missing"], filled["male is missing"] = table.age.isna() * 1.0, table.male.isna() * 1.0

    def design(**changed: Any) -> pd.DataFrame:
        rows = filled.assign(**changed)
        x = rows[["age", "age is missing", "male", "male is missing"]].assign(product=rows.age * rows.male)
        return sm.add_constant(x, has_constant="add")

    theirs = theirs_of("binomial", table.y, design())
    for name in ("age is missing", "male is missing"):
        each = change_by_hand("binomial", theirs, design(**{name: 0.0}), design(**{name: 1.0}))
        np.testing.assert_allclose(told_effects(result, name, ("effect", "std_error")), each, rtol=1e-6)
    for name in ("age", "male"):  # `male` has values between 0 and 1, where it is filled
        low, high = (design(**{name: filled[name] + side * 1e-4}) for side in (-1, 1))
        each = change_by_hand("binomial", theirs, low, high) / 2e-4
        np.testing.assert_allclose(told_effects(result, name, ("effect", "std_error")), each, rtol=1e-6)
    assert [term["df"] for term in result["inference"]["terms"]] == [2, 2, 1]


def test_a_column_is_of_0_and_1_only_where_all_rows_are(run, monkeypatch):
    monkeypatch.setattr("gradline.inference.rows._BLOCK_NUMBERS", 1)
    table = with_target(crowd(), "binomial")
    table["few"] = np.where(table.index == 399, 0.5, table.male)
    result, _ = run(table, {"features": ["age", "few"]}, inference={"marginal_effects": True})
    x = sm.add_constant(table[["age", "few"]])
    (margins,) = theirs_of("binomial", table.y, x).get_margeff(dummy=True).summary_frame().loc[["few"]].to_numpy()
    np.testing.assert_allclose(told_effects(result, "few")[0], margins, rtol=1e-6)


def test_a_job_can_be_cancelled_while_its_effects_are_summed(run):
    table = with_target(crowd(), "binomial")
    _, attempt = run(table)
    with pytest.raises(CancelRequested):
        run(table, stop_at=attempt.n_looks + 1, inference={"marginal_effects": True})


def test_what_the_rows_do_not_determine_has_no_effect(run):
    table = with_target(crowd(), "binomial")
    table["twice"], table["same"] = 2 * table.age, 5.0
    asked = {"inference": {"marginal_effects": True, "intervals": "none"}}
    result, _ = run(table, preprocess={"interactions": [["fare", "male"]]}, **asked)
    without, _ = run(table.drop(columns=["twice", "same"]), preprocess={"interactions": [["fare", "male"]]}, **asked)
    told = {entry["feature"]: entry for entry in result["inference"]["marginal_effects"]}
    why = {name: entry["undetermined"] for name, entry in told.items() if "undetermined" in entry}
    assert why == {"age": "collinear", "twice": "collinear", "same": "constant"}
    assert all(told[name]["effect"] is told[name]["std_error"] is None and "ci_low" not in told[name] for name in why)
    for name in ("fare", "male", "city=Ulm"):
        columns = ("effect", "std_error", "p_value")
        np.testing.assert_allclose(told_effects(result, name, columns), told_effects(without, name, columns), rtol=1e-6)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"penalty": {"l2": 0.1}}, "penalty"),
        ({"model": {"class_weights": "balanced"}}, "class weights"),
        ({"solver": {"name": "sgd"}, "stop": {"max_steps": 2}}, "not at the optimum"),
    ],
)
def test_where_standard_errors_are_withheld_so_are_tests_of_terms_and_effects(run, asked, reason):
    result, _ = run(with_target(crowd(), "binomial"), inference={"marginal_effects": True}, **asked)
    assert reason in result["inference"]["withheld"]
    assert not {"terms", "marginal_effects"} & result["inference"].keys()


def test_effects_cost_a_pass_only_where_they_are_asked_for(run):
    result, _ = run(with_target(crowd(), "binomial"))
    assert "marginal_effects" not in result["inference"]


def test_effects_without_standard_errors_are_refused():
    with pytest.raises(InvalidInput, match="`marginal_effects` come with standard errors"):
        regression_spec(inference={"marginal_effects": True, "std_errors": "none"})


# --- terms


def columns_of(term: str, x: pd.DataFrame) -> list[int]:
    left, _, right = term.partition(":")
    is_of_term = {
        name: [part.split("=")[0] for part in name.removesuffix(" is missing").split(":")]
        == ([left, right] if right else [left])
        for name in x.columns
    }
    return [j for j, name in enumerate(x.columns) if is_of_term[name]]


@pytest.mark.parametrize("std_errors", ["auto", "hc0"])
@pytest.mark.parametrize("family", [*FAMILIES, "gaussian"])
def test_terms_are_tested_as_statsmodels_tests_their_coefficients_together(run, family, std_errors):
    table = with_target(crowd(), family)
    interactions = [["age", "city"], ["age", "fare"], ["male", "city"]]
    result, _ = run(
        table,
        {"features": ["age", "fare", "male", "city"]},
        model={"family": family},
        inference={"std_errors": std_errors},
        preprocess={"interactions": interactions},
    )
    x = with_levels(table, interactions=True)
    theirs = theirs_of(
        family, table.y, x, **({} if std_errors == "auto" else {"cov_type": "HC0", "use_t": family == "gaussian"})
    )
    n_outputs = 2 if family == "multinomial" else 1
    told = result["inference"]["terms"]
    assert [term["term"] for term in told] == ["age", "fare", "male", "city", "age:city", "age:fare", "male:city"]
    for term in told:
        places = [c * x.shape[1] + j for c in range(n_outputs) for j in columns_of(term["term"], x)]
        restriction = np.eye(n_outputs * x.shape[1])[places]
        test = theirs.wald_test(restriction, use_f=family == "gaussian", scalar=True)
        assert term["df"] == len(places)
        statistic = test.statistic * (len(places) if family == "gaussian" else 1)
        np.testing.assert_allclose([term["chi2"], term["p_value"]], [statistic, test.pvalue], rtol=1e-6)


def test_terms_of_a_formula_are_those_of_wald_test_terms(run):
    table = with_target(crowd(), "binomial")
    result, _ = run(table, {"features": ["age", "city"]}, preprocess={"interactions": [["age", "city"]]})
    theirs = smf.logit("y ~ age * C(city)", table).fit(disp=0, tol=1e-13).wald_test_terms(scalar=True).table
    for name, term in zip(("age", "C(city)", "age:C(city)"), result["inference"]["terms"], strict=True):
        ours = [term[column] for column in ("chi2", "p_value", "df")]
        np.testing.assert_allclose(
            ours, theirs.loc[name, ["statistic", "pvalue", "df_constraint"]].astype(float), rtol=1e-6
        )


def test_a_term_is_tested_by_what_the_rows_determine_of_it(run):
    table = with_target(crowd(), "binomial").assign(same=1.0)
    table["is_ulm"] = (table.city == "Ulm") * 1.0
    result, _ = run(table)
    told = {term["term"]: term for term in result["inference"]["terms"]}
    assert {name: term.get("undetermined") for name, term in told.items()} == {
        "age": None,
        "fare": None,
        "male": None,
        "city": "collinear",
        "same": "constant",
        "is_ulm": "collinear",
    }
    assert (told["is_ulm"]["df"], told["is_ulm"]["chi2"], told["is_ulm"]["p_value"]) == (0, None, None)
    theirs = theirs_of("binomial", table.y, with_levels(table))
    kiel = theirs.wald_test(np.eye(6)[4:5], scalar=True)
    assert told["city"]["df"] == 1
    np.testing.assert_allclose(
        [told["city"]["chi2"], told["city"]["p_value"]], [kiel.statistic, kiel.pvalue], rtol=1e-6
    )
    age = theirs.wald_test(np.eye(6)[1:2], scalar=True)
    np.testing.assert_allclose(told["age"]["chi2"], age.statistic, rtol=1e-6)


def test_a_covariance_without_rank_tests_what_it_has_errors_of(run):
    """Rows with a level to themselves are fitted exactly, so that HC0 takes the error of their difference for 0."""
    table = with_target(crowd(), "gaussian")
    table["city"] = table.city.mask(table.index == 0, "Xanten").mask(table.index == 1, "Zons")
    result, _ = run(table, {"features": ["city"]}, model={"family": "gaussian"}, inference={"std_errors": "hc0"})
    (city,) = result["inference"]["terms"]
    assert (city["df"], city["undetermined"]) == (3, "singular")
    x = pd.get_dummies(table.city, drop_first=True, dtype=float)
    theirs = sm.OLS(table.y, sm.add_constant(x)).fit(cov_type="HC0", use_t=True)
    with pytest.warns(ValueWarning, match="does not have full rank"):
        test = theirs.wald_test(np.eye(5)[1:], use_f=True, scalar=True)
    np.testing.assert_allclose([city["chi2"] / 3, city["p_value"]], [test.statistic, test.pvalue], rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_a_joint_test_is_that_of_the_pseudo_inverse_where_the_covariance_lacks_rank(seed):
    draw, rank, terms = np.random.default_rng(seed), 1 + seed % 4, [[0, 1, 2, 3], [4], [5, 6, 7, 8]]
    root_qs, theta_q = draw.normal(size=(9, rank)), torch.as_tensor(draw.normal(size=9))
    v_qq = torch.as_tensor(root_qs @ root_qs.T)
    inverse = Inverse(v_qq, v_qq.new_zeros(9, 0), torch.as_tensor(draw.uniform(0.5, 2, 9)))
    tests = joint_tests(theta_q, v_qq, inverse, terms)
    scale_q = inverse.scale_q.numpy()
    for t, term in enumerate(terms):
        of_unit = (theta_q.numpy() * scale_q)[term]
        covariance = (v_qq.numpy() * np.outer(scale_q, scale_q))[np.ix_(term, term)]
        theirs = of_unit @ np.linalg.pinv(covariance, rcond=1e-10) @ of_unit
        assert tests.df_t[t] == min(rank, len(term))
        np.testing.assert_allclose(tests.statistic_t[t], theirs, rtol=1e-6)


def test_a_column_with_the_name_of_an_interaction_is_another_term(run):
    table = with_target(crowd(), "binomial").rename(columns={"male": "age:fare"})
    result, _ = run(table, preprocess={"interactions": [["age", "fare"]]})
    assert [term["term"] for term in result["inference"]["terms"]] == [
        "age",
        "fare",
        "age:fare",
        "city",
        "'age':'fare'",
    ]
