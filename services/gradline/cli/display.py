"""Watched jobs on a terminal: bars that move, or lines where nothing can move."""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, Self

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.text import Text

from gradline.cli.terminal import STYLES, clean, console, duration, number, say
from gradline.cli.view import JobView

PLAIN_INTERVAL_S = 2.0
TITLE_WIDTH = 26
FULL_WIDTH = 118
"""A narrower terminal gets the figures without their words."""

Render = Callable[[JobView], Text]
Justify = Literal["left", "right"]


class Display(Protocol):
    """Where watched jobs are shown; may be called from several threads."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def update(self, view: JobView) -> None:
        """Something of the view has changed."""

    def tell(self, view: JobView, text: str) -> None:
        """Something has happened to the job."""

    def say(self, text: str) -> None:
        """Something has happened beside the jobs."""


def make_display() -> Display:
    return LiveDisplay() if sys.stderr.isatty() else PlainDisplay()


class PlainDisplay:
    """A line per state and, while a job trains, one every two seconds."""

    def __init__(self) -> None:
        self._next_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, view: JobView) -> None:
        with self._lock:
            due = time.monotonic() >= self._next_at.get(view.job_id, 0.0)
            if view.has_figures and (due or view.has_ended):
                self._next_at[view.job_id] = time.monotonic() + PLAIN_INTERVAL_S
                say(f"{view.title}: {_figures(view)}")

    def tell(self, view: JobView, text: str) -> None:
        say(f"{view.title}: {text}")

    def say(self, text: str) -> None:
        say(text)


class LiveDisplay:
    """A bar per job: step, loss, accuracy, rate, time left."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._views: dict[TaskID, JobView] = {}
        self._lock = threading.Lock()
        self._console = console(stderr=True)
        self._progress = Progress(*self._columns(), console=self._console)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, view: JobView) -> None:
        with self._lock:
            task_id = self._task_of(view)
        if view.has_ended:
            # It may have ended long before its last permitted step: a full bar means that it is done.
            done = view.step or 1
            self._progress.update(task_id, total=done, completed=done if view.status == "succeeded" else 0)
            self._progress.stop_task(task_id)
        else:
            self._progress.update(task_id, total=view.total_steps, completed=view.step or 0)

    def tell(self, view: JobView, text: str) -> None:
        self.update(view)
        if not view.has_ended and not text.startswith("started"):  # the bar shows these itself
            self.say(f"{view.title}: {text}")

    def say(self, text: str) -> None:
        self._console.print(Text(clean(text)), soft_wrap=True)

    def _columns(self) -> list[ProgressColumn]:
        is_narrow = self._console.width < FULL_WIDTH
        return [
            SpinnerColumn(finished_text=" "),
            _ViewColumn(self._views, partial(_title, width=16 if is_narrow else TITLE_WIDTH)),
            BarColumn(bar_width=6 if is_narrow else 16),
            _ViewColumn(self._views, partial(_steps, is_narrow=is_narrow), "right"),
            _ViewColumn(self._views, partial(_quality, is_narrow=is_narrow)),
            _ViewColumn(self._views, partial(_speed, is_narrow=is_narrow), "right"),
        ]

    def _task_of(self, view: JobView) -> TaskID:
        if view.job_id not in self._tasks:
            task_id = self._progress.add_task("", total=None)
            self._views[task_id] = view
            self._tasks[view.job_id] = task_id
        return self._tasks[view.job_id]


class _ViewColumn(ProgressColumn):
    """A column drawn from the job's view."""

    def __init__(self, views: dict[TaskID, JobView], render: Render, justify: Justify = "left") -> None:
        super().__init__()
        self._views, self._render, self._justify = views, render, justify

    def render(self, task: Task) -> Text:
        view = self._views.get(task.id)
        text = self._render(view) if view is not None else Text()
        text.justify, text.no_wrap = self._justify, True
        return text


def _title(view: JobView, *, width: int) -> Text:
    title = clean(view.title)
    return Text(title if len(title) <= width else title[: width - 1] + "…", style="bold")


def _steps(view: JobView, *, is_narrow: bool) -> Text:
    if view.step is None:
        return Text(view.status, style=STYLES.get(view.status, ""))
    return Text(_steps_part(view).removeprefix("step " if is_narrow and not view.has_ended else ""))


def _quality(view: JobView, *, is_narrow: bool) -> Text:
    if is_narrow:
        return Text(" ".join(_quality_parts(view, 3)).replace("accuracy", "acc"))
    return Text("  ".join(_quality_parts(view)))


def _speed(view: JobView, *, is_narrow: bool) -> Text:
    if view.has_ended:
        took = f" in {duration(view.trained_s)}" if view.trained_s is not None and not is_narrow else ""
        return Text(view.status + took, style=STYLES.get(view.status, ""))
    if is_narrow:
        return Text(duration(view.eta_s) if view.step else "", style="dim")
    return Text("  ".join(_speed_parts(view)), style="dim")


def _figures(view: JobView) -> str:
    return "  ".join([_steps_part(view), *_quality_parts(view), *_speed_parts(view)])


def _steps_part(view: JobView) -> str:
    of_total = f"/{view.total_steps:,}" if view.total_steps and not view.has_ended else ""
    return f"step {view.step:,}{of_total}"


def _quality_parts(view: JobView, digits: int = 4) -> list[str]:
    parts = [("loss", view.loss), ("accuracy", view.accuracy)]
    return [f"{name} {number(value, digits)}" for name, value in parts if value is not None]


def _speed_parts(view: JobView) -> list[str]:
    if view.has_ended or not view.step:  # no rate can be told before the first step
        return []
    parts = [f"{number(round(view.rate))} steps/s"] if view.rate is not None else []
    return parts + ([f"{duration(view.eta_s)} left"] if view.eta_s is not None else [])
