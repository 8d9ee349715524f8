"""The end of a child that nothing in Python can end any more."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Ends the whole process where the block takes longer, with the traceback of all its threads.

    The clock is a thread in C that needs no lock: a call that never gives up Python's lock stops the heartbeat, the
    signals and the limits of a program alike. The parent finds the child dead, as after any crash, and counts it.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
