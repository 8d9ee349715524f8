"""What a worker's child process does: come up warm, answer rings, stop when told.

Imported by Celery in the children only (conf.imports); the parent stays without torch.
"""

import logging
import os
import signal
from typing import Any

import structlog
from celery import shared_task
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from gradline.errors import DependencyDown
from gradline.lanes import RING_TASK, Lane
from gradline.logs import configure_logging
from gradline.settings import Settings
from gradline.worker.drawing import Drawer
from gradline.worker.kinds import warm_up
from gradline.worker.runner import Runner

STOP_SIGNAL = signal.SIGUSR2
"""The parent sends it to its children when it shuts down itself."""

log = structlog.get_logger(__name__)
_child: Runner | Drawer


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Having a receiver is what keeps Celery from setting up its own."""


@worker_process_init.connect
def come_up(sender: str, **_: Any) -> None:
    """`sender` is the worker's id, `lane@host-pid-token`: Celery knows it as its host name."""
    global _child  # noqa: PLW0603  (one per process, made once)
    settings = Settings()
    configure_logging(settings)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    try:
        _child = _make_child(settings, sender)
    except Exception:
        log.exception("child_failed")
        os._exit(1)  # Celery would log an exception and send rings to a child that cannot hear them
    signal.signal(STOP_SIGNAL, lambda *_: _child.shut_down())
    log.info("child_ready", pid=os.getpid(), worker_id=sender)


@worker_process_shutdown.connect
def go(**_: Any) -> None:
    """Whoever ends the child, by the number of its jobs or with the worker, leaves no end of a job unwritten."""
    _child.drain()


def _make_child(settings: Settings, worker_id: str) -> Runner | Drawer:
    if worker_id.split("@", 1)[0] == Lane.DRAWING:
        return Drawer(settings)
    warm_up(settings.n_threads)
    return Runner(settings, worker_id)


@shared_task(name=RING_TASK)
def ring(lane: str) -> None:
    """One ring, one job; nothing to claim is nothing to do."""
    try:
        _child.run_one(lane)
    except DependencyDown as down:  # the row is still queued, or lapses: the conductor rings again
        log.warning("ring_in_vain", error=str(down))
