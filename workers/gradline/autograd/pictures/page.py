"""The stepping page: one HTML file without any request, for a browser, a file system, or a sandboxed frame."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from gradline.autograd.pictures.drawing import views

MAX_FRAMES = 3_000
MAX_ARRIVALS = 40
"""Gradients of one backward pass that are shown one by one."""


def draw_page(program: str, lesson: dict[str, Any]) -> str:
    """The page of a result. The program's text and values stand in it only as JSON, which the script writes as text."""
    data = {
        "program": program.rstrip().split("\n"),
        "outcome": lesson["outcome"],
        "frames": _frames(lesson),
        "views": views(lesson["graph"]),
        "checks": lesson["gradient_checks"],
        "checks_left_out": lesson["gradient_checks_left_out"],
        "symbolic": lesson.get("symbolic", []),
        "hints": lesson["hints"],
        "error": lesson.get("error"),
        "n_left_out": lesson["n_lines_left_out"],
    }
    style, script = _part("page.css"), _part("page.js")
    own = f"script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
    return (
        _part("page.html")
        .replace("{{policy}}", policy)
        .replace("{{style}}", style)
        .replace("{{script}}", script)
        .replace("{{data}}", _embedded(data))
    )


def _frames(lesson: dict[str, Any]) -> list[dict[str, Any]]:
    """What is stepped through: every executed line, and before a backward's end each gradient on its way."""
    arrivals = _arrivals(lesson["graph"])
    passes = list(lesson["passes"])
    frames: list[dict[str, Any]] = []
    for line in lesson["lines"]:
        while passes and passes[0]["step"] <= line["index"]:
            one = passes.pop(0)
            frames.extend(
                {"line": one["line"], "step": one["step"], "pass": one["step"], "node": key}
                for key in arrivals.get(one["step"], [])[:MAX_ARRIVALS]
            )
        frames.append(
            {
                "line": line["line"],
                "step": line["index"],
                "changes": line["changes"],
                "printed": line.get("printed", ""),
                "raised": line.get("raised", False),
            }
        )
        if len(frames) > MAX_FRAMES:
            break
    return frames


def _arrivals(graph: dict[str, Any]) -> dict[int, list[str]]:
    """By step of the pass: the nodes in the order in which their gradients arrived."""
    found: dict[int, list[tuple[int, str]]] = {}
    for node in graph["nodes"]:
        for arrived in node["gradients"]:
            found.setdefault(arrived["step"], []).append((arrived["order"], node["id"]))
    return {step: [key for _, key in sorted(nodes)] for step, nodes in found.items()}


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in, nor begin another, nor be taken for a placeholder."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8").rstrip("\n")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
