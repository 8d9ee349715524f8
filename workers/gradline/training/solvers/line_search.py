"""A step length along a descent direction that meets the strong Wolfe conditions.

Nocedal and Wright 2006, algorithms 3.5 and 3.6, with cubic interpolation. Close to a minimum, differences of F drown in
rounding; there the approximate conditions of Hager and Zhang 2005 (section 2), which compare slopes, are accepted too.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
MAX_EVALUATIONS = 30


class Point(NamedTuple):
    """F and its slope at one step length."""

    length: float
    value: float
    slope: float
    gradient_p: Tensor


Evaluate = Callable[[float], Point]


def search(evaluate: Evaluate, start: Point, first_length: float, rounding: float) -> Point | None:
    """A point that is good enough, or None where no length found one; `rounding` is the relative error of F."""
    limit = start.value + rounding * abs(start.value)

    def is_good(point: Point) -> bool:
        if abs(point.slope) > -CURVATURE * start.slope:
            return False
        decrease = point.value <= start.value + SUFFICIENT_DECREASE * point.length * start.slope
        near = point.value <= limit and point.slope <= (2 * SUFFICIENT_DECREASE - 1) * start.slope
        return decrease or near

    def is_too_high(point: Point, low: Point) -> bool:
        if not math.isfinite(point.value):
            return True
        if point.value <= limit and abs(point.value - start.value) <= limit - start.value:
            return False
        return point.value > start.value + SUFFICIENT_DECREASE * point.length * start.slope or point.value >= low.value

    low, length = start, first_length
    high: Point | None = None
    for _ in range(MAX_EVALUATIONS):
        point = evaluate(length)
        if is_good(point):
            return point
        if is_too_high(point, low):
            high = point
        elif point.slope >= 0 if high is None else point.slope * (high.length - low.length) >= 0:
            low, high = point, low
        else:
            low = point
        if high is None:
            length *= 2.0
        else:
            length = _between(low, high)
            if length in (low.length, high.length):
                return None
    return None


def _between(low: Point, high: Point) -> float:
    """The minimiser of the cubic through both points, kept off the ends of the interval; else its middle."""
    width = high.length - low.length
    if math.isfinite(high.value) and math.isfinite(high.slope):
        d1 = low.slope + high.slope - 3 * (high.value - low.value) / width
        square = d1 * d1 - low.slope * high.slope
        if square >= 0:
            d2 = math.copysign(math.sqrt(square), width)
            denominator = high.slope - low.slope + 2 * d2
            if denominator:
                fraction = 1 - (high.slope + d2 - d1) / denominator
                return low.length + min(max(fraction, 0.1), 0.9) * width
    return low.length + 0.5 * width
