"""Which rows are held out."""

import pytest
import torch

from gradline.data.split import split_rows
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split

CLASS_N = torch.tensor([0] * 80 + [1] * 20)


def test_a_stratified_split_keeps_the_share_of_every_class():
    training_r, validation_r = split_rows(CLASS_N, ["a", "b"], Split(validation_fraction=0.25))
    assert torch.bincount(CLASS_N[validation_r]).tolist() == [20, 5]
    assert sorted([*training_r.tolist(), *validation_r.tolist()]) == list(range(100))
    assert training_r.tolist() == sorted(training_r.tolist()), "rows keep the data's order"


def test_the_seed_alone_decides():
    once = split_rows(CLASS_N, ["a", "b"], Split(validation_fraction=0.3, seed=1))
    again = split_rows(CLASS_N, ["a", "b"], Split(validation_fraction=0.3, seed=1))
    other = split_rows(CLASS_N, ["a", "b"], Split(validation_fraction=0.3, seed=2))
    assert torch.equal(once[1], again[1])
    assert not torch.equal(once[1], other[1])


def test_a_fraction_that_holds_out_nothing_is_refused():
    with pytest.raises(PermanentError, match="holds out no row"):
        split_rows(torch.tensor([0, 1, 0, 1]), ["a", "b"], Split(validation_fraction=0.01))


def test_a_class_that_training_would_lack_is_named():
    class_n = torch.tensor([0] * 9 + [1])
    with pytest.raises(PermanentError, match="no row of class 'b'"):
        split_rows(class_n, ["a", "b"], Split(validation_fraction=0.9, stratify=True))
