"""The graph as one SVG file: values on the way forward in blue, the gradients that came back in orange."""

from typing import Any
from xml.sax.saxutils import escape

from gradline.autograd.pictures.drawing import LINE, whole

STYLE = """
svg{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.paper{fill:#ffffff}.box{stroke-width:1.4;fill:#f6f8fa;stroke:#8c959f}
.leaf .box{fill:#ddf4ff;stroke:#0969da}.constant .box{fill:#ffffff;stroke:#c4ccd4;stroke-dasharray:4 3}
.title{fill:#1f2328;font-weight:600}.sub{fill:#59636e;font-size:11px}.gone{text-decoration:line-through}
.value{fill:#0550ae}.grad{fill:#bc4c00;font-weight:600}
.edge{fill:none;stroke:#8c959f;stroke-width:1.4}.edge.back{stroke:#bc4c00}.head{fill:#8c959f}.head.back{fill:#bc4c00}
@media(prefers-color-scheme:dark){
.paper{fill:#0d1117}.box{fill:#161b22;stroke:#6e7681}.leaf .box{fill:#0c2d6b;stroke:#58a6ff}
.constant .box{fill:#0d1117;stroke:#484f58}.title{fill:#e6edf3}.sub{fill:#9198a1}.value{fill:#79c0ff}.grad{fill:#ffa657}
.edge{stroke:#6e7681}.edge.back{stroke:#db6d28}.head{fill:#6e7681}.head.back{fill:#db6d28}}
"""
LEGEND = 34.0


def draw_graph(lesson: dict[str, Any]) -> str:
    """The SVG of a result; a graph without nodes says why there is nothing to see."""
    view = whole(lesson["graph"])
    if not view["nodes"]:
        return _frame(460.0, 60.0, [_text("title", 16, 35, "No graph: nothing here requires grad.")])
    arrived = {box["id"] for box in view["nodes"] if box["gradients"]}
    parts = [_edge(edge, edge["from"] in arrived and edge["to"] in arrived) for edge in view["edges"]]
    parts += [_box(box) for box in view["nodes"]]
    width = max(view["width"], 470.0)
    parts.append(_legend(view["height"] + LEGEND - 14))
    return _frame(width, view["height"] + LEGEND, parts)


def _frame(width: float, height: float, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>Autograd graph</title><style>{STYLE}</style>'
        f"<defs>{_marker('head', 'head')}{_marker('headback', 'head back')}</defs>"
        f'<rect class="paper" width="100%" height="100%"/>{"".join(parts)}</svg>\n'
    )


def _marker(key: str, style: str) -> str:
    """An arrow head; at the start of a path it points the other way."""
    size = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"'
    return f'<marker id="{key}" {size}><path class="{style}" d="M0 0L8 4L0 8z"/></marker>'


def _edge(edge: dict[str, Any], came_back: bool) -> str:
    """An edge on which a gradient travelled is drawn in the colour of gradients."""
    if came_back:
        return f'<path class="edge back" d="{edge["path"]}" marker-start="url(#headback)"/>'
    return f'<path class="edge" d="{edge["path"]}" marker-end="url(#head)"/>'


def _box(box: dict[str, Any]) -> str:
    x, y = box["x"] - box["width"] / 2, box["y"] - box["height"] / 2
    texts = [("title", box["title"]), ("sub", box["subtitle"])]
    if box["kept"]:
        texts.append(("sub gone" if box["freed"] else "sub", box["kept"]))
    texts += [("value", row) for row in box["value"]]
    for gradient in box["gradients"][-1:]:
        texts += [("grad", row if i else f"grad {row}") for i, row in enumerate(gradient["total"])]
    drawn = "".join(
        _text(style, box["x"], y + LINE * (n + 1) + 3, text, "middle") for n, (style, text) in enumerate(texts)
    )
    rect = f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{box["width"]:.1f}" height="{box["height"]:.1f}" rx="8"/>'
    return f'<g class="{box["kind"]}">{rect}{drawn}</g>'


def _text(style: str, x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(y: float) -> str:
    return _text("value", 16, y, "■ value, computed downwards") + _text("grad", 236, y, "■ gradient, arriving upwards")
