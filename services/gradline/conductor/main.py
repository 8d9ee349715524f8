"""The conductor's loop; any number of them may run, since every write is compare-and-set.

`python -m gradline.conductor.main`
"""

import signal
import threading
import time

import structlog

from gradline import liveness
from gradline.conductor.sweep import Sweep
from gradline.errors import DependencyDown
from gradline.logs import configure_logging
from gradline.settings import Settings

CLEAR_EVERY_S = 600.0
log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Turns until SIGTERM or SIGINT."""
    configure_logging(settings)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    sweep = Sweep(settings)
    conduct(sweep, settings.conductor_tick_s, ended)
    sweep.close()


def conduct(sweep: Sweep, tick_s: float, ended: threading.Event) -> None:
    clear_at = time.monotonic() + CLEAR_EVERY_S
    log.info("conductor_ready")
    while not ended.wait(tick_s):
        liveness.beat("conductor")
        try:
            sweep.rescue()
            sweep.ring()
            if time.monotonic() >= clear_at:
                clear_at = time.monotonic() + CLEAR_EVERY_S
                sweep.clear()
        except DependencyDown as down:
            log.warning("round_failed", error=str(down))


if __name__ == "__main__":
    run(Settings())
