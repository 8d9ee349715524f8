"""Schedules: the learning rate of a step, as a share of the first one. A function of the step alone, from 0."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def step_schedule(every: int, factor: float) -> Schedule:
    """factor^floor(step / every), as torch's StepLR."""
    return lambda step: factor ** (step // every)


def exponential_schedule(factor: float) -> Schedule:
    """factor^step, as torch's ExponentialLR."""
    return lambda step: factor**step


def cosine_schedule(n_steps: int, final: float) -> Schedule:
    """From 1 to `final` along half a cosine, as torch's CosineAnnealingLR."""
    return lambda step: final + (1 - final) * (1 + math.cos(math.pi * step / n_steps)) / 2
