"""Memory of large matrices goes from job to job, and never from under one that still holds it."""

import pytest
import torch

from gradline.data import spare

LARGE = 2 * spare.LEAST_BYTES


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_spare", [])


def test_memory_that_nobody_holds_is_the_next_matrixs():
    first = spare.empty(LARGE)
    address = first.data_ptr()
    del first
    assert spare.empty(LARGE - 4096).data_ptr() == address


def test_memory_that_any_view_still_holds_is_not():
    first = spare.empty(LARGE).view(torch.float32)
    part = first[1000:2000].fill_(7.0)
    del first
    spare.empty(LARGE).fill_(0)
    assert bool((part == 7.0).all())


def test_of_two_matrices_the_larger_ones_memory_is_kept():
    large, small = spare.empty(LARGE), spare.empty(spare.LEAST_BYTES)
    address = large.data_ptr()
    del large
    del small
    assert spare.empty(LARGE).data_ptr() == address


def test_memory_far_too_large_for_the_next_matrix_goes():
    del_me = spare.empty(3 * spare.LEAST_BYTES)
    del del_me
    assert spare._spare
    assert len(spare.empty(spare.LEAST_BYTES)) == spare.LEAST_BYTES
    assert [len(memory) for memory in spare._spare] == [spare.LEAST_BYTES]


def test_more_than_a_bound_is_not_kept(monkeypatch):
    monkeypatch.setattr(spare, "MOST_BYTES", LARGE - 1)
    large = spare.empty(LARGE)
    del large
    assert not spare._spare
