"""Mini-batches: the order of rows is a pure function of (seed, epoch), so a step needs no history to find its rows."""

import torch
from torch import Tensor

from gradline.training.problem import Problem

_MASK = 2**64 - 1


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A generator of its own for every epoch: SplitMix64 of seed and epoch keeps neighbours apart."""
    z = (seed * 0x9E3779B97F4A7C15 + (epoch + 1) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return torch.Generator().manual_seed((z ^ (z >> 31)) >> 1)


class Batches:
    """The mini-batches of a problem; the last of an epoch holds what is left."""

    def __init__(self, problem: Problem, batch_size: int, seed: int) -> None:
        self.n_per_epoch = -(-problem.n // batch_size)
        self._problem = problem
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order_n = torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> Problem:
        """The rows of this step, from 0."""
        epoch, position = divmod(step, self.n_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order_n = epoch, self._order_of(epoch)
        start = position * self._batch_size
        return self._problem.rows(self._order_n[start : start + self._batch_size])

    def _order_of(self, epoch: int) -> Tensor:
        order_n = torch.randperm(self._problem.n, generator=epoch_generator(self._seed, epoch))
        return order_n.to(self._problem.x_np.device)
