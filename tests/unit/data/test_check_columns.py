"""A spec's columns against those of the data set, at submit."""

from typing import Any

import pytest

from gradline.errors import InvalidInput
from gradline.specs.logistic_regression import Dataset
from gradline.tables import check_columns, profile, read_table

ROWS = [
    "age,city,member,weight,survived,grade,constant,empty,price",
    "30,Ulm,true,1,yes,a,5,,1.5",
    "40,Bonn,false,0,no,b,5,,2.5",
    ",Ulm,true,2.5,yes,c,5,,3.5",
    "50,,true,1,no,c,5,,4.5",
]
COLUMNS = profile(read_table("\n".join(ROWS).encode(), "csv"))


def dataset(**fields: Any) -> Dataset:
    return Dataset(source="dataset", dataset_id="0" * 8 + "-0000-0000-0000-" + "0" * 12, **fields)


def faults(missing: str | None = None, family: str = "auto", **fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        check_columns(dataset(**fields), COLUMNS, missing, family)
    return {fault.field: fault.reason for fault in refused.value.faults}


def test_columns_that_fit_are_accepted():
    features = ["age", "city", "member", "constant"]
    check_columns(dataset(target="survived", features=features, weights="weight"), COLUMNS, "mean")
    check_columns(dataset(target="survived", features=features, positive_class="no"), COLUMNS)
    check_columns(dataset(target="member", features=["age"], positive_class=True), COLUMNS)


def test_every_unknown_column_is_named_with_the_columns_there_are():
    found = faults(target="surived", features=["age", "town"], weights="wieght")
    assert set(found) == {"spec.data.target", "spec.data.features[1]", "spec.data.weights"}
    assert all("age, city, member, weight, survived" in reason for reason in found.values())


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"target": "constant"}, "spec.data.target", "one class only: 5"),
        ({"target": "age"}, "spec.data.target", "1 rows have no value"),
        ({"target": "survived", "positive_class": "maybe"}, "spec.data.positive_class", "it has: 'no', 'yes'"),
        (
            {"target": "member", "features": ["age"], "positive_class": 1},
            "spec.data.positive_class",
            "it has: False, True",
        ),
        ({"target": "grade", "positive_class": "a"}, "spec.data.positive_class", "3 classes"),
        ({"target": "grade", "family": "binomial"}, "spec.model.family", "3 classes"),
        ({"target": "survived", "weights": "city"}, "spec.data.weights", "holds text"),
        ({"target": "survived", "weights": "age"}, "spec.data.weights", "1 rows have no value"),
        ({"target": "survived", "features": ["empty"]}, "spec.data.features", "no value at all"),
        ({"target": "survived", "features": ["age"], "missing": "error"}, "spec.data.features", "1 values are missing"),
    ],
)
def test_a_column_that_cannot_play_its_role_is_named(fields: dict[str, Any], field: str, reason: str):
    found = faults(**{"features": ["member"]} | fields)
    assert reason in found[field]


def test_a_target_of_many_numbers_is_no_class():
    columns = profile(read_table("\n".join(["a,y", *(f"{i},{i}.5" for i in range(60))]).encode(), "csv"))
    with pytest.raises(InvalidInput, match="60 distinct values"):
        check_columns(dataset(target="y"), columns)


def test_text_with_a_level_for_nearly_every_row_is_an_identifier():
    columns = profile(read_table("\n".join(["id,y", *(f"n{i},{i % 2}" for i in range(1001))]).encode(), "csv"))
    with pytest.raises(InvalidInput, match="1001 distinct values"):
        check_columns(dataset(target="y"), columns)


def test_weights_must_not_be_negative():
    columns = profile(read_table(b"a,w,y\n1,-1,0\n2,1,1\n", "csv"))
    with pytest.raises(InvalidInput, match="must not be negative"):
        check_columns(dataset(target="y", weights="w"), columns)
