"""A spec's columns against those of the data set, at submit."""

from typing import Any

import pytest

from gradline.column_roles import check_columns, empty_columns, features_of
from gradline.errors import InvalidInput
from gradline.tables import profile
from tests.unit.data.uploads import spec_of

ROWS = [
    "age,city,member,weight,survived,grade,constant,empty,price",
    "30,Ulm,true,1,yes,a,5,,1.5",
    "40,Bonn,false,0,no,b,5,,2.5",
    ",Ulm,true,2.5,yes,c,5,,3.5",
    "50,,true,1,no,c,5,,4.5",
]
COLUMNS = profile("\n".join(ROWS).encode(), "csv").columns


def check(columns: list[dict[str, Any]] = COLUMNS, missing: str = "mean", family: str = "auto", **data: Any) -> None:
    check_columns(spec_of(data, preprocess={"missing": missing}, model={"family": family}), columns)


def faults(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        check(**fields)
    return {fault.field: fault.reason for fault in refused.value.faults}


def test_columns_that_fit_are_accepted():
    features = ["age", "city", "member", "constant"]
    check(target="survived", features=features, weights="weight")
    check(target="survived", features=features, positive_class="no")
    check(target="member", features=["age"], positive_class=True)
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
        ({"target": "age"}, "spec.data.target", "no value in 1 of its rows"),
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
            "has no value in 1 of its rows",
        ),
    ],
)
def test_a_column_that_cannot_play_its_role_is_named(fields: dict[str, Any], field: str, reason: str):
    found = faults(**{"features": ["member"]} | fields)
    assert reason in found[field]


def test_a_target_of_many_numbers_is_no_class():
    columns = profile("\n".join(["a,y", *(f"{i},{i}.5" for i in range(60))]).encode(), "csv").columns
    with pytest.raises(
        InvalidInput, match=r"60 distinct values, .* set model.family to gaussian, log-linear or poisson"
    ):
        check(columns)


def test_weights_must_not_be_negative():
    columns = profile(b"a,w,y\n1,-1,0\n2,1,1\n", "csv").columns
    with pytest.raises(InvalidInput, match="must not be negative"):
        check(columns, weights="w")
