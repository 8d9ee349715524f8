"""Places the nodes of a directed acyclic graph in layers, inputs at the top (after Sugiyama, Tagawa and Toda 1981).

Layers by longest path, crossings reduced by barycentres, coordinates relaxed towards the neighbours' mean; an edge over
several layers is led through a point in each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP_X = 22.0
GAP_Y = 46.0
WAYPOINT = 10.0
"""Width kept free where a long edge passes a layer."""
SWEEPS = 8


@dataclass
class Placed:
    """A node, or a waypoint of a long edge, with the centre it was given."""

    width: float
    height: float
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


@dataclass
class Layout:
    nodes: dict[str, Placed]
    routes: dict[tuple[str, str], list[str]]
    """Each edge as the keys it goes through, ends included."""
    width: float
    height: float


def lay_out(sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]]) -> Layout:
    """Positions for nodes of these sizes."""
    nodes = {key: Placed(*size) for key, size in sizes.items()}
    edges = list(dict.fromkeys(edges))
    _assign_layers(nodes, edges)
    routes = {edge: _route(nodes, *edge) for edge in edges}
    layers = _layers(nodes)
    _reduce_crossings(nodes, layers)
    _place(nodes, layers)
    width = max((n.x + n.width / 2 for n in nodes.values()), default=0.0)
    height = max((n.y + n.height / 2 for n in nodes.values()), default=0.0)
    return Layout(nodes, routes, width, height)


def _assign_layers(nodes: dict[str, Placed], edges: list[tuple[str, str]]) -> None:
    """Each node below its inputs; inputs of their own just above their first user."""
    inputs: dict[str, list[str]] = {key: [] for key in nodes}
    users: dict[str, list[str]] = {key: [] for key in nodes}
    for above, below in edges:
        inputs[below].append(above)
        users[above].append(below)
    waiting = {key: len(found) for key, found in inputs.items()}
    ready = [key for key, n in waiting.items() if n == 0]
    order = []
    while ready:
        key = ready.pop()
        order.append(key)
        for user in users[key]:
            nodes[user].layer = max(nodes[user].layer, nodes[key].layer + 1)
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    for key in order:
        if not inputs[key] and users[key]:
            nodes[key].layer = min(nodes[user].layer for user in users[key]) - 1


def _route(nodes: dict[str, Placed], above: str, below: str) -> list[str]:
    keys = [above]
    for layer in range(nodes[above].layer + 1, nodes[below].layer):
        key = f"{above}>{below}@{layer}"
        nodes[key] = Placed(WAYPOINT, 0.0, layer)
        keys.append(key)
    keys.append(below)
    for first, second in pairwise(keys):
        nodes[first].below.append(second)
        nodes[second].above.append(first)
    return keys


def _layers(nodes: dict[str, Placed]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(max((n.layer for n in nodes.values()), default=-1) + 1)]
    for key, node in nodes.items():
        layers[node.layer].append(key)
    return layers


def _reduce_crossings(nodes: dict[str, Placed], layers: list[list[str]]) -> None:
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for layer in layers[1:] if downwards else layers[-2::-1]:
            place = {key: i for other in layers for i, key in enumerate(other)}
            means = {key: _mean([place[k] for k in _towards(nodes[key], downwards)], place[key]) for key in layer}
            layer.sort(key=lambda key: means[key])


def _towards(node: Placed, downwards: bool) -> list[str]:
    return node.above if downwards else node.below


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _place(nodes: dict[str, Placed], layers: list[list[str]]) -> None:
    y = 0.0
    for layer in layers:
        height = max(nodes[key].height for key in layer)
        x = 0.0
        for key in layer:
            node = nodes[key]
            node.x, node.y = x + node.width / 2, y + height / 2
            x += node.width + GAP_X
        y += height + GAP_Y
    for sweep in range(SWEEPS * 3):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _relax(nodes, layer)
    left = min((n.x - n.width / 2 for n in nodes.values()), default=0.0)
    for node in nodes.values():
        node.x -= left


def _relax(nodes: dict[str, Placed], layer: list[str]) -> None:
    """Moves a layer's nodes towards their neighbours' mean, keeping order and gaps: isotonic regression by blocks."""
    blocks: list[tuple[float, list[str], float]] = []
    offset = 0.0
    for key in layer:
        node = nodes[key]
        neighbours = [nodes[k].x for k in (*node.above, *node.below)]
        offset += node.width / 2
        blocks.append((_mean(neighbours, node.x) - offset, [key], offset))
        offset += node.width / 2 + GAP_X
    merged: list[tuple[float, int]] = []
    for wanted, _, _ in blocks:
        total, n = wanted, 1
        while merged and merged[-1][0] / merged[-1][1] > total / n:
            other, m = merged.pop()
            total, n = total + other, n + m
        merged.append((total, n))
    i = 0
    for total, n in merged:
        for _, (key,), start in blocks[i : i + n]:
            nodes[key].x = total / n + start
        i += n
