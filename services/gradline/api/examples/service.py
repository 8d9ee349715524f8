"""The examples, one JSON file each beside this module; a test parses every body, another runs them."""

from functools import cache
from importlib.resources import files

from gradline.api.examples.schemas import Example
from gradline.errors import NotFound

FIRST = "notes-logistic-regression"


@cache
def list_examples() -> tuple[Example, ...]:
    """The one to begin with, then the others by name."""
    paths = [path for path in files(__package__).iterdir() if path.name.endswith(".json")]
    found = [Example.model_validate_json(path.read_bytes()) for path in paths]
    return tuple(sorted(found, key=lambda example: (example.name != FIRST, example.name)))


def get_example(name: str) -> Example:
    """Raises NotFound with the names there are."""
    for example in list_examples():
        if example.name == name:
            return example
    names = ", ".join(example.name for example in list_examples())
    raise NotFound(f"there is no example {name!r}; there are: {names}")
