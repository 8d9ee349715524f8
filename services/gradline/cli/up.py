"""`gradline up`: the one-machine stack, until Ctrl-C."""

import signal
import threading
from types import FrameType

from gradline.cli.terminal import console, print_facts, say
from gradline.embedded.home_lock import find_running
from gradline.embedded.stack import Stack, Wishes, default_children
from gradline.errors import DependencyDown
from gradline.settings import Settings

API_START_S = 120.0
MLFLOW_START_S = 300.0


class StopSignals:
    """Ctrl-C or SIGTERM asks to stop; the second time asks to hurry."""

    def __init__(self) -> None:
        self.stop, self.hurry = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


def up(settings: Settings, port: int | None, n_children: int | None, mlflow_port: int) -> int:
    wishes = Wishes(settings.port if port is None else port, n_children or default_children(), mlflow_port)
    stack = Stack(settings, wishes, announce=say)
    if not stack.lock():
        say_already_running(settings)
        return 0
    signals = StopSignals()
    try:
        _run(stack, signals)
    finally:
        say("\nStopping. Ctrl-C again stops at once.")
        stack.stop(signals.hurry)
        say("Stopped. `gradline up` finds the same data again.")
    return 0


def say_already_running(settings: Settings) -> None:
    running = find_running(settings.home)
    if running is None:
        say(f"A stack is already starting or stopping on {settings.home.absolute()}.")
        return
    say(f"A stack already runs on {settings.home.absolute()} (process {running.pid}):")
    print_facts(console(stderr=True), _addresses(running.url, running.mlflow_url))


def _run(stack: Stack, signals: StopSignals) -> None:
    say(f"Starting Gradline on {stack.home}")
    stack.start()
    if not stack.wait_for_api(API_START_S, signals.stop):
        if not signals.stop.is_set():
            raise DependencyDown(
                f"the API did not answer within {API_START_S:.0f} s; its log: {stack.home}/logs/api.log"
            )
        return
    show_addresses(stack)
    _wait_for_worker(stack, signals)
    _wait_for_mlflow(stack, signals)
    signals.stop.wait()


def show_addresses(stack: Stack) -> None:
    say("")
    print_facts(console(stderr=True), _addresses(stack.url, stack.mlflow_url, stack))
    say("")


def _wait_for_worker(stack: Stack, signals: StopSignals) -> None:
    try:
        if stack.wait_for_worker(signals.stop):
            say("Ready for jobs. Ctrl-C stops everything.")
    except DependencyDown as down:
        say(f"{down}\nIt is started again and again; Ctrl-C stops everything.", "bold red")


def _wait_for_mlflow(stack: Stack, signals: StopSignals) -> None:
    if not signals.stop.is_set():
        say("MLflow is still starting; what is trained meanwhile is carried over.")
    try:
        if stack.wait_for_mlflow(MLFLOW_START_S, signals.stop):
            say("MLflow is ready. Its page has the runs under “Model training”, at the top left.")
        elif not signals.stop.is_set():
            say(f"MLflow has not answered for {MLFLOW_START_S:.0f} s; its log: {stack.home}/logs/mlflow.log", "yellow")
    except DependencyDown as down:
        say(f"{down}\nEverything else runs; jobs are carried over once MLflow does.", "yellow")


def _addresses(url: str, mlflow_url: str, stack: Stack | None = None) -> list[tuple[str, str]]:
    facts = [("API", url), ("API docs", f"{url}/docs"), ("MLflow", mlflow_url)]
    if stack is not None:
        facts += [("Data", str(stack.home)), ("Logs", str(stack.home / "logs"))]
    return facts
