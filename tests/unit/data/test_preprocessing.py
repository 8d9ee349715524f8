"""Columns as features: fitted on the training rows, told on their own scale."""

from typing import Any

import pytest
import torch

from gradline.data.preprocessing import Preprocessing, check_complete, fit_preprocessing
from gradline.data.sample import Sample
from gradline.data.uploaded import sample_of
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Dataset
from gradline.tables import read_table

ID = "0" * 8 + "-0000-0000-0000-" + "0" * 12


def sample(csv: str, **fields: Any) -> Sample:
    spec = Dataset(source="dataset", dataset_id=ID, **{"target": "y"} | fields)
    return sample_of(read_table(csv.encode(), "csv"), spec, "a table", torch.float64)


def fitted(rows: Sample, *, missing: str = "error", standardize: bool = False, centre: bool = True) -> Preprocessing:
    return fit_preprocessing(rows, torch.float64, missing=missing, standardize=standardize, centre=centre)


def test_text_becomes_one_feature_for_each_level_but_the_first():
    rows = sample("city,age,y\nUlm,1,0\nBonn,2,1\nKiel,3,1\nUlm,4,0\n")
    prepared = fitted(rows)
    assert prepared.feature_names == ["city=Kiel", "city=Ulm", "age"]
    assert prepared.transform(rows).tolist() == [[0, 1, 1], [0, 0, 2], [1, 0, 3], [0, 1, 4]]


def test_a_level_unseen_in_training_counts_as_the_reference_and_is_told():
    rows = sample("city,y\nUlm,0\nBonn,1\nKiel,1\n,1\n")
    training, held_out = rows.rows(torch.tensor([0, 1])), rows.rows(torch.tensor([2, 3]))
    prepared = fitted(training, missing="mean")
    assert prepared.feature_names == ["city=Ulm"]
    assert prepared.transform(held_out).tolist() == [[0], [0]]
    told = {}
    prepared.warn_of_unseen(held_out, told.__setitem__)
    assert "2 levels" in told["unseen_level:city"]
    assert "'Kiel'" in told["unseen_level:city"]
    prepared.warn_of_unseen(training, pytest.fail)


def test_missing_text_is_a_level_of_its_own():
    prepared = fitted(sample("city,y\nUlm,0\n,1\nBonn,1\n"), missing="mean")
    assert prepared.feature_names == ["city=Ulm", "city=(missing)"]


@pytest.mark.parametrize(("missing", "fill"), [("mean", 4.0), ("median", 2.5), ("indicator", 4.0)])
def test_missing_numbers_are_filled_from_the_training_rows(missing: str, fill: float):
    rows = sample("a,b,y\n1,1,0\n2,1,1\n3,1,0\n10,1,1\n,1,0\n,,0\n")
    training, held_out = rows.rows(torch.arange(5)), rows.rows(torch.tensor([5]))
    prepared = fitted(training, missing=missing)
    assert prepared.transform(training)[4, 0].item() == fill
    assert prepared.transform(held_out)[0, :2].tolist() == [fill, 1.0]
    assert prepared.feature_names == (["a", "a is missing", "b"] if missing == "indicator" else ["a", "b"])
    if missing == "indicator":
        assert prepared.transform(training)[:, 1].tolist() == [0, 0, 0, 0, 1]


def test_columns_with_missing_values_are_named_with_their_counts():
    with pytest.raises(PermanentError, match=r"'a' \(2\), 'city' \(1\)") as refused:
        check_complete(sample("a,city,b,y\n,Ulm,1,0\n,,2,1\n3,Bonn,3,1\n"))
    assert refused.value.code == "missing_values"


def test_standardised_features_have_mean_0_and_deviation_1_whatever_the_weights():
    rows = sample("a,b,w,y\n1,5,1,0\n2,5,2,1\n30,5,3,0\n", weights="w")
    x_nd = fitted(rows, standardize=True).transform(rows)
    share_n = torch.tensor([1, 2, 3], dtype=torch.float64) / 6
    assert (share_n @ x_nd).abs().max() < 1e-12
    assert (share_n @ x_nd[:, 0].square()).item() == pytest.approx(1.0)
    assert x_nd[:, 1].tolist() == [0, 0, 0], "a constant column divides nothing by zero"


def test_a_row_of_weight_2_counts_twice():
    weighted = sample("a,w,y\n1,1,0\n4,2,1\n9,1,0\n,1,1\n", weights="w")
    repeated = sample("a,y\n1,0\n4,1\n4,1\n9,0\n,1\n")
    for missing in ("mean", "median"):
        one, two = (
            fitted(weighted, missing=missing, standardize=True),
            fitted(repeated, missing=missing, standardize=True),
        )
        torch.testing.assert_close(one.centre_d, two.centre_d)
        torch.testing.assert_close(one.scale_d, two.scale_d)
        assert one.parts[0].describe() == two.parts[0].describe()


def test_coefficients_on_the_columns_own_scale_predict_the_same():
    rows = sample("a,b,y\n1,500,0\n2,100,1\n30,900,0\n")
    prepared = fitted(rows, standardize=True)
    theta_kp = torch.tensor([[0.3, -2.0, 0.7], [1.0, 0.1, -0.2]], dtype=torch.float64)
    x_nd = prepared.transform(rows)
    w_kd, c_k = prepared.on_own_scale(theta_kp)
    expected = x_nd @ theta_kp[:, :2].T + theta_kp[:, 2]
    torch.testing.assert_close(prepared.features(rows) @ w_kd.T + c_k, expected)


def test_without_an_intercept_nothing_is_centred():
    rows = sample("a,y\n1,0\n3,1\n")
    prepared = fitted(rows, standardize=True, centre=False)
    assert prepared.transform(rows)[:, 0].tolist() == [1.0, 3.0]
    assert prepared.on_own_scale(torch.tensor([[2.0]], dtype=torch.float64))[1].tolist() == [0.0]


def test_only_constant_text_leaves_no_feature():
    with pytest.raises(PermanentError, match="no feature is left"):
        fitted(sample("city,y\nUlm,0\nUlm,1\n"))


def test_classes_are_sorted_and_the_positive_one_comes_last():
    csv = "a,y\n1,yes\n2,no\n3,yes\n"
    assert sample(csv).classes == ["no", "yes"]
    assert sample(csv).class_n.tolist() == [1, 0, 1]
    assert sample(csv, positive_class="no").classes == ["yes", "no"]
    assert sample(csv, positive_class="no").class_n.tolist() == [0, 1, 0]


def test_rows_of_weight_0_are_left_out():
    assert sample("a,w,y\n1,0,0\n2,1,1\n3,1,0\n", weights="w").n == 2
