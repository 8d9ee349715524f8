"""What is summed of many rows of two classes, from one read of them; compiled by numba and kept in a cache.

Shapes: n rows, h bins, s steps of scores.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradline.training.cpu.compiling import compiled
from gradline.training.cpu.kernel import BINOMIAL, respond

Array = NDArray[Any]
ROWS_AT_ONCE = 512


@compiled("void(X[::1], X[::1], f8[::1], f8, f8[::1], f8[:,::1], f8[::1], f8[:,::1])")
def add_up(
    z_n: Array, y_n: Array, weight_n: Array, boundary: float,
    total_3: Array, confusion_22: Array, error_h: Array, ranking_s2: Array,
) -> None:  # fmt: skip
    """Adds to weight, loss and Brier sum; to [true class, predicted class]; to what came less what was promised in each
    bin; to the weights of negative and positive rows with each score, falling. Class 1 is predicted from `boundary`."""
    n_bins, n_steps, room_5m = len(error_h), len(ranking_s2) - 1, np.empty((5, ROWS_AT_ONCE))
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
                ranking_s2[n_steps - int(p * n_steps), c] += weight_m[i]
