"""A job and its result as people read them."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from rich.text import Text

from gradline.cli.lesson import print_lesson
from gradline.cli.terminal import ago, clean, console, duration, number, print_facts, print_table, status_text, table

N_COEFFICIENTS_SHOWN = 30
INTERCEPT = "(intercept)"
INFINITE = {"inf": "infinite", "-inf": "−infinite", "undetermined": "undetermined"}
ENDINGS = {"step_limit": "step limit reached", "early_stopped": "stopped early"}
"""Outcomes whose name is not what one would say of them."""
METRICS = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "loss": "loss",
    "roc_auc": "area under the ROC curve",
    "pr_auc": "average precision",
    "precision": "precision",
    "recall": "recall",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "ks": "Kolmogorov-Smirnov",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "r2": "R²",
    "rmse": "root mean square error",
    "mse": "mean square error",
    "mae": "mean absolute error",
    "deviance": "mean deviance",
    "n": "rows",
}
"""Metrics by the order in which people look for them; whatever else there is follows."""


def print_job(job: dict[str, Any]) -> None:
    """Everything of a job on stdout."""
    out = console()
    print_facts(out, _facts(job))
    if job.get("result"):
        for warning in job["result"].get("warnings", []):
            out.print(Text(f"warning: {clean(warning['message'])}", style="yellow"))
        out.print()
        print_result(job["result"])


def print_result(result: dict[str, Any]) -> None:
    if "lines" in result:
        print_lesson(result)
    else:
        _print_fit(result)


def _print_fit(result: dict[str, Any]) -> None:
    out = console()
    if result.get("outcome"):
        out.print(Text(_ending(result)))
    if said := _certified(result):
        out.print(Text(said))
    if result.get("advice"):
        out.print(Text(clean(result["advice"]), style="yellow"))
    if result.get("metrics"):
        out.print()
        print_table(out, _metrics_table(result["metrics"]))
    if result.get("coefficients"):
        out.print()
        print_table(out, _coefficient_table(result))
        for said in _notes(result):
            out.print(Text(said))
        _tell_of_hidden(result["coefficients"])
    inference = result.get("inference") or {}
    if any(term["df"] > 1 for term in inference.get("terms") or []):  # else each test is that of a coefficient
        _print_beside(_terms_table(inference["terms"]), inference["terms"])
    if effects := inference.get("marginal_effects"):
        lines = [{**effect, "estimate": effect["effect"]} for effect in effects[:N_COEFFICIENTS_SHOWN]]
        _print_beside(_table_with_errors(lines, _interval(result), "marginal effect"), effects)


def _print_beside(made: Table, entries: list[dict[str, Any]]) -> None:
    out = console()
    out.print()
    print_table(out, made)
    _tell_of_hidden(entries)


def _tell_of_hidden(entries: list[dict[str, Any]]) -> None:
    hidden = len(entries) - N_COEFFICIENTS_SHOWN
    if hidden > 0:
        console().print(Text(f"… and {hidden} more; all of them: -o json", style="dim"))


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
    outcome = ENDINGS.get(result["outcome"], str(result["outcome"]).replace("_", " "))
    at = f" at step {number(result['steps'])}" if result.get("steps") is not None else ""
    at += f", parameters of step {number(result['best_step'])}" if result.get("best_step") is not None else ""
    objective = f"; objective {number(result['objective'])}" if result.get("objective") is not None else ""
    device = f"; trained on {clean(result['device'])}" if result.get("device") else ""
    return f"{outcome[:1].upper()}{outcome[1:]}{at}{objective}{device}"


def _certified(result: dict[str, Any]) -> str:
    certificate = result.get("certificate") or {}
    if certificate.get("relative_gap") is None:
        return ""
    method = clean(certificate.get("method") or "").replace("_", " ")
    return (
        f"The objective is within a relative {number(certificate['relative_gap'], 2)} of its minimum, by the {method}"
    )


def _metrics_table(metrics: dict[str, dict[str, Any]]) -> Table:
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


def _coefficient_table(result: dict[str, Any]) -> Table:
    lines = [*result["coefficients"][:N_COEFFICIENTS_SHOWN]]
    lines += [{"feature": INTERCEPT, **intercept} for intercept in result.get("intercepts") or []]
    names = list(dict.fromkeys(line["class"] for line in lines if line.get("class") is not None))
    if names and not any(line.get("std_error") is not None for line in lines):
        return _table_by_class(lines, names)
    return _table_with_errors(lines, _interval(result), "estimate")


def _interval(result: dict[str, Any]) -> str:
    confidence = (result.get("inference") or {}).get("confidence") or 0.95
    return f"{100 * confidence:.4g} % interval"


def _estimate(line: dict[str, Any]) -> str:
    """An infinite one by its name: where the fit stopped on its way there means nothing."""
    infinite = line.get("infinite")
    return number(line["estimate"]) if infinite is None else INFINITE.get(infinite, clean(infinite))


def _table_by_class(lines: list[dict[str, Any]], names: list[Any]) -> Table:
    """A row per feature, a column per class."""
    estimates = {(line["feature"], line.get("class")): _estimate(line) for line in lines}
    features = list(dict.fromkeys(line["feature"] for line in lines))
    rows = [(feature, *(estimates.get((feature, name), number(None)) for name in names)) for feature in features]
    return table(("feature", *(str(name) for name in names)), rows, numeric=range(1, len(names) + 1))


def _terms_table(terms: list[dict[str, Any]]) -> Table:
    rows = [
        (term["term"], number(term["df"]), number(term["chi2"]), number(term["p_value"], 4))
        for term in terms[:N_COEFFICIENTS_SHOWN]
    ]
    return table(("term", "df", "chi²", "p"), rows, numeric=range(1, 4))


def _table_with_errors(lines: list[dict[str, Any]], interval: str, estimate: str) -> Table:
    optional = {"class": "class", "std_error": "std. error", "z": "z", "p_value": "p", "ci_low": interval}
    shown = {name: title for name, title in optional.items() if any(line.get(name) is not None for line in lines)}
    rows = [(line["feature"], _estimate(line), *(_cell(line, name) for name in shown)) for line in lines]
    return table(("feature", estimate, *shown.values()), rows, numeric=range(1, len(shown) + 2))


def _cell(line: dict[str, Any], name: str) -> str:
    if name == "ci_low" and line.get("ci_low") is not None:
        return f"{number(line['ci_low'], 4)} … {number(line['ci_high'], 4)}"
    return number(line.get(name), 4)


def _notes(result: dict[str, Any]) -> Iterable[str]:
    """What the coefficients are to be read with."""
    positive = (result.get("classes") or {}).get("positive")
    if positive not in (None, 1):
        yield f"Class 1 is {clean(positive)!r}."
    if n_without := result.get("n_without_target"):
        yield f"Rows left out, because the target has no value: {number(n_without)}."
    lines = [*result["coefficients"], *({"feature": INTERCEPT, **line} for line in result.get("intercepts") or [])]
    for field, value, title in (
        ("undetermined", "constant", "Not determined by the rows (constant)"),
        ("undetermined", "collinear", "Not determined by the rows (collinear)"),
        ("at_bound", "at_least", "At the least that model.bounds or non_negative allow"),
        ("at_bound", "at_most", "At the most that model.bounds allow"),
    ):
        if names := dict.fromkeys(clean(line["feature"]) for line in lines if line.get(field) == value):
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield f"{title}: {', '.join([*names][:5])}{more}."
    decision = result.get("decision") or {}
    if chosen_for := decision.get("chosen_for"):
        target = f" of at least {number(chosen_for['at_least'])}" if chosen_for.get("at_least") is not None else ""
        metric = clean(chosen_for["metric"])
        yield f"Class 1 is predicted from {number(decision['threshold'])} on, chosen for a {metric}{target}."
    if path := result.get("path"):
        choice = clean(path["choose"]).replace("_", " ")
        yield f"The penalty's strength is {number(path['strength'])}, chosen by {path['folds']} folds ({choice})."
    if importance := [line for line in result.get("importance") or [] if line["share"] is not None]:
        told = ", ".join(f"{clean(line['term'])} ({line['share']:.0%})" for line in importance[:5])
        yield f"Most important: {told}{', …' if len(importance) > 5 else ''}."
    if influence := result.get("influence"):
        told = ", ".join(f"{number(line['row'])} ({number(line['cooks_distance'], 3)})" for line in influence[:5])
        yield f"Rows of the largest Cook's distance: {told}{', …' if len(influence) > 5 else ''}."
    if withheld := (result.get("inference") or {}).get("withheld"):
        yield f"No standard errors: {clean(withheld)}."
