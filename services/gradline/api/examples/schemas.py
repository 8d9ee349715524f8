"""What an example holds."""

from typing import Any

from gradline.api.answers import View


class Example(View):
    """A job body that runs as it is."""

    name: str
    title: str
    teaches: str
    """What to look at in the result."""
    body: dict[str, Any]
    """Send it to `POST /v1/jobs`."""


class ExampleList(View):
    items: list[Example]
