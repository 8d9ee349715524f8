"""Columns as features: fitted on the training rows, told on their own scale."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradline.data import matrix
from gradline.data.features import InteractionFeatures, NumericFeatures, Part, TextFeatures, names_of
from gradline.data.prepare import Prepared
from gradline.errors import PermanentError
from tests.unit.data.conftest import Prepare

RAW: dict[str, Any] = {"standardize": False}


def x_of(made: Prepared) -> list[list[float]]:
    """The training features without the ones."""
    return made.train.x_np[:, : made.train.d].tolist()


def test_text_becomes_one_feature_for_each_level_but_the_first(prepared: Prepare):
    made = prepared("city,age,y\nUlm,1,0\nBonn,2,1\nKiel,3,1\nUlm,4,0\n")
    assert made.preprocessing.feature_names == ["city=Kiel", "city=Ulm", "age"]
    assert x_of(made) == [[0, 1, 1], [0, 0, 2], [1, 0, 3], [0, 1, 4]]
    assert made.train.x_np[:, -1].tolist() == [1, 1, 1, 1]
    assert made.examples[0] == {"city": "Ulm", "age": 1}


def folded(rows: list[str], held_out: list[str]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Rows that train and rows that are held out, whatever the seed: groups of unlike size."""
    lines = [f"{row},train" for row in rows] + [f"{row},held" for row in held_out]
    return "\n".join(["city,y,part", *lines]), {"group": "part"}, {"validation_fraction": 0.45}


def test_a_level_unseen_in_training_counts_as_the_reference_and_is_told(prepared: Prepare, warnings_told):
    table, data, split = folded(["Ulm,0", "Bonn,1", "Ulm,1"], ["Kiel,1", ",1"])
    made = prepared(table, data, split=split, preprocess=RAW | {"missing": "mean"})
    assert made.preprocessing.feature_names == ["city=Ulm"]
    assert made.validation is not None
    assert made.validation.x_np.tolist() == [[0, 1], [0, 1]]
    assert "'Kiel'" in warnings_told["unseen_level:city"]


def test_a_level_unseen_in_training_is_refused_where_the_policy_says_so(prepared: Prepare):
    table, data, split = folded(["Ulm,0", "Bonn,1", "Ulm,1"], ["Kiel,1", "Ulm,1"])
    with pytest.raises(PermanentError, match="column 'city': the level 'Kiel' does not occur") as refused:
        prepared(table, data, split=split, preprocess=RAW | {"unseen": "error"})
    assert refused.value.code == "unseen_level"


def test_an_unseen_level_of_its_own_shares_the_rarest_ones(prepared: Prepare, warnings_told):
    table, data, split = folded(["Ulm,0", "Bonn,1", "Ulm,1", "Bonn,0", "Aue,1"], ["Kiel,1", "Ulm,1", "Aue,0", "Bonn,0"])
    made = prepared(table, data, split=split, preprocess=RAW | {"unseen": "own_level"})
    assert made.preprocessing.feature_names == ["city=Ulm", "city=(other)"]
    assert made.validation is not None
    assert made.validation.x_np[:, :2].tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert not warnings_told


def test_levels_beyond_the_limit_are_gathered_and_told(prepared: Prepare, warnings_told):
    rows = "".join(f"{city},{i % 2}\n" for i, city in enumerate("aabbbccccde"))
    made = prepared(f"city,y\n{rows}", preprocess=RAW | {"max_levels": 3})
    assert made.preprocessing.feature_names == ["city=c", "city=(other)"]
    assert [row[1] for row in x_of(made)] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert "of 5 levels the 2 most frequent" in warnings_told["levels_gathered:city"]


def test_missing_text_is_a_level_of_its_own_or_the_most_frequent(prepared: Prepare):
    table = "city,y\nUlm,0\n,1\nBonn,1\nUlm,1\n"
    made = prepared(table, preprocess=RAW | {"missing": "mean"})
    assert made.preprocessing.feature_names == ["city=Ulm", "city=(missing)"]
    made = prepared(table, preprocess=RAW | {"missing": "most_frequent"})
    assert made.preprocessing.feature_names == ["city=Ulm"]
    assert x_of(made)[1] == [1]


@pytest.mark.parametrize("max_levels", [2, 3, 4])
def test_text_that_spells_missing_is_as_if_it_were_missing(prepared: Prepare, warnings_told, max_levels: int):
    rows, policy = ["Ulm,0", ",1", "Bonn,1", "Ulm,1", ",0", "Kiel,0"], RAW | {"missing": "mean"}
    rows += ["Aue,1"] * 2
    blank = prepared("\n".join(["city,y", *rows]), preprocess=policy | {"max_levels": max_levels})
    assert "own_level:city:(missing)" not in warnings_told
    rows[1] = "(missing),1"
    spelled = prepared("\n".join(["city,y", *rows]), preprocess=policy | {"max_levels": max_levels})
    assert spelled.preprocessing.parts == blank.preprocessing.parts
    assert x_of(spelled) == x_of(blank)
    assert "'(missing)', which stands for missing values too" in warnings_told["own_level:city:(missing)"]


