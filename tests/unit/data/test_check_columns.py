"""A spec's columns against those of the data set, at submit."""

import io
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from gradline.column_roles import check_columns, empty_columns, features_of
from gradline.errors import InvalidInput
from tests.unit.data.uploads import profiled, spec_of

ROWS = [
    "age,city,member,weight,survived,grade,constant,empty,price",
    "30,Ulm,true,1,yes,a,5,,1.5",
    "40,Bonn,false,0,no,b,5,,2.5",
    ",Ulm,true,2.5,yes,c,5,,3.5",
    "50,,true,1,no,c,5,,4.5",
]
TABLE = profiled("\n".join(ROWS).encode())
COLUMNS = TABLE.columns


def check(
    table: Any = TABLE, missing: str = "mean", family: str = "auto", split: dict[str, Any] | None = None, **data: Any
) -> None:
    spec = spec_of(data, preprocess={"missing": missing}, model={"family": family}, split=split or {})
    check_columns(spec, table)


def faults(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        check(**fields)
    return {fault.field: fault.reason for fault in refused.value.faults}


def test_columns_that_fit_are_accepted():
    features = ["age", "city", "member", "constant"]
    check(target="survived", features=features, weights="weight")
    check(target="survived", features=features, positive_class="no")
    check(target="member", features=["age"], positive_class=True)
    check(target="age", features=["member"], family="gaussian", missing_target="drop", split={"folds": 3})
    check(target="price", features=["age"], family="poisson", offset="weight", types={"age": "categorical"})


def test_a_column_without_any_value_is_empty_and_no_feature_unless_it_is_named():
    (empty,) = [column for column in COLUMNS if column["name"] == "empty"]
    assert empty == {"name": "empty", "type": "empty", "n_missing": 4, "n_distinct": 0, "levels": []}
    data = spec_of({"target": "survived"}).data
    assert "empty" not in features_of(data, COLUMNS)
    assert empty_columns(data, COLUMNS) == ["empty"]
    check(target="survived")


def test_every_unknown_column_is_named_with_the_columns_there_are():
    found = faults(target="surived", features=["age", "town"], weights="wieght")
    assert set(found) == {"spec.data.target", "spec.data.features[1]", "spec.data.weights"}
    assert all("'age', 'city', 'member', 'weight', 'survived'" in reason for reason in found.values())


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"target": "constant"}, "spec.data.target", "one class only: 5"),
        ({"target": "age"}, "spec.data.target", "no value in 1 of its rows; set spec.data.missing_target to drop"),
        (
            {"target": "age", "family": "gaussian", "missing_target": "drop", "split": {"folds": 4}},
            "spec.split.folds",
            "4 folds of 3 rows leave one empty",
        ),
        ({"target": "survived", "positive_class": "maybe"}, "spec.data.positive_class", "it has: 'no', 'yes'"),
        (
            {"target": "member", "features": ["age"], "positive_class": 1},
            "spec.data.positive_class",
            "it has: False, True",
        ),
        ({"target": "grade", "positive_class": "a"}, "spec.data.positive_class", "3 classes"),
        ({"target": "grade", "family": "binomial"}, "spec.model.family", "3 classes"),
        ({"target": "survived", "family": "gaussian"}, "spec.data.target", "needs numbers; it holds text"),
        ({"target": "survived", "weights": "city"}, "spec.data.weights", "holds text"),
        ({"target": "survived", "offset": "city"}, "spec.data.offset", "holds text"),
        ({"target": "grade", "offset": "price"}, "spec.data.offset", "is multinomial"),
        ({"target": "survived", "group": "city"}, "spec.data.group", "no value in 1 of its rows"),
        ({"target": "survived", "fold": "constant"}, "spec.data.fold", "one fold only"),
        (
            {"target": "survived", "features": None, "types": {"town": "numeric"}},
            "spec.data.types.town",
            "no such column",
        ),
        ({"target": "survived", "weights": "age"}, "spec.data.weights", "no value in 1 of its rows"),
        ({"target": "survived", "features": ["empty"]}, "spec.data.features[0]", "no value in any row"),
        ({"target": "empty"}, "spec.data.target", "no value in any row"),
        ({"target": "survived", "weights": "empty"}, "spec.data.weights", "no value in any row"),
        (
            {"target": "survived", "features": None, "types": {"empty": "numeric"}},
            "spec.data.types.empty",
            "no value in any row",
        ),
        (
            {"target": "survived", "features": ["age"], "missing": "error"},
            "spec.data.features",
            "column 'age' has no value in 1 of its rows",
        ),
    ],
)
def test_a_column_that_cannot_play_its_role_is_named(fields: dict[str, Any], field: str, reason: str):
    found = faults(**{"features": ["member"]} | fields)
    assert reason in found[field]


