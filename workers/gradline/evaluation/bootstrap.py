"""Intervals of measures from rows drawn with replacement (Efron 1979), many draws at once.

Of more than `MAX_ROWS` rows about that many are drawn from instead, each taken with a chance f of its own, so that
those on which measures hang are among them. Such a row stands for 1 / f rows, and the weight of so many rows in a draw
has a mean and a variance of 1 / f: for a row drawn k times it is (1 + sqrt(f) (k - 1)) / f. The cost is bounded
whatever the data.

Weights that are frequencies are drawn like the rows that they stand for: counts from the Poisson distribution with
them as mean (Hanley and MacGibbon 2006). Other weights are taken along by the row that is drawn.

Shapes: n rows, m rows drawn from, r draws.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

MAX_ROWS = 5_000
DRAWS_AT_ONCE = 50
CONFIDENCE = 0.95

Measure = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""From row numbers [m] and their weights [m, r] to measures [r]."""


def intervals(
    measure: Measure,
    weight_n: Tensor,
    pull_n: Tensor,
    n_draws: int,
    generator: torch.Generator,
    *,
    are_frequencies: bool,
) -> dict[str, list[float | None]]:
    """[low, high] of each measure at 95 %, told from the measure on: percentiles of the draws; None where draws are not
    finite. Of many rows each is taken with a chance in proportion to its `pull_n`."""
    row_m, chance_m = _rows(pull_n, generator)
    weight_m = weight_n[row_m] / chance_m
    draw = _draw_frequencies if are_frequencies else partial(_draw_rows, chance_m)
    centre = {name: value_r[0] for name, value_r in measure(row_m, weight_m.unsqueeze(1)).items()}
    draws: dict[str, list[Tensor]] = {name: [] for name in centre}
    for start in range(0, n_draws, DRAWS_AT_ONCE):
        drawn_mr = draw(weight_m, min(DRAWS_AT_ONCE, n_draws - start), generator)
        for name, value_r in measure(row_m, drawn_mr).items():
            draws[name].append(value_r)
    tails = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    found: dict[str, list[float | None]] = {}
    for name, values in draws.items():
        ends = torch.quantile(torch.cat(values), tails) - centre[name]
        found[name] = [e if math.isfinite(e) else None for e in ends.tolist()]
    return found


def _rows(pull_n: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows to draw from, and the chance that each had to be among them."""
    n = len(pull_n)
    if n <= MAX_ROWS:
        return torch.arange(n), torch.ones(n, dtype=torch.float64)
    chance_n = (pull_n * (MAX_ROWS / pull_n.sum(dtype=torch.float64))).clamp_(max=1)
    row_m = (torch.rand(n, generator=generator) < chance_n).nonzero()[:, 0]
    return row_m, chance_n[row_m].double()


def _draw_frequencies(weight_m: Tensor, r: int, generator: torch.Generator) -> Tensor:
    """[m, r]."""
    return torch.poisson(weight_m.unsqueeze(1).expand(-1, r), generator=generator)


def _draw_rows(chance_m: Tensor, weight_m: Tensor, r: int, generator: torch.Generator) -> Tensor:
    """[m, r]."""
    moving_m = weight_m * chance_m.sqrt()
    return _counts(len(weight_m), r, generator).mul_(moving_m.unsqueeze(1)).add_((weight_m - moving_m).unsqueeze(1))


def _counts(m: int, r: int, generator: torch.Generator) -> Tensor:
    """How often each row is drawn in m draws, [m, r]."""
    drawn_mr = torch.randint(m, (m, r), generator=generator)
    return torch.zeros(m, r, dtype=torch.float64).scatter_add_(0, drawn_mr, torch.ones(m, r, dtype=torch.float64))
