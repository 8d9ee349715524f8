"""Pictures of a program's lesson, drawn from its result alone: the graph as SVG, and a page that steps through it."""

from gradline.autograd.pictures.graph_svg import draw_graph
from gradline.autograd.pictures.page import draw_page

__all__ = ["draw_graph", "draw_page"]