def test_a_target_of_many_numbers_is_no_class():
    table = profiled("\n".join(["a,y", *(f"{i},{i}.5" for i in range(60))]).encode())
    with pytest.raises(
        InvalidInput, match=r"60 distinct values, .* set model.family to gaussian, log-linear or poisson"
    ):
        check(table)


def test_a_few_numbers_with_fractions_are_no_classes_unless_the_family_says_so():
    table = profiled("\n".join(["a,y", *(f"{i},{i % 3 + 0.5}" for i in range(60))]).encode())
    with pytest.raises(InvalidInput, match=r"3 different numbers, 0\.5 among them; .* or to multinomial"):
        check(table)
    check(table, family="multinomial")
    check(profiled(b"a,y\n1,1.0\n2,2.0\n3,3.0\n"))


def numbered(n_classes: int, n_rows: int = 600) -> Any:
    return profiled("\n".join(["a,y", *(f"{i},{i % n_classes + 18}" for i in range(n_rows))]).encode())


def test_many_whole_numbers_are_no_classes_unless_the_family_says_so():
    with pytest.raises(InvalidInput) as refused:
        check(numbered(21))
    (fault,) = refused.value.faults
    assert fault.field == "spec.data.target"
    assert fault.reason.startswith(
        "holds 21 different whole numbers, from 18 to 38; for a target of numbers set model."
    )
    for family in ("multinomial", "gaussian", "poisson"):
        check(numbered(21), family=family)
    check(numbered(20))
    check(numbered(300), family="multinomial")
    with pytest.raises(InvalidInput, match=r"300 different whole numbers, from 18 to 317"):
        check(numbered(300))


def test_the_row_of_a_target_that_a_family_cannot_take_is_named_where_it_is_known():
    spec = spec_of({"target": "n", "features": ["a"]}, model={"family": "log-linear"})
    with pytest.raises(InvalidInput, match="is -1 at its lowest, in data row 7; the family log-linear"):
        check_columns(spec, COUNTS, lambda _name, _value: 7)


def test_weights_must_not_be_negative_and_the_row_is_named():
    table = profiled(b"a,w,y\n1,-1,0\n2,1,1\n")
    with pytest.raises(InvalidInput, match="weights: is -1 at its lowest; row weights must not be negative"):
        check(table, weights="w")
    with pytest.raises(InvalidInput, match="is -1 at its lowest, in data row 7; row weights"):
        check_columns(spec_of({"weights": "w"}), table, lambda _name, _value: 7)


def test_weights_must_not_all_be_zero():
    with pytest.raises(InvalidInput, match="is 0 in every row"):
        check(profiled(b"a,w,y\n1,0,0\n2,0,1\n"), weights="w")


