"""What a job's result says of its estimates, from the uploaded file on."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import Poisson

from gradline.errors import CancelRequested, PermanentError
from gradline.training import Outcome
from gradline.worker.kinds.regression_result import advice_of


def crowd(n: int = 300, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({"age": draw.normal(40, 12, n), "fare": draw.lognormal(3, 1, n)})
    table["city"] = draw.choice(["Bonn", "Kiel", "Ulm"], n)
    z = (40 - table.age) / 15 + (table.city == "Ulm") - 0.3
    table["y"] = (draw.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return table


def design(table: pd.DataFrame) -> pd.DataFrame:
    x = table[["age", "fare"]].copy()
    x["city=Kiel"], x["city=Ulm"] = (table.city == "Kiel") * 1.0, (table.city == "Ulm") * 1.0
    return sm.add_constant(x)


def entries(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["feature"]: c for c in result["coefficients"]} | {"const": result["intercepts"][0]}


def test_coefficients_come_with_the_errors_and_tests_of_statsmodels_on_the_columns_own_scale(run):
    table = crowd()
    result, _ = run(table, {"features": ["age", "fare", "city"]})
    theirs = sm.Logit(table.y, design(table)).fit(disp=0, tol=1e-12)
    told = entries(result)
    assert told.keys() == set(theirs.params.index)
    for name, entry in told.items():
        low, high = theirs.conf_int().loc[name]
        ours = [entry[key] for key in ("estimate", "std_error", "z", "p_value", "ci_low", "ci_high")]
        each = [theirs.params[name], theirs.bse[name], theirs.tvalues[name], theirs.pvalues[name], low, high]
        np.testing.assert_allclose(ours, each, rtol=1e-6)
    age = told["age"]["odds_ratio"]
    np.testing.assert_allclose(list(age.values()), np.exp([theirs.params.age, *theirs.conf_int().loc["age"]]))
    assert result["inference"]["aic"] == pytest.approx(theirs.aic, rel=1e-9)
    assert result["inference"]["weights"] == "frequencies"
    assert result["separation"] == {"kind": "none"}
    assert result["collinearity"]["rank"] == 4
    json.dumps(result, allow_nan=False)


def test_three_classes_are_told_on_the_sum_to_zero_gauge_and_against_the_first(run):
    table = crowd()
    table["y"] = np.where(table.age > 45, table.y, table.y + 1)
    result, _ = run(table, {"features": ["age", "fare"]}, model={"family": "multinomial"})
    theirs = sm.MNLogit(table.y, sm.add_constant(table[["age", "fare"]])).fit(disp=0, tol=1e-12, maxiter=100)
    block = result["inference"]
    assert (block["gauge"], block["reference_class"]) == ("sum_to_zero", 0)
    for entry in block["contrasts"]:
        name, column = entry.get("feature", "const"), entry["class"] - 1
        np.testing.assert_allclose(entry["estimate"], theirs.params.loc[name].iloc[column], rtol=1e-6)
        np.testing.assert_allclose(entry["std_error"], theirs.bse.loc[name].iloc[column], rtol=1e-6)
    ages = [c["estimate"] for c in result["coefficients"] if c["feature"] == "age"]
    assert sum(ages) == pytest.approx(0.0, abs=1e-12)


def three_classes() -> pd.DataFrame:
    table = crowd()[["age", "fare"]]
    table["y"] = np.random.default_rng(3).choice(["alpha", "beta", "gamma"], len(table))
    return table


def test_contrasts_have_the_intervals_that_are_asked_for(run):
    by_profile, _ = run(three_classes(), inference={"intervals": "profile", "confidence": 0.9})
    by_wald, _ = run(three_classes(), inference={"confidence": 0.9})
    for ours, plain in zip(by_profile["inference"]["contrasts"], by_wald["inference"]["contrasts"], strict=True):
        assert ours["std_error"] == pytest.approx(plain["std_error"])
        assert ours["ci_low"] != pytest.approx(plain["ci_low"], rel=1e-6)
        assert ours["ci_low"] == pytest.approx(plain["ci_low"], abs=0.1 * plain["std_error"])
        assert ours["lr_statistic"] == pytest.approx(plain["z"] ** 2, rel=0.1, abs=0.01)
    without, _ = run(three_classes(), inference={"intervals": "none"})
    assert not any("ci_low" in entry for entry in without["inference"]["contrasts"])


def test_profiles_of_columns_that_all_depend_on_each_other_are_missing(run):
    table = three_classes()
    table["both"] = table.age + table.fare + 3
    result, _ = run(table, inference={"intervals": "profile"}, preprocess={"standardize": False})
    entries = result["coefficients"] + result["inference"]["contrasts"]
    assert {entry["ci_low"] for entry in entries} == {None}
    assert {entry["undetermined"] for entry in entries} == {"collinear"}


def test_a_poisson_job_with_an_offset_tells_rate_ratios(run):
    table = crowd()
    table["exposure"] = np.log(np.random.default_rng(1).uniform(0.5, 3, len(table)))
    table["y"] = np.random.default_rng(2).poisson(np.exp(0.02 * table.age - 1 + table.exposure))
    result, _ = run(
        table, {"features": ["age"], "offset": "exposure"}, model={"family": "poisson"}, inference={"std_errors": "hc0"}
    )
    x = sm.add_constant(table[["age"]])
    theirs = sm.GLM(table.y, x, family=Poisson(), offset=table.exposure).fit(cov_type="HC0", tol=1e-13)
    (age,) = result["coefficients"]
    np.testing.assert_allclose([age["estimate"], age["std_error"]], [theirs.params.age, theirs.bse.age], rtol=1e-6)
    assert age["rate_ratio"]["estimate"] == pytest.approx(np.exp(theirs.params.age))
    assert result["inference"]["method"] == "hc0"


@pytest.mark.parametrize("family", ["gaussian", "log-linear"])
def test_least_squares_tell_students_t_and_the_variance_explained(run, family):
    table = crowd()
    table["y"] = np.exp(np.random.default_rng(1).normal(0.02 * table.age, 0.3))
    result, _ = run(table, {"features": ["age", "fare"]}, model={"family": family})
    target = np.log(table.y) if family == "log-linear" else table.y
    theirs = sm.OLS(target, sm.add_constant(table[["age", "fare"]])).fit()
    told, block = entries(result), result["inference"]
    for name, entry in told.items():
        np.testing.assert_allclose(
            [entry["std_error"], entry["p_value"], entry["ci_low"]],
            [theirs.bse[name], theirs.pvalues[name], theirs.conf_int().loc[name][0]],
            rtol=1e-6,
        )
    assert (block["distribution"], block["df"]) == ("t", theirs.df_resid)
    assert block["adjusted_r_squared"] == pytest.approx(theirs.rsquared_adj, rel=1e-9)
    assert result["separation"] is None


@pytest.mark.parametrize("std_errors", ["auto", "hc1", "hc3"])
@pytest.mark.parametrize("n_columns", [9, 15])
@pytest.mark.parametrize("penalty", [{}, {"l2": 0.1}])
def test_as_many_coefficients_as_rows_leave_no_standard_errors(run, std_errors, n_columns, penalty):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(10, n_columns))).rename(columns="x{}".format)
    table["y"] = np.arange(10.0) ** 2
    asked = {"inference": {"std_errors": std_errors}, "penalty": penalty}
    result, _ = run(table, model={"family": "gaussian"}, **asked)
    assert result["inference"]["withheld"] is not None
    assert "std_error" not in result["coefficients"][0]
    if not penalty:
        assert "as many coefficients as there are rows" in result["inference"]["withheld"]
        assert result["inference"]["r_squared"] == pytest.approx(1)


def test_weights_that_add_up_to_one_are_told_to_count_rows(run):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(50, 2)), columns=["x", "y"]).assign(w=0.02)
    result, _ = run(table, {"weights": "w"}, model={"family": "gaussian"})
    assert (
        "data.weights count rows, and add up to 1, no more than the 2 coefficients" in (result["inference"]["withheld"])
    )


def test_weights_that_are_shares_or_of_a_sample_are_told_to_count_rows(run):
    table = crowd(100)
    share = np.random.default_rng(0).uniform(0.2, 1.8, len(table))
    said = {}
    for scale in (1.0, 1 / share.sum(), 30.5):
        _, attempt = run(table.assign(w=share * scale), {"weights": "w"})
        said[scale] = attempt.warnings.get("weights_count_rows")
    assert said[1.0] is None
    assert "add up to 1 for 100 rows" in str(said[1 / share.sum()])
    assert "multiply them by 100 " in str(said[1 / share.sum()])
    assert "add up to 3" in str(said[30.5])


def test_weights_that_are_whole_numbers_or_penalised_fits_without_errors_are_taken_as_they_are(run):
    table = crowd(100).assign(w=lambda rows: 5 + rows.index % 3)
    for weight, penalty in ((table.w, {}), (table.w / 1e3, {"l2": 0.1})):
        _, attempt = run(table.assign(w=weight), {"weights": "w"}, penalty=penalty)
        assert "weights_count_rows" not in attempt.warnings


def test_errors_corrected_for_parameters_are_withheld_where_weights_count_no_more_rows(run):
    table = crowd(100).assign(w=0.01)
    result, _ = run(table, {"weights": "w"}, inference={"std_errors": "hc1"})
    assert "data.weights count rows, and add up to 1, no more than the 5" in result["inference"]["withheld"]
    assert "std_error" not in result["coefficients"][0]


def test_columns_too_many_for_a_hessian_that_separate_the_classes_are_no_converged_fit(run):
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(size=(40, 2_050))).add_prefix("x")
    for classes in (["no", "yes"], ["a", "b", "c"]):
        result, _ = run(table.assign(y=[classes[i % len(classes)] for i in range(40)]))
        assert result["solver"]["name"] == "newton-cg"
        assert (result["outcome"], result["certificate"]["minimum_exists"]) == ("separated", False)
    with pytest.raises(PermanentError, match="the rows can be separated"):
        run(table.assign(y=draw.permutation(40) % 2), on_separation="error")


def test_separated_counts_are_told_no_mend_that_needs_classes(run):
    table = crowd().drop(columns="y")
    table["y"] = np.where(table.city == "Ulm", 0, np.random.default_rng(0).poisson(2, len(table)))
    result, attempt = run(table, model={"family": "poisson"})
    assert result["outcome"] == "separated"
    said = [result["advice"], result["inference"]["withheld"], attempt.warnings["separable"]]
    assert all("set penalty.l2 above 0" in mend and "on_separation" not in mend for mend in said)


@pytest.mark.parametrize("asked", [{}, {"on_separation": "firth"}])
def test_a_separated_fit_whose_columns_are_not_found_has_no_standard_errors(run, monkeypatch, asked):
    monkeypatch.setattr("gradline.worker.kinds.regression_doctor.MAX_PROGRAM_ENTRIES", 0)
    table = crowd().assign(y=lambda rows: (rows.age > 40).astype(int))
    result, attempt = run(table, **asked)
    assert (result["outcome"], result["separation"]["kind"]) == ("separated", "undetermined")
    assert "the rows can be separated" in result["inference"]["withheld"]
    assert "std_error" not in result["coefficients"][0]
    assert ("not_mended" in attempt.warnings) == bool(asked)
    with pytest.raises(PermanentError, match="the rows can be separated"):
        run(table, on_separation="error")


@pytest.mark.parametrize(("limit", "is_offered"), [("MAX_COST", True), ("MAX_PARAMETERS", False)])
def test_a_separated_fit_too_large_to_examine_is_told_only_mends_that_are_done(run, monkeypatch, limit, is_offered):
    monkeypatch.setattr(f"gradline.worker.kinds.regression_doctor.{limit}", 1)
    table = crowd().assign(y=lambda rows: (rows.age > 40).astype(int))
    advice = run(table)[0]["advice"]
    assert "set penalty.l2 above 0" in advice
    assert ("on_separation to firth" in advice) == is_offered
    mended, attempt = run(table, on_separation="firth")
    assert ("not_mended" not in attempt.warnings) == is_offered == (mended["outcome"] == "converged")
    with pytest.raises(PermanentError) as refused:
        run(table, on_separation="error")
    assert ("firth" in str(refused.value)) == is_offered


def test_the_result_lists_what_was_warned_of(run):
    result, attempt = run(crowd().assign(same=3.0))
    assert result["warnings"] == [{"code": "constant_columns", "message": attempt.warnings["constant_columns"]}]


def test_a_target_that_the_columns_determine_is_a_converged_fit(run):
    draw = np.random.default_rng(0)
    for n in (5, 6, 30):
        table = pd.DataFrame(draw.normal(size=(n, 5)), columns=[*"abcde"]).assign(
            y=lambda rows: 2 + rows @ np.arange(5)
        )
        result, _ = run(table, model={"family": "gaussian"})
        assert (result["outcome"], result["certificate"]["relative_gap"], result["advice"]) == ("converged", 0, None)


def test_hc3_is_withheld_where_a_row_alone_determines_a_coefficient(run):
    table = crowd()
    table.loc[5, "city"] = "Rom"
    table["y"] = table.age + np.random.default_rng(0).normal(size=len(table))
    for kind, is_defined in (("hc1", True), ("hc3", False)):
        result, _ = run(table, model={"family": "gaussian"}, inference={"std_errors": kind})
        assert (result["inference"]["withheld"] is None) == is_defined, result["inference"]["withheld"]


def test_hc1_counts_the_coefficients_that_the_rows_determine(run):
    table = crowd()
    table["y"] = table.age + np.random.default_rng(0).normal(size=len(table))
    table["months"] = 12 * table.age
    features = {"features": ["age", "months", "fare"]}
    result, _ = run(table, features, model={"family": "gaussian"}, inference={"std_errors": "hc1"})
    theirs = sm.OLS(table.y, sm.add_constant(table[["age", "fare"]])).fit(cov_type="HC1")
    assert entries(result)["fare"]["std_error"] == pytest.approx(theirs.bse.fare, rel=1e-9)


def test_steps_of_sgd_are_not_taken_for_an_optimum(run):
    table = crowd()
    sgd = {"name": "sgd", "learning_rate": 0.1}
    result, _ = run(table, {"features": ["age"]}, solver=sgd, stop={"max_steps": 20})
    assert "std_error" not in result["coefficients"][0]
    assert "sgd" in result["inference"]["withheld"]
    asked = {"std_errors": "hessian"}
    result, _ = run(table, {"features": ["age"]}, solver=sgd, stop={"max_steps": 20}, inference=asked)
    assert "not at the optimum" in result["inference"]["withheld"]
    stop = {"max_steps": 3000}
    result, _ = run(
        table, {"features": ["age"]}, solver=sgd | {"momentum": 0.9}, stop=stop, inference=asked, dtype="float64"
    )
    assert result["inference"]["withheld"] is None
    assert result["coefficients"][0]["std_error"] > 0


@pytest.mark.parametrize("penalty", [{"l2": 0.05}, {"l1": 0.01}])
def test_penalised_fits_withhold_p_values_and_give_bootstrap_intervals(run, penalty):
    result, _ = run(crowd(), {"features": ["age", "city"]}, penalty=penalty, inference={"bootstrap": 60})
    age = entries(result)["age"]
    assert "p_value" not in age
    assert age["ci_low"] < age["estimate"] < age["ci_high"]
    assert age["ci_low"] == age["bootstrap_ci_low"]
    block = result["inference"]
    assert "penalty" in block["withheld"]
    assert block["bootstrap"] == {"n_replicates": 60, "n_failed": 0, "withheld": None}
    assert block["aic"] is None


def test_replicates_are_not_compared_with_a_fit_that_did_not_end(run):
    sgd = {"name": "sgd", "learning_rate": 0.1}
    result, _ = run(crowd(), {"features": ["age"]}, solver=sgd, stop={"max_steps": 20}, inference={"bootstrap": 20})
    assert "minimum" in result["inference"]["bootstrap"]["withheld"]
    assert "bootstrap_ci_low" not in result["coefficients"][0]


def test_intervals_are_withheld_where_many_replicates_have_no_estimate(run):
    table = with_a_bad_level()
    table.loc[table.index[table.y == 0][:1], "city"] = "Oz"
    result, _ = run(table, {"features": ["age", "city"]}, inference={"bootstrap": 40})
    block = result["inference"]["bootstrap"]
    assert block["n_failed"] > 5
    assert "on_separation" in block["withheld"]
    assert entries(result)["age"]["bootstrap_ci_low"] is None
    assert entries(result)["age"]["std_error"] > 0


def test_a_target_that_was_reached_stays_the_outcome_of_separated_rows(run):
    table = crowd()
    table["y"] = (table.age > 40).astype(int)
    sgd = {"name": "sgd", "learning_rate": 0.1}
    for solver in (sgd, {"name": "lbfgs"}):
        result, _ = run(table, {"features": ["age"]}, solver=solver, stop={"accuracy_above": 0.9}, on_separation="warn")
        assert result["outcome"] == "target_reached"


def test_a_bootstrap_ends_when_its_attempt_must(run, monkeypatch):
    monkeypatch.setattr("gradline.inference.bootstrap._MAX_WEIGHTS", 1)
    with pytest.raises(CancelRequested):
        run(crowd(50), {"features": ["age"]}, stop_at=40, inference={"bootstrap": 10_000})


def test_class_weights_leave_robust_errors_only(run):
    model = {"class_weights": {"1": 6.0}}
    result, _ = run(crowd(), {"features": ["age"]}, model=model)
    assert "class weights" in result["inference"]["withheld"]
    robust, _ = run(crowd(), {"features": ["age"]}, model=model, inference={"std_errors": "hc0", "bootstrap": 400})
    age = entries(robust)["age"]
    assert age["bootstrap_std_error"] == pytest.approx(age["std_error"], rel=0.15)
    assert robust["inference"]["weights"] == "sampling"


def with_a_bad_level() -> pd.DataFrame:
    table = crowd()
    table.loc[table.index[table.y == 1][:6], "city"] = "Oz"
    return table


def test_a_level_seen_with_one_class_is_named_and_its_coefficient_called_infinite(run):
    result, attempt = run(with_a_bad_level(), {"features": ["age", "city"]})
    block = result["separation"]
    assert (block["kind"], block["n_rows"], block["mend"]) == ("quasi_complete", 6, None)
    assert block["separators"] == [{"feature": "city=Oz", "class": 1, "side": "above", "strict": False}]
    assert block["infinite"] == [{"feature": "city=Oz", "direction": "inf"}]
    told = entries(result)
    assert told["city=Oz"]["infinite"] == "inf"
    assert "infinite" not in told["age"]
    assert result["outcome"] == "separated"
    assert "'city=Oz'" in attempt.warnings["separable"]
    assert result["advice"].startswith("the rows are separated by 'city=Oz', so coefficients grow without end: set ")
    json.dumps(result, allow_nan=False)


def test_a_reference_level_seen_with_one_class_is_named_itself(run):
    table = crowd()
    table.loc[table.city == "Bonn", "y"] = 1
    result, attempt = run(table, {"features": ["age", "city"]})
    assert result["separation"]["separators"] == [
        {"feature": "city=Bonn", "class": 1, "side": "above", "strict": False}
    ]
    assert "'city=Bonn'" in attempt.warnings["separable"]
    assert "city=Ulm" not in attempt.warnings["separable"]
    assert {**entries(result)["city=Ulm"]}["infinite"] == "-inf"


@pytest.mark.parametrize(("certain", "other"), [("Bonn", "Ulm"), ("Ulm", "Bonn")])
@pytest.mark.parametrize("y", [0, 1])
def test_of_two_levels_the_one_that_is_certain_is_named(run, certain, other, y):
    table = crowd().query("city != 'Kiel'").reset_index(drop=True)
    table.loc[table.city == certain, "y"] = y
    separators = run(table, {"features": ["age", "city"]})[0]["separation"]["separators"]
    side = "above" if y == 1 else "below"
    assert separators == [{"feature": f"city={certain}", "class": 1, "side": side, "strict": False}]


@pytest.mark.parametrize("standardize", [True, False])
def test_a_reference_level_without_counts_is_named_itself(run, standardize):
    table = crowd()
    table["y"] = np.where(table.city == "Bonn", 0, 1 + (table.age > 40))
    result, _ = run(
        table,
        {"features": ["age", "city"]},
        model={"family": "poisson"},
        preprocess={"standardize": standardize},
    )
    assert result["separation"]["combination"] == ["city=Bonn"]


def test_on_separation_firth_gives_finite_estimates_and_tests(run):
    table = with_a_bad_level()
    result, _ = run(table, {"features": ["age", "city"]}, on_separation="firth", inference={"intervals": "profile"})
    told = entries(result)["city=Oz"]
    assert result["outcome"] == "converged"
    assert result["separation"]["mend"] == result["inference"]["method"] == "firth"
    assert 0 < told["estimate"] < 10
    assert told["ci_low"] < told["estimate"] < told["ci_high"]
    assert told["lr_p_value"] < 0.5
    assert "infinite" not in told


def test_class_weights_and_firths_method_leave_the_bootstrap_only(run):
    asked = {"on_separation": "firth", "model": {"class_weights": "balanced"}}
    for kind in ("auto", "hc0"):
        errors = {"std_errors": kind, "bootstrap": 20}
        result, _ = run(with_a_bad_level(), {"features": ["age", "city"]}, inference=errors, **asked)
        assert result["inference"]["withheld"].endswith("ask for inference.bootstrap")
        assert result["coefficients"][0]["ci_low"] < result["coefficients"][0]["ci_high"]


@pytest.mark.parametrize("mend", ["firth", "ridge"])
def test_what_was_mended_is_not_advised_any_more(run, mend):
    result, attempt = run(with_a_bad_level(), {"features": ["age", "city"]}, on_separation=mend)
    assert result["separation"]["advice"] is result["advice"] is None
    assert "set on_separation" not in attempt.warnings["separable"]
    assert "those told are finite" in attempt.warnings["separable"]


def test_firth_of_a_two_by_two_table_adds_half_a_row_to_each_cell(run):
    counts = {(1, 1): 10, (1, 0): 0, (0, 1): 5, (0, 0): 8}
    table = pd.DataFrame([{"x": x, "y": y, "n": n} for (x, y), n in counts.items()])
    result, _ = run(table, {"features": ["x"], "weights": "n"}, on_separation="firth")
    told = entries(result)
    assert told["x"]["estimate"] == pytest.approx(np.log((10.5 / 0.5) / (5.5 / 8.5)), rel=1e-9)
    assert told["const"]["estimate"] == pytest.approx(np.log(5.5 / 8.5), rel=1e-9)


def test_on_separation_ridge_fits_again_with_a_small_penalty(run):
    result, attempt = run(with_a_bad_level(), {"features": ["age", "city"]}, on_separation="ridge")
    assert (result["separation"]["mend"], result["separation"]["l2"]) == ("ridge", pytest.approx(1 / 300))
    again, _ = run(with_a_bad_level(), {"features": ["age", "city"]}, penalty={"l2": 1 / 300})
    for ours, theirs in zip(result["coefficients"], again["coefficients"], strict=True):
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-4)
    saved = json.loads(attempt.files["model.json"])
    assert saved["features"][0]["coefficients"][0] == pytest.approx(result["coefficients"][0]["estimate"])


def test_on_separation_error_fails_and_names_the_level(run):
    with pytest.raises(PermanentError, match="city=Oz") as raised:
        run(with_a_bad_level(), {"features": ["age", "city"]}, on_separation="error")
    assert raised.value.code == "separated"


def test_an_ordinary_fit_is_not_touched_by_on_separation(run):
    plain, _ = run(crowd(), {"features": ["age", "city"]})
    firth, _ = run(crowd(), {"features": ["age", "city"]}, on_separation="firth")
    assert firth["coefficients"] == plain["coefficients"]
    assert firth["separation"] == {"kind": "none"}


def test_the_certificate_says_what_the_doctor_found_of_a_minimum(run):
    features = {"features": ["age", "city"]}
    certificates = {
        "ordinary": run(crowd(), features)[0]["certificate"],
        "separated": run(with_a_bad_level(), features)[0]["certificate"],
        "mended": run(with_a_bad_level(), features, on_separation="firth")[0]["certificate"],
        "unexamined": run(crowd(), features, inference={"std_errors": "none"})[0]["certificate"],
    }
    found = {name: certificate["minimum_exists"] for name, certificate in certificates.items()}
    assert found == {"ordinary": True, "separated": False, "mended": True, "unexamined": None}


def test_collinear_and_constant_columns_are_named_and_only_their_errors_are_missing(run):
    table = crowd()
    table["months"], table["planet"] = table.age * 12, 3.0
    result, attempt = run(table, {"features": ["age", "fare", "months", "planet"]})
    block, told = result["collinearity"], entries(result)
    assert block["dependent"] == [{"feature": "months", "of": ["age"]}]
    assert block["constant"] == ["planet"]
    assert "'months'" in attempt.warnings["collinear_columns"]
    assert [told[name]["std_error"] is None for name in ("age", "fare", "months", "planet")] == [
        True,
        False,
        True,
        True,
    ]
    without, _ = run(table, {"features": ["age", "fare"]})
    for name in ("fare", "const"):
        assert told[name]["std_error"] == pytest.approx(entries(without)[name]["std_error"], rel=1e-6)
    assert result["inference"]["df_model"] == 2
    why = {"age": "collinear", "months": "collinear", "planet": "constant"}
    assert {name: entry["undetermined"] for name, entry in told.items() if "undetermined" in entry} == why


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("target", "spec"),
    [
        ("y", {}),
        ("y", {"inference": {"intervals": "profile"}}),
        ("y", {"inference": {"std_errors": "hc3", "bootstrap": 50}}),
        ("y", {"on_separation": "firth"}),
        ("fare", {"model": {"family": "gaussian"}}),
        ("fare", {"model": {"family": "poisson"}}),
        ("city", {}),
    ],
)
def test_beside_a_constant_column_everything_is_as_without_it(run, standardize: bool, target: str, spec: Any):
    table = crowd()
    table["one"] = (table.age > 45) & (table.y == 1) if "on_separation" in spec else table.age**0.5
    data, spec = {"target": target, "features": ["age", "one"]}, spec | {"preprocess": {"standardize": standardize}}
    without, _ = run(table, data, **spec)
    result, _ = run(table.assign(planet=0.1, moon=-7.0), data | {"features": ["age", "planet", "one", "moon"]}, **spec)
    for part in ("coefficients", "intercepts"):
        told = [entry for entry in result[part] if entry.get("feature") not in ("planet", "moon")]
        for entry, expected in zip(told, without[part], strict=True):
            for name, value in expected.items():
                assert entry[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5, abs=1e-9))
    for entry in result["coefficients"]:
        if entry["feature"] in ("planet", "moon"):
            assert (entry["estimate"], entry["undetermined"]) == (0.0, "constant")
            assert not any(entry[name] for name in entry if name.endswith(("error", "low", "high", "z", "p_value")))
    assert result["inference"]["aic"] == pytest.approx(without["inference"]["aic"])


def test_a_penalised_or_unfinished_fit_holds_no_constant_column_at_zero(run):
    table = crowd().assign(planet=2.0)
    data, plain = {"features": ["age", "planet"]}, {"preprocess": {"standardize": False}}
    result, _ = run(table, data, penalty={"l2": 0.1}, **plain)
    assert entries(result)["planet"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    result, _ = run(table, data, solver={"name": "sgd", "learning_rate": 1e-4}, stop={"max_steps": 5}, **plain)
    assert "undetermined" not in entries(result)["planet"]
    assert entries(result)["planet"]["estimate"] != 0


@pytest.mark.parametrize("file", ["csv", "parquet"])
@pytest.mark.parametrize("family", ["binomial", "gaussian"])
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_sum_computed_in_single_precision_is_named_collinear(run, family, file, seed):
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(draw.normal(5, 2, (200, 3)), columns=["a", "b", "other"])
    table["y"] = table.a + draw.normal(size=200) if family == "gaussian" else (draw.random(200) < 0.5).astype(int)
    without = entries(run(table, {"features": ["a", "b", "other"]}, model={"family": family})[0])
    table["c"] = table.a.astype(np.float32) + table.b.astype(np.float32)
    table = table.astype(dict.fromkeys(["a", "b", "c"], np.float32))
    features = {"features": ["a", "b", "c", "other"]}
    result, attempt = run(table, features, model={"family": family}, file=file)
    assert (result["outcome"], result["steps"] < 10) == ("converged", True)
    (found,) = result["collinearity"]["dependent"]
    assert {found["feature"], *found["of"]} == {"a", "b", "c"}
    assert "collinear_columns" in attempt.warnings
    told = entries(result)
    assert {name for name, entry in told.items() if entry["std_error"] is None} == {"a", "b", "c"}
    # Newton's method still fits what rounding left of the third column, as it would any other column.
    assert told["other"]["std_error"] == pytest.approx(
        without["other"]["std_error"], rel=3e-2 if family == "binomial" else 1e-6
    )


def test_scaling_a_column_scales_its_estimate_and_error_and_leaves_the_test(run):
    table = crowd()
    plain = entries(run(table, {"features": ["age", "fare"]})[0])
    table["age"] *= 1000
    scaled = entries(run(table, {"features": ["age", "fare"]})[0])
    for key, factor in (("estimate", 1000), ("std_error", 1000), ("z", 1), ("p_value", 1), ("ci_low", 1000)):
        assert scaled["age"][key] * factor == pytest.approx(plain["age"][key], rel=1e-7)
        assert scaled["fare"][key] == pytest.approx(plain["fare"][key], rel=1e-7)


def test_swapping_the_classes_turns_the_signs_only(run):
    table = crowd()
    plain = entries(run(table, {"features": ["age", "fare"]})[0])
    table["y"] = 1 - table.y
    swapped = entries(run(table, {"features": ["age", "fare"]})[0])
    for name in plain:
        assert swapped[name]["estimate"] == pytest.approx(-plain[name]["estimate"], rel=1e-8)
        assert swapped[name]["std_error"] == pytest.approx(plain[name]["std_error"], rel=1e-8)


def test_a_row_of_weight_two_is_that_row_twice(run):
    table = crowd(120)
    table["w"] = 1 + np.arange(120) % 3
    roles = {"features": ["age", "fare"]}
    for kind in ("hessian", "hc3"):
        asked = {"inference": {"std_errors": kind}, "preprocess": {"standardize": False}}
        weighed = entries(run(table, roles | {"weights": "w"}, **asked)[0])
        repeated = entries(run(table.loc[table.index.repeat(table.w)], roles, **asked)[0])
        for name, entry in weighed.items():
            assert entry["std_error"] == pytest.approx(repeated[name]["std_error"], rel=1e-6)


def test_without_intervals_or_errors_asked_for_there_are_none(run):
    result, _ = run(crowd(), {"features": ["age"]}, inference={"std_errors": "none"})
    assert result["inference"] == {"withheld": "not asked for"}
    result, _ = run(crowd(), {"features": ["age"]}, inference={"intervals": "none"})
    assert "ci_low" not in result["coefficients"][0]
    assert result["coefficients"][0]["std_error"] > 0


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs", "proximal-newton"])
def test_a_count_of_zero_that_nothing_else_holds_has_no_finite_estimate_though_all_counts_are_fitted(run, solver):
    cells = pd.DataFrame({"a": list("uuvv"), "b": list("pqpq"), "y": [10, 0, 5, 7]})
    result, _ = run(
        cells, model={"family": "poisson"}, preprocess={"interactions": [["a", "b"]]}, solver={"name": solver}
    )
    assert result["outcome"] == "separated"
    assert result["certificate"]["minimum_exists"] is False
    assert {"feature": "b=q", "direction": "-inf"} in result["separation"]["infinite"]
    rows = pd.DataFrame(np.random.default_rng(3).normal(size=(5, 8)), columns=list("abcdefgh")).assign(
        y=[0, 1, 3, 1, 1]
    )
    result, _ = run(rows, model={"family": "poisson"}, solver={"name": solver})
    assert result["outcome"] == "separated"


@pytest.mark.parametrize("solver", ["auto", "newton-cg"])
@pytest.mark.parametrize(("scale", "offset"), [(1e15, 0.0), (1e-15, 0.0), (1.0, 800.0), (1.0, -800.0)])
def test_counts_and_offsets_of_any_size_are_fitted_as_the_same_in_another_unit(run, scale, offset, solver):
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"x": draw.normal(size=60)})
    table["y"], table["offset"] = draw.poisson(np.exp(table.x + 1)), 0.0
    fields = {"model": {"family": "poisson"}, "data": {"offset": "offset"}, "inference": {"std_errors": "none"}}
    usual, _ = run(table, **fields)
    result, _ = run(table.assign(y=scale * table.y, offset=offset), solver={"name": solver}, **fields)
    moved = np.log(scale) - offset
    assert entries(result)["x"]["estimate"] == pytest.approx(entries(usual)["x"]["estimate"], rel=1e-5)
    assert entries(result)["const"]["estimate"] - moved == pytest.approx(entries(usual)["const"]["estimate"], rel=1e-5)


@pytest.mark.parametrize("offset", [35.0, -300.0])
def test_two_classes_with_an_offset_far_from_zero_have_the_coefficients_of_those_without(run, offset):
    table = crowd().assign(offset=offset)
    near, _ = run(table, {"features": ["age"]})
    far, _ = run(table, {"features": ["age"], "offset": "offset"})
    assert far["outcome"] == "converged"
    assert entries(far)["age"]["estimate"] == pytest.approx(entries(near)["age"]["estimate"], rel=1e-6)
    assert far["inference"]["null_deviance"] == pytest.approx(near["inference"]["null_deviance"], rel=1e-9)


@pytest.mark.parametrize("shift", [1e5, 1e9])
@pytest.mark.parametrize(
    "more", [{}, {"penalty": {"l2": 0.1}, "split": {"folds": 3}}, {"model": {"family": "poisson"}}]
)
def test_columns_far_from_zero_lose_nothing_where_they_are_not_standardised(run, shift, more):
    table = crowd().assign(age=lambda t: t.age.round(3))
    results = [
        run(table.assign(age=table.age + by), {"features": ["age", "city"]}, preprocess={"standardize": False}, **more)
        for by in (0.0, shift)
    ]
    near, far = (entries(result) for result, _ in results)
    for name in ("age", "city=Kiel", "city=Ulm"):
        numbers = [key for key, value in near[name].items() if isinstance(value, float)]
        assert [far[name][key] for key in numbers] == pytest.approx([near[name][key] for key in numbers], rel=1e-6)
    if "split" in more:
        near_mean, far_mean = (result["cross_validation"]["metrics"]["log_loss"]["mean"] for result, _ in results)
        assert far_mean == pytest.approx(near_mean, rel=1e-6)


def test_what_is_far_from_zero_without_an_intercept_is_no_false_certainty(run):
    table = crowd().assign(one=1.0)
    table["age"] = table.age + 1e9
    result, _ = run(
        table,
        {"features": ["one", "age"]},
        model={"fit_intercept": False},
        preprocess={"standardize": False},
    )
    errors = [entry["std_error"] for entry in result["coefficients"]]
    assert result["inference"]["withheld"] or all(error is None or error > 1e-3 for error in errors)


@pytest.mark.parametrize("family", ["multinomial", "log-linear", "poisson"])
def test_fista_by_name_ends_within_the_gap_that_was_asked_for(run, family):
    table = crowd().drop(columns="y")
    draw = np.random.default_rng(0)
    z = (table.age - 40) / 30
    table["y"] = {
        "multinomial": np.array(["a", "b", "c"])[draw.integers(0, 3, len(table))],
        "log-linear": np.exp(z + draw.normal(0, 0.2, len(table))),
        "poisson": draw.poisson(np.exp(z)),
    }[family]
    result, _ = run(table, model={"family": family}, penalty={"l1": 0.003}, solver={"name": "fista"})
    assert result["outcome"] == "converged"
    assert result["certificate"]["within_tolerance"]
    assert result["certificate"]["relative_gap"] <= 1e-6


def test_an_offset_far_above_the_counts_without_an_intercept_is_no_fit_that_has_ended_where_it_started(run):
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"x": draw.normal(5, 1, 60), "offset": 60 + draw.normal(size=60), "y": draw.poisson(3, 60)})
    model = {"family": "poisson", "fit_intercept": False}
    result, _ = run(table, {"features": ["x"], "offset": "offset"}, model=model)
    mean = np.exp(table.offset + entries_without_intercept(result)["x"] * table.x)
    assert result["certificate"]["relative_gap"] <= 1e-6
    assert float(table.x @ (mean - table.y)) == pytest.approx(0, abs=1e-6)


def entries_without_intercept(result: dict[str, Any]) -> dict[str, float]:
    return {c["feature"]: c["estimate"] for c in result["coefficients"]}


def test_a_mend_that_did_not_converge_is_not_said_to_need_more_of_the_solvers_steps():
    told = {"kind": "complete", "mend": "firth"}
    assert advice_of(Outcome.STEP_LIMIT, told, can_mend=True) == (
        "on_separation firth did not converge: set penalty.l2 above 0, or leave columns out"
    )
    assert "raise stop.max_steps" in str(advice_of(Outcome.STEP_LIMIT, {"kind": "none"}, can_mend=True))


def counts_with_steep_offsets() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(size=(40, 4))).add_prefix("x") * 1e8
    return table.assign(offset=draw.normal(0, 60, 40), y=draw.poisson(3, 40))


def test_a_fit_that_overflows_has_no_standard_errors_and_says_so(run):
    spec = {"model": {"family": "poisson"}, "preprocess": {"standardize": False}, "solver": {"name": "lbfgs"}}
    result, _ = run(counts_with_steep_offsets(), {"offset": "offset"}, **spec)
    assert result["outcome"] == "stalled"
    assert result["inference"]["withheld"] == "not at the optimum: at the estimates the likelihood overflows"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_newton_comes_to_the_minimum_from_where_a_step_overflows(run, dtype: str):
    table, family = counts_with_steep_offsets(), {"family": "poisson"}
    result, _ = run(table, {"offset": "offset"}, model=family, preprocess={"standardize": False}, dtype=dtype)
    assert result["outcome"] == "converged"
    assert result["objective"] == pytest.approx(271.2083226, rel=1e-9 if dtype == "float64" else 1e-6)
    x_np = np.column_stack((np.ones(40), table[[f"x{j}" for j in range(4)]] / 1e8))
    found_p = [result["intercepts"][0]["estimate"], *(c["estimate"] * 1e8 for c in result["coefficients"])]
    pull_np = x_np * (table["y"] - np.exp(x_np @ found_p + table["offset"])).to_numpy()[:, None]
    share = 1e-9 if dtype == "float64" else 1e-4
    assert (np.abs(pull_np.sum(0)) <= share * np.abs(pull_np).sum(0)).all()  # where the score is 0
