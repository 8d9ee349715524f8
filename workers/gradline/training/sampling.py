"""A sample of rows to start from: what can be learnt from it need not be learnt from all of them."""

import torch
from torch import Tensor

from gradline.training.problem import Problem

SEED = 20


def sample_rows(problem: Problem, n_rows: int) -> Tensor:
    """Indices in order: one at random of each of `n_rows` equal ranges, so that sorted rows are covered evenly."""
    generator = torch.Generator().manual_seed(SEED)
    start_r = torch.arange(n_rows + 1) * problem.n // n_rows
    jitter_r = torch.rand(n_rows, generator=generator, dtype=torch.float64) * (start_r[1:] - start_r[:-1])
    return (start_r[:-1] + jitter_r.long()).to(problem.y_nk.device)
