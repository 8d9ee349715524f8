"""What people should hear of a text column before they fit on it: that it looks like something else than levels."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

MIN_ROWS = 20
"""In fewer rows every value may well occur once."""
NUMBER = r"^[-+]?[$€£]?(\d+|\d{1,3}([.,' ]\d{3})+)([.,]\d+)? ?[%€]?$"
PLAIN_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
DATE = r"^\d{4}-\d{1,2}-\d{1,2}([T ].*)?$|^\d{1,2}[./]\d{1,2}[./]\d{2,4}$"
NUMBERS = "its values look like numbers and are read as text, a level for each: a number is written as 1234.5"
STORED_AS_TEXT = "its values are numbers stored as text, a level for each: spec.data.types can make it numeric"
DATES = (
    "its values look like dates; as a feature each is a level of its own: a number, such as days since one, says more"
)
NEARLY_NUMBERS = (
    "its values are numbers but for {}, so it is read as text, a level for each: leave a missing value empty"
)
MAX_SHARE_OF_OTHERS = 0.1
MAX_SHOWN = 3
ALL_DIFFERENT = "no value occurs twice: leave it out of the features if it names the rows"


def note_of(values: Sequence[str], n_present: int | None) -> str | None:
    """Of a text column by its different values, or some of them; None: nothing to say.

    `n_present`: how many values it has in all, the same ones too; None where there are more different ones than given.
    """
    text = pa.array(values, pa.string())
    for pattern, note in ((PLAIN_NUMBER, STORED_AS_TEXT), (NUMBER, NUMBERS), (DATE, DATES)):
        if len(text) and pc.all(pc.match_substring_regex(text, pattern)).as_py():
            return note
    others = no_numbers(text)
    if len(text) >= MIN_ROWS and len(others) <= MAX_SHARE_OF_OTHERS * len(text):
        shown = ", ".join(repr(value) for value in others[:MAX_SHOWN].to_pylist())
        return NEARLY_NUMBERS.format(shown if len(others) <= MAX_SHOWN else f"{len(others)} such as {shown}")
    return ALL_DIFFERENT if len(text) == n_present and len(text) >= MIN_ROWS else None


def no_numbers(text: pa.Array) -> pa.Array:
    """Those that are no number as numbers are written here."""
    return text.filter(pc.invert(_are_numbers(text)))


def some_of(values: pa.Array, n: int) -> pa.Array:
    """At most n numbers and n others: the first ones, in memory of their own."""
    if not pa.types.is_string(values.type):
        return pa.concat_arrays([values[:n]])
    return pa.concat_arrays([values.filter(_are_numbers(values))[:n], no_numbers(values)[:n]])


def _are_numbers(text: pa.Array) -> pa.Array:
    return pc.match_substring_regex(text, PLAIN_NUMBER)
