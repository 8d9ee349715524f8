"""How much each column moves the linear predictor, largest first."""

from gradline.plots.axes import add_subtitle, add_title, plain_axes
from gradline.plots.labels import short_names, width_px
from gradline.plots.plot_data import PlotData
from gradline.plots.style import BLUE, INK, draw, new_figure

MAX_TERMS = 30
ROW_PX, TOP_PX, BOTTOM_PX, RIGHT_PX = 34, 90, 75, 75
LABEL_SIZE = 11


def draw_importance(data: PlotData) -> bytes:
    """A bar a column, with its share of the whole beside it."""
    shown = data.importance[:MAX_TERMS]
    names = short_names([row["term"] for row in shown], 40)
    left = 35 + width_px(names, LABEL_SIZE)
    width, height = max(900, int(left + RIGHT_PX + 450)), TOP_PX + BOTTOM_PX + max(4, len(shown)) * ROW_PX
    figure, canvas = new_figure(width, height)
    axes = figure.add_axes(
        (left / width, BOTTOM_PX / height, (width - left - RIGHT_PX) / width, 1 - (TOP_PX + BOTTOM_PX) / height)
    )
    plain_axes(axes)
    bars = axes.barh(range(len(shown)), [row["importance"] for row in shown], height=0.7, color=BLUE)
    shares = ["" if row["share"] is None else f"{row['share']:.1%}" for row in shown]
    axes.bar_label(bars, shares, padding=5, fontsize=LABEL_SIZE, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=LABEL_SIZE)
    axes.set_ylim(max(4, len(names)) - 0.4, -0.6)
    axes.set_xlabel("absolute coefficient times standard deviation, added up over levels and classes", fontsize=12)
    add_title(axes, "Importance", data.title)
    said = f"the {len(shown)} largest of {len(data.importance)} columns" if len(data.importance) > len(shown) else ""
    add_subtitle(axes, said, 1 + 12 / (height - TOP_PX - BOTTOM_PX))
    return draw(canvas)
