"""`gradline api`, `worker`, `conductor`, `relay`: this process becomes the one asked for.

It is replaced, so that signals reach the real process and what serves never imports what trains.
"""

import importlib.util
import os
import sys
from typing import NoReturn

from gradline.errors import DependencyDown


def become(process: str, *arguments: str) -> NoReturn:
    module = f"gradline.{process}.main"
    if importlib.util.find_spec(f"gradline.{process}") is None:
        raise DependencyDown(f"the {process} is not part of this installation: `pip install 'gradline[{process}]'`")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  no shell is the point
