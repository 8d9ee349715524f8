"""What the client commands do: submit, watch, list, show, cancel, upload."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradline.cli.client import Client
from gradline.cli.display import make_display
from gradline.cli.follow import watch
from gradline.cli.output import Output
from gradline.cli.results import print_job
from gradline.cli.terminal import ago, console, number, print_facts, say, status_text, write, write_json, write_table
from gradline.errors import CallerError

EXIT_JOB_FAILED = 1
EXIT_INTERRUPTED = 130


def submit(client: Client, body: dict[str, Any], *, follow: bool, output: Output, key: str | None = None) -> int:
    job = client.submit(body, key)
    if follow:
        if output is Output.ID:
            write(job["id"])
        return watch_one(client, job, output)
    _say_if_nobody_works(client, job)
    say(f"Submitted. Follow it: gradline watch {job['id']}")
    if output is Output.JSON:
        write_json(job)
    else:
        write(job["id"])
    return 0


def watch_one(client: Client, job: dict[str, Any], output: Output) -> int:
    _say_if_nobody_works(client, job)
    try:
        (ended,) = watch(client, [job], make_display())
    except KeyboardInterrupt:
        say(f"\nNo longer watching; the job goes on.\nWatch it again: gradline watch {job['id']}")
        say(f"Cancel it:      gradline cancel {job['id']}")
        return EXIT_INTERRUPTED
    if output is not Output.ID:
        show(ended, output)
    return 0 if ended["status"] == "succeeded" else EXIT_JOB_FAILED


def _say_if_nobody_works(client: Client, job: dict[str, Any]) -> None:
    if job["status"] == "queued" and all(worker["lane"] != job["lane"] for worker in client.list_workers()):
        say(f"No worker of lane {job['lane']} is alive; the job waits until one is.", "yellow")


def show(job: dict[str, Any], output: Output) -> None:
    match output:
        case Output.JSON:
            write_json(job)
        case Output.ID:
            write(job["id"])
        case Output.TABLE:
            print_job(job)


def show_jobs(jobs: Sequence[dict[str, Any]], output: Output) -> None:
    if output is Output.TABLE:
        rows = [
            (job["id"], job["name"] or "", job["kind"], status_text(job["status"]), _done(job), ago(job["created_at"]))
            for job in jobs
        ]
        write_table(("id", "name", "kind", "status", "steps", "submitted"), rows, numeric=[4])
        return
    _show_list(jobs, "id", output)


def show_examples(examples: Sequence[dict[str, Any]], output: Output) -> None:
    if output is Output.TABLE:
        rows = [(example["name"], example["title"]) for example in examples]
        write_table(("name", "title"), rows)
        say("Run one: gradline submit --example NAME --follow")
        return
    _show_list(examples, "name", output)


def show_dataset(dataset: dict[str, Any], output: Output) -> None:
    if output is not Output.TABLE:
        _show_list([dataset], "id", output)
        return
    print_facts(console(), [("id", dataset["id"]), ("name", dataset["name"]), ("rows", number(dataset["n_rows"]))])
    columns = [(column["name"], column["type"], number(column["n_missing"])) for column in dataset["columns"]]
    print()
    write_table(("column", "type", "missing"), columns, numeric=[2])
    for column in dataset["columns"]:
        if column.get("note"):
            say(f"{column['name']}: {column['note']}")


_INTERVAL = {
    "std_errors": "standard error",
    "low": "interval low",
    "high": "interval high",
    "observation_low": "observation low",
    "observation_high": "observation high",
}
"""How columns of CSV are called, here and in the files of prediction jobs."""


def show_predictions(answer: dict[str, Any], output: Output) -> None:
    """CSV: the predicted class and the probability of each class, or the predicted value; then what was asked for."""
    if output is Output.JSON:
        write_json(answer)
        return
    out = csv.writer(sys.stdout, lineterminator="\n")
    columns = _predicted_columns(answer)
    out.writerow(columns)
    out.writerows(zip(*columns.values(), strict=True))


def _predicted_columns(answer: dict[str, Any]) -> dict[str, Sequence[Any]]:
    names, target = answer["class_names"], answer["target"] or "prediction"
    if names is None:
        columns = {target: answer["values"]}
    else:
        columns = {target: answer["classes"]}
        probabilities = zip(*answer["probabilities"], strict=True)
        columns |= {f"probability of {name}": p for name, p in zip(names, probabilities, strict=True)}
    if (interval := answer["interval"]) is not None:
        columns |= {name: interval[end] for end, name in _INTERVAL.items() if interval[end] is not None}
    return columns | (_contribution_columns(answer["contributions"], names) if answer["contributions"] else {})


def _contribution_columns(told: dict[str, Any], names: list[Any] | None) -> dict[str, Sequence[Any]]:
    columns: dict[str, Sequence[Any]] = {}
    for k, base in enumerate(told["base"]):
        to = f" to {names[k]}" if names and len(told["base"]) > 1 else ""
        columns[f"base{to}"] = [base] * len(told["rows"])
        parts = zip(*(row[k] for row in told["rows"]), strict=True)
        columns |= {f"contribution of {term}{to}": part for term, part in zip(told["terms"], parts, strict=True)}
    return columns


def read_body(file: str) -> dict[str, Any]:
    """A job as JSON, from a file or, for `-`, from stdin; a file of Python is a program to be explained."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CallerError(f"{file} cannot be read: {why}") from error
    if file.endswith(".py"):
        return {"kind": "autograd", "name": Path(file).name, "spec": {"program": text}}
    try:
        body = json.loads(text)
    except ValueError as error:
        raise CallerError(f"{file} is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise CallerError(f"{file} holds no job: a JSON object with `kind` and `spec` is wanted")
    return body


def example_body(client: Client, name: str) -> dict[str, Any]:
    """The job of an example, ready to submit."""
    body: dict[str, Any] = client.example(name)["body"]
    return body


def _done(job: dict[str, Any]) -> str:
    steps = (job["result"] or {}).get("steps", (job["progress"] or {}).get("step"))
    return number(steps) if steps is not None else ""


def _show_list(items: Sequence[dict[str, Any]], key: str, output: Output) -> None:
    if output is Output.JSON:
        write_json(list(items))
        return
    for item in items:
        write(item[key])
