"""Rows become columns in squares of vector registers, whatever is left beside the last of them."""

import numpy as np
import pytest

from gradline.training.cpu.transposing import VECTOR_BYTES, transpose

SIDES = (1, 3, 4, 7, 8, 9, 16, 21)
UNTOUCHED = -7.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_turned_is_the_transpose_and_nothing_beside_it_is_written(dtype: type):
    rng = np.random.default_rng(0)
    for n_rows in SIDES:
        for n_columns in SIDES:
            source = rng.normal(size=(n_rows, n_columns + 2)).astype(dtype)[:, :n_columns]
            target = np.full((n_columns + 1, n_rows + 3), UNTOUCHED, dtype)
            transpose(source, target)
            assert np.array_equal(target[:n_columns, :n_rows], source.T), (n_rows, n_columns)
            assert (target[n_columns:] == UNTOUCHED).all(), (n_rows, n_columns)
            assert (target[:, n_rows:] == UNTOUCHED).all(), (n_rows, n_columns)


def test_some_of_these_sides_are_below_a_vector_and_some_between_two():
    for itemsize in (4, 8):
        w = VECTOR_BYTES // itemsize
        assert min(SIDES) < w < max(SIDES)
        assert any(side > w and side % w for side in SIDES)
