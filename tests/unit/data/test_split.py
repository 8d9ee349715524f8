"""Which rows are held out, and which fold each row is in."""

import pytest
import torch

from gradline.data.sample import Roles
from gradline.data.split import assign_folds, fold_weights, split_rows
from gradline.errors import PermanentError
from gradline.specs.logistic_regression import Split

CLASS_N = torch.tensor([0] * 80 + [1] * 20)
ROLES = Roles(CLASS_N, ["a", "b"])
GROUP_N = torch.arange(100) % 17
GROUPED = Roles(CLASS_N, ["a", "b"], group_n=GROUP_N)
NUMBERS = Roles(torch.rand(100, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), None)


def test_a_stratified_split_keeps_the_share_of_every_class():
    training_r, validation_r = split_rows(ROLES, Split(validation_fraction=0.25))
    assert torch.bincount(CLASS_N[validation_r]).tolist() == [20, 5]
    assert sorted([*training_r.tolist(), *validation_r.tolist()]) == list(range(100))
    assert training_r.tolist() == sorted(training_r.tolist()), "rows keep the data's order"


@pytest.mark.parametrize("roles", [ROLES, GROUPED, NUMBERS], ids=["classes", "groups", "numbers"])
def test_the_seed_alone_decides(roles: Roles):
    once = split_rows(roles, Split(validation_fraction=0.3, seed=1))
    again = split_rows(roles, Split(validation_fraction=0.3, seed=1))
    other = split_rows(roles, Split(validation_fraction=0.3, seed=2))
    assert torch.equal(once[1], again[1])
    assert not torch.equal(once[1], other[1])


def test_no_group_stands_on_both_sides():
    training_r, validation_r = split_rows(GROUPED, Split(validation_fraction=0.3))
    assert not set(GROUP_N[training_r].tolist()) & set(GROUP_N[validation_r].tolist())
    assert 20 <= len(validation_r) <= 30


@pytest.mark.parametrize("seed", range(4))
def test_a_group_that_is_too_large_stays_in_training(seed: int):
    group_n = torch.tensor([0] * 70 + [1] * 30)
    roles = Roles(NUMBERS.target_n, None, group_n=group_n)
    _, validation_r = split_rows(roles, Split(validation_fraction=0.4, seed=seed))
    assert validation_r.tolist() == list(range(70, 100))


def test_a_fraction_that_holds_out_nothing_is_refused():
    with pytest.raises(PermanentError, match="holds out no row"):
        split_rows(Roles(torch.tensor([0, 1, 0, 1]), ["a", "b"]), Split(validation_fraction=0.01))
    halves = Roles(torch.tensor([0, 1, 0, 1]), ["a", "b"], group_n=torch.tensor([0, 0, 1, 1]))
    with pytest.raises(PermanentError, match="holds out no whole group"):
        split_rows(halves, Split(validation_fraction=0.3))


def test_a_class_that_training_would_lack_is_named():
    class_n = torch.tensor([0] * 9 + [1])
    with pytest.raises(PermanentError, match="no row of class 'b'"):
        split_rows(Roles(class_n, ["a", "b"]), Split(validation_fraction=0.9, stratify=True))


def test_folds_are_of_nearly_the_same_size_and_keep_the_share_of_every_class():
    fold_n = assign_folds(ROLES, 7, Split())
    assert set(torch.bincount(fold_n).tolist()) <= {14, 15}
    counts = [int(CLASS_N[fold_n == fold].sum()) for fold in range(7)]
    assert set(counts) <= {2, 3}


def test_folds_of_groups_part_none_and_stay_balanced():
    sizes = torch.tensor([1] * 20 + [30, 25, 20])
    group_n = torch.arange(23).repeat_interleave(sizes)
    fold_n = assign_folds(Roles(torch.rand(len(group_n)), None, group_n=group_n), 3, Split())
    for group in range(23):
        assert len(fold_n[group_n == group].unique()) == 1
    assert int(torch.bincount(fold_n).max()) < 45


def test_folds_that_the_data_name_are_taken_as_they_are():
    named = torch.tensor([5, 5, 9, 9, 9])
    assert assign_folds(Roles(torch.rand(5), None, fold_n=named), None, Split()).tolist() == [0, 0, 1, 1, 1]


def test_folds_are_drawn_apart_from_the_split():
    once, other = assign_folds(ROLES, 5, Split(seed=1)), assign_folds(ROLES, 5, Split(seed=2))
    assert torch.equal(once, assign_folds(ROLES, 5, Split(seed=1)))
    assert not torch.equal(once, other)


def test_a_fold_that_holds_a_whole_class_is_refused():
    roles = Roles(torch.tensor([0, 0, 0, 1, 1]), ["a", "b"], fold_n=torch.tensor([0, 1, 0, 2, 2]))
    with pytest.raises(PermanentError, match="all rows of class 'b' are in one fold"):
        assign_folds(roles, None, Split())


def test_more_folds_than_rows_are_refused():
    with pytest.raises(PermanentError, match=r"spec.split.folds: 4 folds of 3 rows leave one empty"):
        assign_folds(Roles(torch.rand(3), None), 4, Split())


def test_more_folds_than_groups_are_refused_by_the_number_of_groups_that_train():
    training = Roles(torch.rand(60), None, group_n=torch.arange(60) % 5 * 2)
    with pytest.raises(PermanentError, match="6 folds of 5 groups leave one empty"):
        assign_folds(training, 6, Split())


def test_named_folds_of_which_one_alone_is_left_for_training_are_refused():
    with pytest.raises(PermanentError, match=r"spec.data.fold: all training rows are in one fold"):
        assign_folds(Roles(torch.rand(3), None, fold_n=torch.tensor([4, 4, 4])), None, Split())


def test_each_member_of_a_cross_validation_leaves_its_own_fold_out():
    weight_nb = fold_weights(torch.tensor([0, 1, 1, 2]), torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    assert weight_nb.T.tolist() == [[0, 2, 3, 4], [1, 0, 0, 4], [1, 2, 3, 0]]
