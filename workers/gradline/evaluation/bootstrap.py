"""Intervals of measures from rows drawn with replacement (Efron 1979), many draws at once.

Of more than `MAX_ROWS` rows that many are drawn from instead, and the spread found on them is narrowed by the square
root of the shares of rows (Bickel, Götze and van Zwet 1997): the cost is bounded whatever the data.

Shapes: n rows, m rows drawn from, r draws.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

MAX_ROWS = 5_000
DRAWS_AT_ONCE = 50
CONFIDENCE = 0.95

Measure = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""From row numbers [m] and their weights [m, r] to measures [r]."""


def intervals(
    measure: Measure, weight_n: Tensor, n_draws: int, generator: torch.Generator
) -> dict[str, list[float | None]]:
    """[low, high] of each measure at 95 %: percentiles of the draws; None where draws are not finite."""
    n = len(weight_n)
    row_m = torch.arange(n) if n <= MAX_ROWS else torch.randperm(n, generator=generator)[:MAX_ROWS]
    weight_m1 = weight_n[row_m].unsqueeze(1)
    narrowing = math.sqrt(len(row_m) / n)
    centre = {name: value_r[0] for name, value_r in measure(row_m, weight_m1).items()}
    draws: dict[str, list[Tensor]] = {name: [] for name in centre}
    for start in range(0, n_draws, DRAWS_AT_ONCE):
        count_mr = _counts(len(row_m), min(DRAWS_AT_ONCE, n_draws - start), generator)
        for name, value_r in measure(row_m, count_mr.mul_(weight_m1)).items():
            draws[name].append(value_r)
    tails = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    found: dict[str, list[float | None]] = {}
    for name, values in draws.items():
        ends = torch.quantile(torch.cat(values), tails) - centre[name]
        found[name] = [e if math.isfinite(e) else None for e in (ends * narrowing).tolist()]
    return found


def _counts(m: int, r: int, generator: torch.Generator) -> Tensor:
    """How often each row is drawn in m draws, [m, r]."""
    drawn_mr = torch.randint(m, (m, r), generator=generator)
    return torch.zeros(m, r, dtype=torch.float64).scatter_add_(0, drawn_mr, torch.ones(m, r, dtype=torch.float64))