def test_text_that_spells_other_takes_rare_and_unseen_levels_and_is_told(prepared: Prepare, warnings_told):
    table, data, split = folded(["Ulm,0", "(other),1", "Bonn,1", "Ulm,1"], ["Kiel,1", "(other),1"])
    for policy in ({"unseen": "ignore"}, {"unseen": "own_level"}, {"max_levels": 3}):
        warnings_told.clear()
        made = prepared(table, data, split=split, preprocess=RAW | policy)
        assert made.preprocessing.feature_names == ["city=Ulm", "city=(other)"]
        assert made.validation is not None
        assert made.validation.x_np[:, :2].tolist() == [[0, 1], [0, 1]]
        assert warnings_told.keys() == {"own_level:city:(other)"}
    made = prepared(table, data, split=split, preprocess=RAW | {"max_levels": 2})
    assert x_of(made) == [[0], [1], [1], [0]]


def test_text_that_spells_other_makes_no_unseen_level_pass(prepared: Prepare):
    table, data, split = folded(["Ulm,0", "(other),1", "Ulm,1"], ["Kiel,1", "(other),1"])
    with pytest.raises(PermanentError, match="the level 'Kiel' does not occur"):
        prepared(table, data, split=split, preprocess=RAW | {"unseen": "error"})


@pytest.mark.parametrize(
    ("missing", "fill"), [("mean", 3.4), ("median", 2.0), ("indicator", 3.4), ("most_frequent", 1.0)]
)
def test_missing_numbers_are_filled_from_the_training_rows(prepared: Prepare, missing: str, fill: float):
    table = "a,b,g,y\n1,1,t,0\n1,1,t,1\n2,1,t,0\n10,1,t,1\n3,1,t,1\n,1,t,0\n,,h,0\n99,2,h,1\n"
    made = prepared(table, {"group": "g"}, split={"validation_fraction": 0.3}, preprocess=RAW | {"missing": missing})
    assert x_of(made)[5][0] == pytest.approx(fill)
    assert made.validation is not None
    d = made.train.d
    assert made.validation.x_np[0, [0, d - 1]].tolist() == pytest.approx([fill, 1.0])
    assert made.preprocessing.feature_names == (["a", "a is missing", "b"] if missing == "indicator" else ["a", "b"])
    if missing == "indicator":
        assert [row[1] for row in x_of(made)] == [0, 0, 0, 0, 0, 1]


