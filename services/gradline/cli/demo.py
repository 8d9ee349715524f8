"""`gradline demo`: the main job before one's eyes, from an empty folder to the runs in MLflow."""

import signal
import time
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rich.text import Text

from gradline.cli.client import Client
from gradline.cli.display import make_display
from gradline.cli.follow import watch
from gradline.cli.results import print_result
from gradline.cli.terminal import clean, console, duration, print_facts, say
from gradline.cli.up import API_START_S, MLFLOW_START_S, StopSignals
from gradline.embedded.home_lock import find_running
from gradline.embedded.mlflow_server import MLFLOW_PORT
from gradline.embedded.stack import Stack, Wishes
from gradline.errors import DependencyDown
from gradline.mlflow_pages import runs_page
from gradline.settings import Settings

T = TypeVar("T")

EXAMPLE = "notes-logistic-regression"
FOLDER = Path("gradline-demo")
"""Where the plots are put, beside wherever the demo is started."""
PLOTS_S = 120.0
POLL_S = 0.25
N_CHILDREN = 2
PLOT_KINDS = ("plot", "animation")
RENEWALS: dict[str, Any] = {
    "kind": "logistic-regression",
    "name": "renewals",
    "spec": {
        "split": {"validation_fraction": 0.25},
        "preprocess": {"missing": "median"},
        "penalty": {"l2": 0.001},
    },
}
"""A fit on demo_data/renewals.csv: 600 made-up members of a club, with quoted names, blanks and text columns."""
COLUMNS = {
    "target": "renewed",
    "positive_class": "yes",
    "features": ["plan", "age", "price per month", "visits per month", "months as member", "contact"],
}


def demo(settings: Settings) -> int:
    """0 where all of it worked. Uses the stack that runs on the data folder, else starts one and stops it again."""
    signal.signal(signal.SIGTERM, _interrupt)
    stack = Stack(settings, Wishes(settings.port, N_CHILDREN, MLFLOW_PORT), announce=say)
    if not stack.lock():
        return _on_running(settings)
    try:
        return _on_own(settings, stack)
    except KeyboardInterrupt:
        return 130
    finally:
        signals = StopSignals()
        signals.stop.set()
        say("\nStopping. Ctrl-C stops at once.")
        stack.stop(signals.hurry)
        say("Stopped. `gradline up` shows the same jobs and runs again.")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _on_running(settings: Settings) -> int:
    running = find_running(settings.home)
    if running is None:
        say(f"A stack is starting or stopping on {settings.home.absolute()}; try again in a moment.", "yellow")
        return 3
    say(f"Using the stack that already runs at {running.url}.")
    with Client.of(settings) as client:
        return _Demo(client, running.mlflow_url).run()


def _on_own(settings: Settings, stack: Stack) -> int:
    began = time.monotonic()
    say(f"Starting Gradline on {stack.home}")
    stack.start()
    if not stack.wait_for_api(API_START_S):
        raise DependencyDown(f"the API did not answer within {API_START_S:.0f} s; its log: {stack.home}/logs/api.log")
    say(f"The API answers after {duration(time.monotonic() - began)}. MLflow is still starting; nothing waits for it.")
    stack.wait_for_worker()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    with Client(stack.url, key) as client:
        return _Demo(client, stack.mlflow_url).run()


class _Demo:
    """The acts of the demo on a stack that answers."""

    def __init__(self, client: Client, mlflow_url: str) -> None:
        self._client = client
        self._mlflow_url = mlflow_url

    def run(self) -> int:
        submitted = [self._submit_example(), self._submit_renewals()]
        say("")
        ended = watch(self._client, submitted, make_display())
        for job in ended:
            _show_result(job)
        failed = [job for job in ended if job["status"] != "succeeded"]
        if failed:
            say(f"\n{len(failed)} of {len(ended)} jobs did not succeed.", "red")
            return 1
        self._fetch_plots(ended)
        synced = self._wait_for_runs(ended)
        self._show_addresses(synced)
        return 0

    def _submit_example(self) -> dict[str, Any]:
        example = self._client.example(EXAMPLE)
        return self._client.submit(example["body"])

    def _submit_renewals(self) -> dict[str, Any]:
        with as_file(files("gradline.cli") / "demo_data" / "renewals.csv") as path:
            dataset = self._client.upload(path)
        say(f"Uploaded {dataset['name']}: {dataset['n_rows']} rows, {len(dataset['columns'])} columns.")
        data = {"source": "dataset", "dataset_id": dataset["id"], **COLUMNS}
        return self._client.submit({**RENEWALS, "spec": {**RENEWALS["spec"], "data": data}})

    def _fetch_plots(self, jobs: Sequence[dict[str, Any]]) -> None:
        for job in jobs:
            folder = FOLDER / job["name"]
            folder.mkdir(parents=True, exist_ok=True)
            print()
            for name in self._wait_for_plots(job):
                path = folder / name.rpartition("/")[2]
                self._client.download(job["id"], name, path)
                print(path)

    def _wait_for_plots(self, job: dict[str, Any]) -> list[str]:
        """Names of its plots, and of the last picture of a series."""

        def drawn() -> list[str] | None:
            found = self._client.artifacts(job["id"])
            return None if found["pending"] else _worth_seeing(found["items"])

        return _wait_for(drawn, PLOTS_S, f"the plots of {job['name']}")

    def _wait_for_runs(self, jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        say("\nWaiting for both runs to be in MLflow …")

        def synced() -> list[dict[str, Any]] | None:
            found = [self._client.job(job["id"]) for job in jobs]
            return found if all(job["mlflow"]["synced"] for job in found) else None

        began = time.monotonic()
        found = _wait_for(synced, MLFLOW_START_S, "the runs in MLflow")
        say(f"Both runs are in MLflow (after {duration(time.monotonic() - began)}).")
        return found

    def _show_addresses(self, jobs: Sequence[dict[str, Any]]) -> None:
        facts = [
            ("API docs", f"{self._client.url}/docs"),
            ("MLflow", runs_page(self._mlflow_url, jobs[0]["mlflow"]["experiment_id"])),
        ]
        facts += [(f"run of {job['name']}", job["mlflow"]["url"]) for job in jobs]
        facts += [("plots", str(FOLDER.absolute()))]
        print_facts(console(), facts)


def _show_result(job: dict[str, Any]) -> None:
    out = console()
    out.print()
    out.print(Text(clean(job["name"]), style="bold underline"))
    if job["error"]:
        out.print(f"{job['status']}: {clean(job['error'].get('message', job['error']))}", style="red")
    if job["result"]:
        print_result(job["result"])


def _worth_seeing(artifacts: Sequence[dict[str, Any]]) -> list[str]:
    series = sorted((f["step"], f["name"]) for f in artifacts if f["kind"] == "image")
    return [f["name"] for f in artifacts if f["kind"] in PLOT_KINDS] + [name for _, name in series[-1:]]


def _wait_for(look: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """The first answer that is not None. Raises DependencyDown once the time is up."""
    end = time.monotonic() + timeout_s
    while (found := look()) is None:
        if time.monotonic() > end:
            raise DependencyDown(
                f"{what} did not appear within {timeout_s:.0f} s; `gradline doctor` and the logs say more"
            )
        time.sleep(POLL_S)
    return found
