"""Pasted text made ready to parse: fences, prompts, odd spaces and a common indentation are taken away.

Every line keeps its number, and how many characters it lost at the start, so that faults point into the text as sent.
"""

import re
from dataclasses import dataclass

from gradline.programs.faults import ProgramFault, ProgramRejected

_PROMPT = re.compile(r"^\s*(?:>>>|In \[\d+\]:)(?: |$)")
_CONTINUATION = re.compile(r"^\s*\.\.\.:?(?: |$)")
_FENCE = re.compile(r"^\s*(```|~~~)")
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2007\u2009\u202f\u3000", " "))
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_COMMENT_OR_BLANK = re.compile(r"^\s*(#.*)?$")
_NOTEBOOK = re.compile(
    r"^\s*(!\s*\w.*|%{1,2}(matplotlib|load_ext|reload_ext|autoreload|config|pip|conda|time|timeit|capture)\b.*)$"
)
"""Commands of a notebook that change nothing of what a program computes."""
_OPENS_BLOCK = re.compile(r":\s*(#.*)?$|[\[({,\\]\s*(#.*)?$")


@dataclass(frozen=True)
class Source:
    lines: tuple[str, ...]
    shifts: tuple[int, ...]
    """Characters taken from the start of each line."""
    is_transcript: bool

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def clean(text: str) -> Source:
    """The text without what came along with the copying; raises ProgramRejected for invisible characters."""
    raw = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    _refuse_invisible(raw)
    lines = [line.translate(_SPACES) for line in raw]
    is_transcript = any(_PROMPT.match(line) for line in lines)
    kept = _strip_prompts(lines) if is_transcript else ["" if _is_outside(line) else line for line in lines]
    kept = _dedent(kept)
    shifts = tuple(_shift(line, clean) for line, clean in zip(lines, kept, strict=True))
    return Source(tuple(kept), shifts, is_transcript)


def _is_outside(line: str) -> bool:
    return _FENCE.match(line) is not None or _NOTEBOOK.match(line) is not None


def _refuse_invisible(lines: list[str]) -> None:
    for number, line in enumerate(lines, start=1):
        if found := _INVISIBLE.search(line):
            reason = f"the invisible character U+{ord(found.group()):04X} is not allowed; delete it"
            raise ProgramRejected([ProgramFault(number, found.start() + 1, reason, _INVISIBLE.sub("?", line))])


def _strip_prompts(lines: list[str]) -> list[str]:
    """The typed lines of an interactive session; its outputs become blank lines."""
    kept, typed = [], False
    for line in lines:
        prompt = _PROMPT.match(line) or (_CONTINUATION.match(line) if typed else None)
        typed = prompt is not None
        kept.append(line[prompt.end() :] if prompt else "")
    return kept


def _dedent(lines: list[str]) -> list[str]:
    """Takes the first code line's indentation from every line, or the others' where only the first has none."""
    code = [line for line in lines if not _COMMENT_OR_BLANK.match(line)]
    if not code:
        return lines
    common = _indent(code[0])
    if common == 0 and not _OPENS_BLOCK.search(code[0]) and len(code) > 1:
        common = min(_indent(line) for line in code[1:])
    return [line[min(common, _indent(line)) :] for line in lines] if common else lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _shift(before: str, after: str) -> int:
    return len(before) - len(after) if after else 0
