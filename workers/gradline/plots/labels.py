"""Names in figures: short enough, still told apart, and with room for them."""

from collections.abc import Sequence

from matplotlib.textpath import TextPath

from gradline.plots.style import DPI

ELLIPSIS = "…"


def short_names(names: Sequence[str], length: int) -> list[str]:
    """Each at most `length` characters. Where names are cut to the same, what they begin with alike is cut instead."""
    cut = [_cut(name, length) for name in names]
    for short in {s for s in cut if cut.count(s) > 1}:
        alike = [i for i, s in enumerate(cut) if s == short]
        start = _where_they_part([names[i] for i in alike], length)
        for i in alike:
            cut[i] = _cut(ELLIPSIS + names[i][start:], length)
    return cut


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1].rstrip() + ELLIPSIS


def _where_they_part(names: list[str], length: int) -> int:
    """Where the word begins in which they first differ; in the middle of a very long one."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    word = max(first.rfind(mark, 0, same) for mark in " _.-") + 1
    return word if same - word < length // 2 else same


def width_px(texts: Sequence[str], size: float) -> float:
    """Of the longest line of them, in points `size`."""
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    return max((TextPath((0, 0), line, size=size).get_extents().width for line in lines), default=0.0) * DPI / 72