def test_columns_with_missing_values_are_named_with_their_counts(prepared: Prepare):
    with pytest.raises(PermanentError) as refused:
        prepared("a,city,b,y\n,Ulm,1,0\n,,2,1\n3,Bonn,3,1\n")
    found = {fault["value"]: fault["reason"] for fault in refused.value.details["faults"]}
    assert found.keys() == {"a", "city"}
    assert "no value in 2 of its rows" in found["a"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_standardised_features_have_mean_0_and_deviation_1_whatever_the_weights(prepared: Prepare, dtype):
    made = prepared("a,b,w,y\n1,5,1,0\n2,5,2,1\n30,5,3,0\n", {"weights": "w"}, dtype=dtype, preprocess={})
    x_nd = made.train.x_np[:, :2].double()
    share_n = torch.tensor([1, 2, 3], dtype=torch.float64) / 6
    assert (share_n @ x_nd).abs().max() < (1e-12 if dtype == torch.float64 else 1e-6)
    assert (share_n @ x_nd[:, 0].square()).item() == pytest.approx(1.0, abs=1e-6)
    assert x_nd[:, 1].tolist() == [0, 0, 0], "a constant column divides nothing by zero"


def test_columns_far_from_0_keep_their_differences_in_float32(prepared: Prepare):
    rows = "".join(f"{1_600_000_000 + i},{i % 2}\n" for i in range(100))
    made = prepared(f"time,y\n{rows}", dtype=torch.float32, preprocess={})
    steps = made.train.x_np[:, 0].double().diff()
    assert steps.min().item() == pytest.approx(steps.max().item(), rel=1e-4)
    assert made.preprocessing.centre_d.item() == pytest.approx(1_600_000_049.5, abs=1e-3)


def test_a_row_of_weight_2_counts_twice(prepared: Prepare):
    for missing in ("mean", "median", "most_frequent"):
        weighted = prepared(
            "a,w,y\n1,1,1\n4,2,0\n9,1,1\n,1,0\n", {"weights": "w"}, preprocess={"missing": missing}
        ).preprocessing
        repeated = prepared("a,y\n1,1\n4,0\n4,0\n9,1\n,0\n", preprocess={"missing": missing}).preprocessing
        torch.testing.assert_close(weighted.centre_d, repeated.centre_d)
        torch.testing.assert_close(weighted.scale_d, repeated.scale_d)
        assert weighted.parts == repeated.parts


def test_coefficients_on_the_columns_own_scale_predict_the_same(prepared: Prepare):
    table = "a,b,y\n1,500,0\n2,100,1\n30,900,0\n"
    made, raw = prepared(table, preprocess={}), prepared(table)
    theta_kp = torch.tensor([[0.3, -2.0, 0.7], [1.0, 0.1, -0.2]], dtype=torch.float64)
    w_kd, c_k = made.preprocessing.on_own_scale(theta_kp)
    torch.testing.assert_close(raw.train.x_np[:, :2] @ w_kd.T + c_k, made.train.x_np @ theta_kp.T)


def test_without_an_intercept_nothing_is_centred(prepared: Prepare):
    made = prepared("a,y\n1,0\n3,1\n", preprocess={}, model={"fit_intercept": False})
    assert made.train.x_np.tolist() == [[1.0], [3.0]]
    assert made.preprocessing.on_own_scale(torch.tensor([[2.0]], dtype=torch.float64))[1].tolist() == [0.0]


def test_only_constant_text_leaves_no_feature(prepared: Prepare):
    with pytest.raises(PermanentError, match="no feature is left"):
        prepared("city,y\nUlm,0\nUlm,1\n")


def test_classes_are_sorted_and_the_positive_one_comes_last(prepared: Prepare):
    table = "a,y\n1,yes\n2,no\n3,yes\n"
    assert prepared(table).classes == ["no", "yes"]
    assert prepared(table).train.y_nk[:, 0].tolist() == [1, 0, 1]
    assert prepared(table, {"positive_class": "no"}).classes == ["yes", "no"]
    assert prepared(table, {"positive_class": "no"}).train.y_nk[:, 0].tolist() == [0, 1, 0]


def test_rows_of_weight_0_are_left_out(prepared: Prepare):
    made = prepared("a,w,y\n1,0,0\n2,1,1\n3,1,0\n", {"weights": "w"})
    assert x_of(made) == [[2], [3]]


def test_interactions_are_products_of_numbers_and_of_levels(prepared: Prepare):
    table = "a,b,c,d,y\n1,10,u,p,0\n2,20,v,q,1\n3,30,w,q,0\n4,40,w,p,1\n"
    pairs = [["a", "b"], ["a", "c"], ["d", "c"]]
    made = prepared(table, preprocess=RAW | {"interactions": pairs})
    names = made.preprocessing.feature_names
    assert names == ["a", "b", "c=v", "c=w", "d=q", "a:b", "a:c=v", "a:c=w", "d=q:c=v", "d=q:c=w"]
    assert [row[5:] for row in x_of(made)] == [[10, 0, 0, 0, 0], [40, 2, 0, 1, 0], [90, 0, 3, 0, 1], [160, 0, 4, 0, 0]]


def test_what_has_the_name_of_a_column_is_spelled_with_quotes_and_told(prepared: Prepare, warnings_told):
    table = "a,a=v,b,a:b,b is missing,y\nu,1,,3,1,0\nv,2,7,5,0,1\nw,4,9,2,3,0\n"
    made = prepared(table, preprocess=RAW | {"missing": "indicator", "interactions": [["a=v", "b"], ["a", "b"]]})
    assert made.preprocessing.feature_names == [
        "'a'='v'", "a=w", "a=v", "b", "'b' is missing", "a:b", "b is missing", "'a=v':'b'", "'a'='v':'b'", "a=w:b"
    ]  # fmt: skip
    assert warnings_told.keys() == {"feature_names"}
    assert "'a'='v', 'b' is missing" in warnings_told["feature_names"]


def test_names_that_are_told_apart_by_quotes_are_not_taken_from_columns(prepared: Prepare):
    made = prepared("a,a=v,'a'='v',y\nu,1,2,0\nv,2,1,1\n")
    assert made.preprocessing.feature_names == ["\"'a'\"=\"'v'\"", "a=v", "'a'='v'"]


NAMES_THAT_MEET = ["a", "b", "a=b", "b=b", "a:b", "a=b:b", "a is missing", "'a'='b'", "'a' is missing", "'a':'b'"]
COLUMNS = st.lists(st.sampled_from(NAMES_THAT_MEET), min_size=2, max_size=6, unique=True)
LEVELS = st.lists(st.sampled_from(["b", "b=b", "b:b", "b:b=b"]), max_size=3, unique=True).map(lambda own: ["0", *own])


@given(st.data(), COLUMNS)
def test_no_two_features_have_one_name(data: st.DataObject, names: list[str]):
    def column(name: str) -> NumericFeatures | TextFeatures:
        if data.draw(st.booleans()):
            return TextFeatures(name, data.draw(LEVELS), None, None)
        return NumericFeatures(name, 0.0, has_indicator=True)

    columns = [column(name) for name in names]
    parts: list[Part] = [*columns, *map(InteractionFeatures, columns, columns[1:])]
    found = names_of(parts)
    assert len(found) == len(set(found)) == sum(len(part.feature_names) for part in parts)
    assert {part.name for part in columns if isinstance(part, NumericFeatures)} <= set(found)


def test_numbers_may_be_read_as_levels_and_text_as_numbers(prepared: Prepare):
    table = "zone,size,y\n10,1,0\n9,x,1\n10,2,1\n2,3,0\n"
    made = prepared(table.replace("x", ""), {"types": {"zone": "categorical"}}, preprocess=RAW | {"missing": "mean"})
    assert made.preprocessing.feature_names == ["zone=9", "zone=10", "size"]
    with pytest.raises(PermanentError, match=r"spec.data.types.size: holds 'x', which is no number"):
        prepared(table, {"types": {"size": "numeric"}})


def test_text_whose_levels_are_not_listed_is_named_with_its_row_where_it_is_no_number(prepared: Prepare):
    sizes, file = [str(i) for i in range(60)], io.BytesIO()
    sizes[41] = "x"
    pyarrow.parquet.write_table(pa.table({"size": sizes, "y": [i % 2 for i in range(60)]}), file)
    with pytest.raises(PermanentError, match="column 'size' is 'x' in data row 42"):
        prepared(file.getvalue(), {"types": {"size": "numeric"}}, format="parquet")


@pytest.mark.parametrize("entries_at_once", [1, 20, 2**18])
def test_a_sparse_matrix_holds_the_same_as_a_dense_one(
    prepared: Prepare, entries_at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(matrix, "ENTRIES_AT_ONCE", entries_at_once)
    monkeypatch.setattr(matrix, "ROWS_AT_ONCE", 3)
    table = "a,c,d,y\n1.5,u,p,0\n,v,q,1\n3,w,q,0\n4,w,p,1\n0,u,q,1\n"
    policy = RAW | {"missing": "indicator", "interactions": [["a", "c"], ["c", "d"]]}
    dense = prepared(table, preprocess=policy | {"sparse": False}).train.x_np
    sparse = prepared(table, preprocess=policy | {"sparse": True}).train.x_np
    assert sparse.layout == torch.sparse_csr
    assert torch.equal(sparse.to_dense(), dense)
    assert int((sparse.values() == 0).sum()) == 0


def test_sparse_features_are_scaled_but_not_centred(prepared: Prepare):
    table = "a,c,y\n1,u,0\n3,v,1\n5,w,0\n7,w,1\n"
    dense = prepared(table, preprocess={"sparse": False}).preprocessing
    made = prepared(table, preprocess={"sparse": True})
    torch.testing.assert_close(made.preprocessing.scale_d, dense.scale_d)
    assert not made.preprocessing.centre_d.any()
    assert made.train.x_np.to_dense()[:, -1].tolist() == [1, 1, 1, 1]


def test_many_levels_are_kept_sparse_by_themselves(prepared: Prepare):
    rows = "".join(f"n{i % 300},{i % 2}\n" for i in range(600))
    made = prepared(f"id,y\n{rows}", preprocess={})
    assert made.train.is_sparse
    assert made.train.d == 299


def test_what_the_upload_said_of_a_feature_is_told_again(prepared: Prepare, warnings_told: dict[str, str]):
    rows = "".join(f"{i % 25 or '?'},2024-01-0{1 + i % 9},{i % 2}\n" for i in range(100))
    prepared(f"a,day,y\n{rows}", {"types": {"day": "categorical"}})
    assert "column 'a': its values are numbers but for '?'" in warnings_told["column_note:a"]
    assert "column_note:day" not in warnings_told


def test_a_column_without_any_value_is_left_out_and_told(prepared: Prepare, warnings_told):
    found = prepared("a,blank,y\n1,,0\n2, ,1\n3,,0\n")
    assert found.preprocessing.feature_names == ["a"]
    assert warnings_told["empty_columns"] == "no feature, because no row has a value: blank"
