"""What is summed of many rows of two classes, from one read of them, and the areas under their curves; compiled by
numba and kept in a cache.

Shapes: n rows, h bins, p positive rows, q negative ones, m of either; d bytes of a number, v values of a byte.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.training.cpu.compiling import compiled
from gradline.training.cpu.kernel import BINOMIAL, respond

Array = NDArray[Any]
ROWS_AT_ONCE = 512
SIGN, ALL, LAST_BYTE = np.uint64(1 << 63), np.uint64((1 << 64) - 1), np.uint64(255)


@compiled("void(X[::1], X[::1], f8[::1], f8, f8[::1], f8[:,::1], f8[::1])")
def add_up(
    z_n: Array, y_n: Array, weight_n: Array, boundary: float,
    total_3: Array, confusion_22: Array, error_h: Array,
) -> None:  # fmt: skip
    """Adds to weight, loss and Brier sum; to [true class, predicted class]; to what came less what was promised in each
    bin. Class 1 is predicted from `boundary`."""
    n_bins, room_5m = len(error_h), np.empty((5, ROWS_AT_ONCE))
    for start in range(0, len(z_n), ROWS_AT_ONCE):
        m = min(ROWS_AT_ONCE, len(z_n) - start)
        z_m, loss_m, residual_m = room_5m[0, :m], room_5m[1, :m], room_5m[2, :m]
        y_m, weight_m = y_n[start : start + m], weight_n[start : start + m]
        for i in range(m):
            z_m[i] = z_n[start + i]
        respond(BINOMIAL, z_m, y_m, loss_m, residual_m, room_5m[3, :m], room_5m[4, :m])
        for i in range(m):
            total_3[0] += weight_m[i]
            total_3[1] += weight_m[i] * loss_m[i]
            total_3[2] += weight_m[i] * residual_m[i] * residual_m[i]
        for i in range(m):
            p, c = residual_m[i] + y_m[i], 1 if y_m[i] > 0.5 else 0
            if p == p:  # a sum has told already where it is no number
                confusion_22[c, 1 if z_m[i] >= boundary else 0] += weight_m[i]
                error_h[min(int(p * n_bins), n_bins - 1)] -= weight_m[i] * residual_m[i]


@compiled("UniTuple(f8,2)(X[::1], f8[::1], X[::1], f8[::1])")
def areas(positive_p: Array, weight_p: Array, negative_q: Array, weight_q: Array) -> tuple[float, float]:
    """Areas under the ROC curve and, as average precision, under that of precision and recall; NaN without the classes
    that they are of. Scores rise; a class without weights counts each row once. Rows are walked down from the highest
    score, and those with one score are taken at once, since no threshold parts them."""
    i, j, true, false, wrong, precision = len(positive_p) - 1, len(negative_q) - 1, 0.0, 0.0, 0.0, 0.0
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
    while j >= 0:
        false += weight_q[j] if len(weight_q) else 1.0
        j -= 1
    return 1.0 - wrong / (true * false), precision / true


@compiled("i8(X[::1], b1[::1], f8[::1], f8[:,::1], f8[:,::1])")
def sort_pairs(score_n: Array, is_taken_n: Array, weight_n: Array, first_2m: Array, second_2m: Array) -> int:
    """Scores and weights of the m rows that are taken, by rising score; 0 or 1: they are in the first or the second.

    A radix sort from the last byte on (Knuth 1998, 5.2.5), of the bits of the scores: those of a negative number are
    all turned over, of another only the sign, and then order as the numbers do. NaN must not be taken.
    """
    m, key_m, other_m = 0, first_2m[0].view(np.uint64), second_2m[0].view(np.uint64)
    weight_m, other_weight_m = first_2m[1], second_2m[1]
    count_dv = np.zeros((8, 256), np.int64)
    for i in range(len(score_n)):
        if is_taken_n[i]:
            first_2m[0, m], weight_m[m] = score_n[i], weight_n[i]
            key = key_m[m] ^ (ALL if key_m[m] & SIGN else SIGN)
            for d in range(8):
                count_dv[d, (key >> np.uint64(8 * d)) & LAST_BYTE] += 1
            key_m[m] = key
            m += 1
    is_second = 0
    for d in range(8):
        if count_dv[d].max() == m:  # all have the same byte
            continue
        place_v = count_dv[d].cumsum() - count_dv[d]
        for i in range(m):
            byte = (key_m[i] >> np.uint64(8 * d)) & LAST_BYTE
            other_m[place_v[byte]], other_weight_m[place_v[byte]] = key_m[i], weight_m[i]
            place_v[byte] += 1
        key_m, other_m, weight_m, other_weight_m = other_m, key_m, other_weight_m, weight_m
        is_second = 1 - is_second
    for i in range(m):
        key_m[i] ^= SIGN if key_m[i] & SIGN else ALL
    return is_second