COUNTS = profiled(b"a,n,w,zero,group,code,same\n1,-1,1,0,u,5,s\n2,0,2,1,v,6,s\n3,4,0.5,1,u,x,s\n4,2,1,1,v,7,s\n")


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"family": "poisson"}, "spec.data.target", "is -1 at its lowest; .* must be 0 or more"),
        ({"family": "log-linear"}, "spec.data.target", "is -1 at its lowest; .* must be above 0"),
        ({"target": "zero", "features": ["a"], "family": "log-linear"}, "spec.data.target", "is 0 at its lowest"),
        ({"family": "poisson", "weights": "w"}, "spec.data.target", "is -1 at its lowest"),
        ({"target": "a", "family": "gaussian", "split": {"folds": 5}}, "spec.split.folds", "5 folds of 4 rows"),
        (
            {"target": "a", "family": "gaussian", "split": {"folds": 3}, "group": "group"},
            "spec.split.folds",
            "3 folds of 2 groups in 'group'",
        ),
        (
            {"target": "a", "family": "gaussian", "split": {"validation_fraction": 0.1}},
            "spec.split.validation_fraction",
            "holds out no row",
        ),
        (
            {"target": "a", "family": "gaussian", "features": ["code"], "types": {"code": "numeric"}},
            "spec.data.types.code",
            "holds 'x', which is no number",
        ),
        ({"target": "a", "family": "gaussian", "features": ["same"]}, "spec.data.features", "no feature is left"),
    ],
)
def test_what_the_profile_shows_to_fail_under_every_split_is_refused(fields: dict[str, Any], field: str, reason: str):
    found = faults(**{"table": COUNTS, "target": "n", "features": ["zero"]} | fields)
    assert list(found) == [field]
    assert re.search(reason, found[field])


@pytest.mark.parametrize(
    "fields",
    [
        {"family": "poisson", "weights": "zero"},
        {"family": "log-linear", "weights": "zero"},
        {"target": "zero", "features": ["a"], "family": "poisson"},
        {"target": "a", "family": "log-linear", "split": {"folds": 4}},
        {"target": "a", "family": "log-linear", "features": ["same", "code"]},
        {"target": "a", "family": "log-linear", "split": {"folds": 2}, "group": "group"},
        {"target": "a", "family": "log-linear", "split": {"validation_fraction": 0.2}},
    ],
)
def test_what_may_still_be_fitted_is_taken(fields: dict[str, Any]):
    check(**{"table": COUNTS, "target": "n", "features": ["code"]} | fields)


def in_parquet(values: list[str]) -> Any:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"code": values, "y": [i % 2 for i in range(len(values))]}), file)
    return profiled(file.getvalue(), "parquet")


def test_text_that_parquet_holds_may_be_numbers():
    check(in_parquet(["1", "2.5", "1e3", "-4"]), features=["code"], types={"code": "numeric"})
    check(in_parquet([str(i) for i in range(60)]), features=["code"], types={"code": "numeric"})
    with pytest.raises(InvalidInput, match="holds 'b', which is no number"):
        check(in_parquet(["1", "b", "2"]), features=["code"], types={"code": "numeric"})


def test_text_of_many_values_in_csv_is_no_column_of_numbers():
    table = profiled("\n".join(["code,y", *(f"{i},{i % 2}" for i in range(60)), "x,1"]).encode())
    with pytest.raises(InvalidInput, match=r"types.code.* its values are numbers but for 'x'"):
        check(table, features=["code"], types={"code": "numeric"})


def test_more_distinct_values_than_are_counted_are_enough_for_every_role_but_a_class():
    rows = (f"{i},u{i},{i + 1}" for i in range(10_001))
    table = profiled("\n".join(["a,group,y", *rows]).encode())
    assert [column["n_distinct"] for column in table.columns] == [None, None, None]
    check(table, features=["a"], family="poisson", group="group", split={"folds": 50})
    assert "thousands of distinct values" in faults(table=table, features=["a"])["spec.data.target"]
    assert "thousands of folds" in faults(table=table, features=["a"], family="poisson", fold="group")["spec.data.fold"]


def test_a_threshold_for_more_than_two_classes_is_refused_with_its_value():
    spec = spec_of(
        {"target": "grade", "features": ["age"]}, preprocess={"missing": "mean"}, evaluation={"threshold": 0.3}
    )
    with pytest.raises(InvalidInput) as refused:
        check_columns(spec, TABLE)
    assert [(fault.field, fault.value) for fault in refused.value.faults] == [("spec.evaluation.threshold", 0.3)]
