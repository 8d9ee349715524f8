"""A job and its result as people read them."""

from collections.abc import Iterable
from typing import Any

from rich.text import Text

from gradline.cli.terminal import ago, clean, console, duration, number, print_table, status_text, table

N_COEFFICIENTS_SHOWN = 30
METRICS = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "loss": "loss",
    "roc_auc": "area under the ROC curve",
    "n_rows": "rows",
}
"""Metrics by the order in which people look for them; whatever else there is follows."""


def print_job(job: dict[str, Any]) -> None:
    """Everything of a job on stdout."""
    out = console()
    print_table(out, table(("", ""), _facts(job)))
    if job.get("result"):
        out.print()
        print_result(job["result"])


def print_result(result: dict[str, Any]) -> None:
    out = console()
    if result.get("outcome"):
        out.print(Text(_ending(result)))
    if result.get("metrics"):
        out.print()
        print_table(out, _metrics_table(result["metrics"]))
    if result.get("coefficients"):
        out.print()
        print_table(out, _coefficient_table(result))
        hidden = len(result["coefficients"]) - N_COEFFICIENTS_SHOWN
        if hidden > 0:
            out.print(Text(f"… and {hidden} more; all of them: -o json", style="dim"))


def _facts(job: dict[str, Any]) -> Iterable[tuple[str, str | Text]]:
    yield "id", job["id"]
    yield "kind", job["kind"]
    if job.get("name"):
        yield "name", job["name"]
    yield "status", status_text(job["status"])
    if job.get("error"):
        yield "error", f"{job['error'].get('code', '')}: {job['error'].get('message', '')}"
    if job.get("queue_position") is not None:
        yield "place in the queue", number(job["queue_position"])
    if job.get("attempt", 0) > 1:
        yield "attempt", number(job["attempt"])
    yield "submitted", ago(job.get("created_at"))
    yield from _progress_facts(job)
    run = job.get("mlflow") or {}
    if run.get("url"):
        yield "MLflow", str(run["url"]) + ("" if run.get("synced") else "  (still being carried over)")


def _progress_facts(job: dict[str, Any]) -> Iterable[tuple[str, str]]:
    progress = job.get("progress") or {}
    if progress.get("step") is not None and not job.get("result"):
        yield "step", f"{number(progress['step'])} of {number(progress.get('total_steps'))}"
    if progress.get("eta_s") is not None and job["status"] == "running":
        yield "time left", duration(progress["eta_s"])


def _ending(result: dict[str, Any]) -> str:
    outcome = str(result["outcome"]).replace("_", " ")
    at = f" at step {number(result['steps'])}" if result.get("steps") is not None else ""
    objective = f"; objective {number(result['objective'])}" if result.get("objective") is not None else ""
    device = f"; trained on {clean(result['device'])}" if result.get("device") else ""
    return f"{outcome[:1].upper()}{outcome[1:]}{at}{objective}{device}"


def _metrics_table(metrics: dict[str, dict[str, Any]]) -> Any:
    parts = {part: values for part, values in metrics.items() if values}
    names = list(dict.fromkeys([*METRICS, *(name for values in parts.values() for name in values)]))
    rows = [
        (METRICS.get(name, name.replace("_", " ")), *(number(values.get(name)) for values in parts.values()))
        for name in names
        if any(_is_scalar(values.get(name)) for values in parts.values())
    ]
    return table(("", *parts), rows, numeric=range(1, len(parts) + 1))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float)


def _coefficient_table(result: dict[str, Any]) -> Any:
    shown = result["coefficients"][:N_COEFFICIENTS_SHOWN]
    lines = [*shown, *({"feature": "(intercept)", **_as_row(row)} for row in result.get("intercepts") or [])]
    optional = [
        (name, title)
        for name, title in (("class", "class"), ("std_error", "std. error"), ("z", "z"), ("p_value", "p"))
        if any(line.get(name) is not None for line in lines)
    ]
    has_interval = any(line.get("ci_low") is not None for line in lines)
    headers = ["feature", "estimate", *(title for _, title in optional), *(["95 % interval"] if has_interval else [])]
    rows = [
        [line["feature"], number(line.get("estimate")), *(number(line.get(name), 4) for name, _ in optional)]
        + ([_interval(line)] if has_interval else [])
        for line in lines
    ]
    return table(headers, rows, numeric=range(1, len(headers)))


def _as_row(intercept: Any) -> dict[str, Any]:
    return intercept if isinstance(intercept, dict) else {"estimate": intercept}


def _interval(line: dict[str, Any]) -> str:
    return "–" if line.get("ci_low") is None else f"{number(line['ci_low'], 4)} … {number(line['ci_high'], 4)}"
