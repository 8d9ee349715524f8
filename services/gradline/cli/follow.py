"""Following jobs to their end, over broken connections and restarts of the API."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gradline.cli.client import Client, Event
from gradline.cli.display import Display
from gradline.cli.view import JobView
from gradline.errors import DependencyDown
from gradline.status import EventKind

GIVE_UP_S = 120.0
"""An API that has been away for this long is not waited for any longer."""
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 5.0


def follow(client: Client, job_id: str, on_break: Callable[[str], None]) -> Iterator[Event]:
    """The job's events to the last, each durable one once. Raises DependencyDown where the API stays away."""
    last_id, pause_s, away_since = "", PAUSE_MIN_S, 0.0
    while True:
        try:
            for event in client.events(job_id, last_id):
                last_id, pause_s, away_since = event.id or last_id, PAUSE_MIN_S, 0.0
                yield event
                if event.kind == EventKind.ENDED:
                    return
        except DependencyDown as down:
            if not away_since:
                away_since = time.monotonic()
                on_break(f"{down.message}; trying again")
            elif time.monotonic() - away_since > GIVE_UP_S:
                raise
        time.sleep(pause_s)
        pause_s = min(PAUSE_MAX_S, pause_s * 2)


def watch(client: Client, jobs: Sequence[dict[str, Any]], display: Display) -> list[dict[str, Any]]:
    """Show the jobs until all have ended; the jobs as they ended. Ctrl-C passes through: the jobs go on."""
    watchers = [_Watcher(client, JobView.of(job), display) for job in jobs]
    with display:
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
    for watcher in watchers:
        if watcher.error is not None:
            raise watcher.error
    return [client.job(job["id"]) for job in jobs]


class _Watcher(threading.Thread):
    """Follows one job into the display."""

    def __init__(self, client: Client, view: JobView, display: Display) -> None:
        super().__init__(name=f"watch-{view.job_id}", daemon=True)
        self.error: Exception | None = None
        """Raised in the thread that joins."""
        self._client, self._view, self._display = client, view, display

    def run(self) -> None:
        try:
            self._display.update(self._view)
            for event in follow(self._client, self._view.job_id, self._display.say):
                text = self._view.apply(event)
                self._display.update(self._view)
                if text is not None:
                    self._display.tell(self._view, text)
        except Exception as error:  # noqa: BLE001  re-raised by `watch`
            self.error = error
