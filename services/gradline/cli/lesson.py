"""The lesson of an autograd program as an annotated listing: each line as it ran, what it changed, what it printed."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from gradline.cli.terminal import clean, console, number

N_LINES_SHOWN = 200
N_VALUES_SHOWN = 6
SOURCE_STYLE, PRINTED_STYLE, CHANGE_STYLE, GRADIENT_STYLE, WRONG_STYLE = "bold", "", "cyan", "magenta", "red"


def print_lesson(result: dict[str, Any]) -> None:
    out = console()
    lines = result["lines"]
    for line in lines[:N_LINES_SHOWN]:
        for text in _annotated(line):
            out.print(text)
    hidden = len(lines) - N_LINES_SHOWN + result.get("n_lines_left_out", 0)
    if hidden > 0:
        out.print(Text(f"… and {hidden} more; up to 2,000 of them: -o json", style="dim"))
    for text in _after(result):
        out.print(text)


def _annotated(line: dict[str, Any]) -> Iterator[Text]:
    yield Text.assemble((f"{line['line']:>4}  ", "dim"), (clean(line["source"]), SOURCE_STYLE))
    for change in line["changes"]:
        style = GRADIENT_STYLE if change["kind"] == "grad" else CHANGE_STYLE
        yield Text(f"      │ {clean(_change(change))}", style=style)
    for printed in line.get("printed", "").splitlines():
        yield Text(f"      > {clean(printed)}", style=PRINTED_STYLE)


def _change(change: dict[str, Any]) -> str:
    name = change.get("name", "")
    match change["kind"]:
        case "grad":
            return f"{name}.grad: {_values(change['before'])} → {_values(change['after'])}"
        case "assigned" if "tensor" in change:
            return f"{name} = {_tensor(change['tensor'])}"
        case "assigned":
            return f"{name} = {_plain(change['value'])}"
        case "changed in place":
            return f"{name} changed in place: {_tensor(change['tensor'])}"
        case "requires_grad":
            return f"{name}.requires_grad: {change['before']} → {change['after']}"
        case "condition":
            return f"the condition is {change['value']}"
        case kind:
            return f"{name} {kind}"


def _plain(value: dict[str, Any]) -> str:
    """What is no tensor: itself, or its name, where that is told, else what it is."""
    if "value" in value:
        return repr(value["value"]) if value["type"] == "str" else _values(value["value"])
    length = f" of {value['length']}" if "length" in value else ""
    return f"{value['type']}{length}"


def _tensor(tensor: dict[str, Any]) -> str:
    parts = [_values(tensor["data"])]
    if tensor["grad_fn"]:
        parts.append(tensor["grad_fn"])
    elif tensor["requires_grad"]:
        parts.append("leaf, requires grad")
    return "  ".join(parts)


def _values(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, dict):
        return _tensor(value) if "data" in value else ", ".join(f"{k} {_values(v)}" for k, v in value.items())
    if isinstance(value, list):
        shown = ", ".join(_values(member) for member in value[:N_VALUES_SHOWN])
        return f"[{shown}{', …' if len(value) > N_VALUES_SHOWN else ''}]"
    return str(value)


def _after(result: dict[str, Any]) -> Iterator[Text]:
    yield Text()
    if error := result.get("error"):
        yield Text(f"Line {error['line']} raised {error['type']}: {clean(error['message'])}", style=WRONG_STYLE)
        if error.get("diagnosis"):
            yield Text.assemble(("why:  ", "bold"), clean(error["diagnosis"]))
        if error.get("mend"):
            at = f"    (line {error.get('mend_line', error['line'])}: {error.get('mend_why', '')})"
            yield Text.assemble(("mend: ", "bold"), (clean(error["mend"]), GRADIENT_STYLE), (clean(at), "dim"))
    for hint in result.get("hints", []):
        yield Text.assemble(("hint: ", "bold"), clean(f"line {hint['line']}: {hint['text']}"))
    for found in result.get("symbolic") or []:
        yield Text(clean(f"d/d{found['of']} {found['expression']} = {found['derivative']}"), style=GRADIENT_STYLE)
    if checks := result.get("gradient_checks"):
        statuses = [str(check["status"]) for check in checks]
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
        yield Text(f"Gradients against finite differences: {counts.replace('_', ' ')}{_left_out(result)}")


def _left_out(result: dict[str, Any]) -> str:
    left_out = result.get("gradient_checks_left_out") or {"n": 0}
    return f"; {left_out['n']} not checked: {clean(left_out['reason'])}" if left_out["n"] else ""
