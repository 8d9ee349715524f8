"""Numbers beside an axis, each whole by itself: no factor or offset that stands elsewhere, over other words."""

from collections.abc import Sequence
from math import floor, log10

from matplotlib.ticker import Formatter

SMALLEST, LARGEST = 1e-3, 1e5
"""The largest number of an axis is written plainly from here to there; elsewhere all have its power of ten."""
MAX_DIGITS = 12
NEAR = 1e-3
"""Share of the distance between two numbers that a label may leave out."""


class WholeNumbers(Formatter):
    """As few digits as tell where each tick is."""

    def __call__(self, x: float, pos: int | None = None) -> str:  # noqa: ARG002  matplotlib's
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        numbers = [float(value) for value in values]
        largest = max(map(abs, numbers), default=0.0)
        power = 0 if largest == 0 or SMALLEST <= largest < LARGEST else floor(log10(largest))
        unit = 10.0**power
        shares = [number / unit for number in numbers]
        places = _places(shares)
        return [_label(share, places, power) for share in shares]


def _places(numbers: Sequence[float]) -> int:
    """After the point."""
    apart = min((b - a for a, b in zip(sorted(numbers), sorted(numbers)[1:], strict=False) if b > a), default=1.0)
    for places in range(MAX_DIGITS):
        if all(abs(round(number, places) - number) <= NEAR * apart for number in numbers):
            return places
    return MAX_DIGITS


def _label(share: float, places: int, power: int) -> str:
    text = f"{share:.{places}f}"
    if float(text) == 0:
        return "0" if power else f"{0:.{places}f}"
    return (text + (f"e{power}" if power else "")).replace("-", "−")
