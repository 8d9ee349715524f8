"""A part of the graph as boxes and curves with texts, still without colours: what the SVG and the page both draw."""

from itertools import pairwise
from typing import Any

from gradline.autograd.pictures.layout import Layout, lay_out
from gradline.autograd.pictures.texts import rows

MARGIN = 14.0
CHARACTER = 7.9
"""Width of a character of the texts' font."""
LINE = 17.0
MIN_WIDTH = 92.0
MAX_NODES = 90
"""Nodes of one picture; of a larger part the last ones."""


def views(graph: dict[str, Any]) -> list[dict[str, Any]]:
    """A drawing for each part of the graph, in order."""
    groups = sorted({node["group"] for node in graph["nodes"] if node["kind"] == "operation"})
    return [_view(graph, {group}) for group in groups]


def whole(graph: dict[str, Any]) -> dict[str, Any]:
    """One drawing of the whole graph, or of its last part where it is large."""
    groups = {node["group"] for node in graph["nodes"]}
    if len(graph["nodes"]) > MAX_NODES // 2 and len(groups) > 1:
        groups = {max(node["group"] for node in graph["nodes"] if node["kind"] == "operation")}
    return _view(graph, groups)


def _view(graph: dict[str, Any], groups: set[int]) -> dict[str, Any]:
    operations = [n for n in graph["nodes"] if n["kind"] == "operation" and n["group"] in groups][-MAX_NODES:]
    ids = {node["id"] for node in operations}
    used = {edge["from"] for edge in graph["edges"] if edge["to"] in ids}
    leaves = [n for n in graph["nodes"] if n["kind"] != "operation" and n["id"] in used][:MAX_NODES]
    shown = [*leaves, *operations]
    ids |= {node["id"] for node in leaves}
    edges = [(e["from"], e["to"]) for e in graph["edges"] if e["from"] in ids and e["to"] in ids]
    boxes = {node["id"]: _box(node) for node in shown}
    layout = lay_out({key: (box["width"], box["height"]) for key, box in boxes.items()}, edges)
    for key, box in boxes.items():
        placed = layout.nodes[key]
        box["x"], box["y"] = round(placed.x + MARGIN, 1), round(placed.y + MARGIN, 1)
    return {
        "group": max(groups, default=0),
        "width": round(layout.width + 2 * MARGIN, 1),
        "height": round(layout.height + 2 * MARGIN, 1),
        "nodes": list(boxes.values()),
        "edges": [{"from": a, "to": b, "path": _path(layout, keys)} for (a, b), keys in layout.routes.items()],
    }


def _box(node: dict[str, Any]) -> dict[str, Any]:
    """A node's texts and the size they need."""
    value = node["value"]
    value_rows = rows(value["data"], value["shape"]) if value else []
    shape = value["shape"] if value else None
    gradients = [_gradient(arrived, shape) for arrived in node["gradients"]]
    n_gradient = max([len(g["rows"]) for g in gradients], default=0)
    title, subtitle = _title(node)
    history = [{"step": then["step"], "rows": rows(then["data"], shape)} for then in node.get("history", [])]
    kept = _kept(node)
    texts = [title, subtitle, kept, *value_rows, *(row for then in history for row in then["rows"])]
    texts += [f"grad {row}" for g in gradients for row in (*g["rows"], *g["total"])]
    width = max([MIN_WIDTH, *(len(text) * CHARACTER + 20 for text in texts)])
    height = 14 + LINE * (2 + bool(kept) + len(value_rows) + n_gradient)
    return {
        "id": node["id"],
        "name": node["name"],
        "kind": node["kind"],
        "title": title,
        "subtitle": subtitle,
        "value": value_rows,
        "shape": shape,
        "gradients": gradients,
        "n_gradient_rows": n_gradient,
        "step": node["step"],
        "line": node["line"],
        "freed": node.get("freed"),
        "kept": kept,
        "history": history,
        "width": round(width, 1),
        "height": height,
    }


def _gradient(arrived: dict[str, Any], shape: list[int] | None) -> dict[str, Any]:
    """What arrived, and what a leaf's `.grad` was then."""
    total = arrived.get("total", arrived["value"])
    return {"step": arrived["step"], "rows": rows(arrived["value"], shape), "total": rows(total, shape)}


def _title(node: dict[str, Any]) -> tuple[str, str]:
    if node["kind"] == "operation":
        is_in_place = node["name"] and node["label"].startswith(f"{node['name']} ") and "=" in node["label"]
        named = f"{node['name']} = {node['label']}" if node["name"] and not is_in_place else node["label"]
        return named, node["grad_fn"] or ""
    if node["kind"] == "leaf":
        return node["name"] or "leaf", "leaf, requires grad"
    return node["name"] or "constant", "constant"


def _kept(node: dict[str, Any]) -> str:
    """What an operation keeps for its way back."""
    unnamed = {"result": "its result"}
    found = [saved["of"] or unnamed.get(saved["name"], "its input") for saved in node.get("saved", [])]
    names = list(dict.fromkeys(found))
    return f"keeps {', '.join(names[:3])}" if names else ""


def _path(layout: Layout, keys: list[str]) -> str:
    """A smooth curve from the bottom of one box to the top of the other."""
    points = []
    for i, key in enumerate(keys):
        node = layout.nodes[key]
        y = node.y + node.height / 2 if i == 0 else node.y - node.height / 2 if i == len(keys) - 1 else node.y
        points.append((node.x + MARGIN, y + MARGIN))
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return "".join(parts)
