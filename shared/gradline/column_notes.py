"""What people should hear of a text column before they fit on it: that it looks like something else than levels."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

MIN_ROWS = 20
"""In fewer rows every value may well occur once."""
NUMBER = r"^[-+]?(\d+|\d{1,3}([.,' ]\d{3})+)([.,]\d+)?$"
DATE = r"^\d{4}-\d{1,2}-\d{1,2}([T ].*)?$|^\d{1,2}[./]\d{1,2}[./]\d{2,4}$"
NUMBERS = "its values look like numbers and are read as text, a level for each: a number is written as 1234.5"
DATES = (
    "its values look like dates; as a feature each is a level of its own: a number, such as days since one, says more"
)
ALL_DIFFERENT = "no value occurs twice: leave it out of the features if it names the rows"


def note_of(values: Sequence[str], n_present: int) -> str | None:
    """Of a text column by its different values, all that there are; None: nothing to say."""
    text = pa.array(values, pa.string())
    for pattern, note in ((NUMBER, NUMBERS), (DATE, DATES)):
        if len(values) and pc.all(pc.match_substring_regex(text, pattern)).as_py():
            return note
    return ALL_DIFFERENT if len(values) == n_present >= MIN_ROWS else None
