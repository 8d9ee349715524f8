"""What is summed of many rows of two classes, from one read of them, and how well their scores rank them; compiled by
numba and kept in a cache.

Shapes: n rows, h bins, p positive rows, q negative ones, m of either; d digits of a number, v values of a digit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.training.cpu.compiling import compiled
from gradline.training.cpu.kernel import BINOMIAL, respond

Array = NDArray[Any]
ROWS_AT_ONCE = 512
DIGIT_BITS = 8
DIGIT, ALL = np.uint64((1 << DIGIT_BITS) - 1), np.uint64((1 << 64) - 1)


@compiled("void(X[::1], X[::1], f8[::1], f8, f8[::1], f8[:,::1], f8[::1])")
def add_up(
    z_n: Array, y_n: Array, weight_n: Array, boundary: float,
    total_3: Array, confusion_22: Array, error_h: Array,
) -> None:  # fmt: skip
    """Adds to weight, loss and Brier sum; to [true class, predicted class]; to what came less what was promised in each
    bin. Class 1 is predicted from `boundary`."""
    n_bins, room_5m, weight, loss, square = len(error_h), np.empty((5, ROWS_AT_ONCE)), 0.0, 0.0, 0.0
    for start in range(0, len(z_n), ROWS_AT_ONCE):
        m = min(ROWS_AT_ONCE, len(z_n) - start)
        z_m, loss_m, residual_m = room_5m[0, :m], room_5m[1, :m], room_5m[2, :m]
        y_m, weight_m = y_n[start : start + m], weight_n[start : start + m]
        for i in range(m):
            z_m[i] = z_n[start + i]
        respond(BINOMIAL, z_m, y_m, loss_m, residual_m, room_5m[3, :m], room_5m[4, :m])
        for i in range(m):
            weight += weight_m[i]
            loss += weight_m[i] * loss_m[i]
            square += weight_m[i] * residual_m[i] * residual_m[i]
        for i in range(m):
            p, c = residual_m[i] + y_m[i], 1 if y_m[i] > 0.5 else 0
            if p == p:  # a sum has told already where it is no number
                confusion_22[c, 1 if z_m[i] >= boundary else 0] += weight_m[i]
                error_h[min(int(p * n_bins), n_bins - 1)] -= weight_m[i] * residual_m[i]
    total_3[0] += weight
    total_3[1] += loss
    total_3[2] += square


@compiled("UniTuple(f8,3)(X[::1], f8[::1], X[::1], f8[::1])")
def rank_measures(positive_p: Array, weight_p: Array, negative_q: Array, weight_q: Array) -> tuple[float, float, float]:
    """Areas under the ROC curve and, as average precision, under that of precision and recall, and how far the first
    rises above its diagonal; NaN without the classes that they are of. Scores rise; a class without weights counts each
    row once. Rows are walked down from the highest score, and those with one score are taken at once, since no
    threshold parts them."""
    i, j, true, false, wrong, precision = len(positive_p) - 1, len(negative_q) - 1, 0.0, 0.0, 0.0, 0.0
    n_true = weight_p.sum() if len(weight_p) else float(len(positive_p))
    n_false = weight_q.sum() if len(weight_q) else float(len(negative_q))
    ahead = 0.0
    while i >= 0:
        score, above, own, tied = positive_p[i], 0.0, 0.0, 0.0
        while i >= 0 and positive_p[i] == score:
            own += weight_p[i] if len(weight_p) else 1.0
            i -= 1
        while j >= 0 and negative_q[j] > score:
            above += weight_q[j] if len(weight_q) else 1.0
            j -= 1
        while j >= 0 and negative_q[j] == score:
            tied += weight_q[j] if len(weight_q) else 1.0
            j -= 1
        wrong += own * (false + above + tied / 2.0)
        true, false = true + own, false + above + tied
        precision += own * true / (true + false)
        ahead = max(ahead, true * n_false - false * n_true)  # of counts without rounding; falls until the next of these
    while j >= 0:
        false += weight_q[j] if len(weight_q) else 1.0
        j -= 1
    return 1.0 - wrong / (true * false), precision / true, ahead / (true * false)


@compiled("i8(BITS[::1], b1[::1], f8[::1], BITS[::1], f8[::1], BITS[::1], f8[::1])")
def sort_rows(
    bits_n: Array, is_taken_n: Array, weight_n: Array,
    key_m: Array, weight_m: Array, other_m: Array, other_weight_m: Array,
) -> int:  # fmt: skip
    """The bits of the scores of the m rows that are taken, by rising score, and their weights unless there are none;
    0 or 1: they are in the first pair of arrays or in the other.

    A radix sort from the last digit on (Knuth 1998, 5.2.5), of the bits of the scores: those of a negative number are
    all turned over, of another only the sign, and then order as the numbers do. NaN must not be taken.
    """
    n_bits, m, is_weighted = 8 * bits_n.itemsize, 0, len(weight_n) > 0
    sign, n_digits = np.uint64(1) << np.uint64(n_bits - 1), -(-n_bits // DIGIT_BITS)
    count_dv = np.zeros((n_digits, 1 << DIGIT_BITS), np.int64)
    for i in range(len(bits_n)):
        if is_taken_n[i]:
            bits = np.uint64(bits_n[i])
            key_m[m] = bits ^ (ALL if bits & sign else sign)
            if is_weighted:
                weight_m[m] = weight_n[i]
            key = np.uint64(key_m[m])
            for d in range(n_digits):
                count_dv[d, (key >> np.uint64(DIGIT_BITS * d)) & DIGIT] += 1
            m += 1
    is_other = 0
    for d in range(n_digits):
        if count_dv[d].max() == m:  # all have the same digit
            continue
        place_v = count_dv[d].cumsum() - count_dv[d]
        for i in range(m):
            digit = (np.uint64(key_m[i]) >> np.uint64(DIGIT_BITS * d)) & DIGIT
            place = place_v[digit]
            place_v[digit] = place + 1
            other_m[place] = key_m[i]
            if is_weighted:
                other_weight_m[place] = weight_m[i]
        key_m, other_m, weight_m, other_weight_m = other_m, key_m, other_weight_m, weight_m
        is_other = 1 - is_other
    for i in range(m):
        key = np.uint64(key_m[i])
        key_m[i] = key ^ (sign if key & sign else ALL)
    return is_other
