"""Curves as SVG that follows the page's colours, light or dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dexbench.utils.svg import FAINT, STYLE, marker, svg

from .content import Style

SIZE = (3.9, 2.75)
"""Inches; the page stretches it to the width of a column."""
_STYLE: dict[Any, Any] = {
    **STYLE,
    "axes.grid": True,
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
}
_MARK: dict[str, Any] = {"color": FAINT, "linewidth": 0.7, "zorder": 1.5}
_LABEL: dict[str, Any] = {"textcoords": "offset points", "color": FAINT, "fontsize": 8}


@dataclass(frozen=True)
class Line:
    """One agent's curve."""

    style: Style
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    """Lower edge of a band around it, if it has one."""
    high: Sequence[float] | None = None
    steps: bool = False
    """Whether y keeps its value up to the next x."""


def line_figure(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float | None, float | None] = (0, 1),
    x_mark: float | None = None,
    y_mark: float | None = None,
    percent: bool = False,
) -> str:
    """Draw curves into one pair of axes.

    Args:
        lines: Drawn in reverse, so that the first lies on top.
        x_label: With its unit.
        y_label: With its unit.
        x_range: Ends of the x axis.
        y_range: Ends of the y axis; None fits the data.
        x_mark: Where to draw an upright line, such as the protocol's threshold, with its number.
        y_mark: Where to draw a level line, with its number.
        percent: Whether y is a share, to be shown in %.

    Returns:
        An ``<svg>`` element. The same arguments give the same bytes.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes: Axes = figure.add_subplot()
        axes.set(xlabel=x_label, ylabel=y_label, xlim=x_range)
        axes.grid(axis="x", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
            axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        if x_mark is not None:
            axes.axvline(x_mark, **_MARK)
            above: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3)}
            axes.annotate(f"{x_mark:g}", (x_mark, 1), **above, **_LABEL, ha="center")
        if y_mark is not None:
            axes.axhline(y_mark, **_MARK)
            beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (3, 0)}
            axes.annotate(f"{y_mark:g}", (1, y_mark), **beside, **_LABEL, va="center")
        for line in reversed(lines):
            _draw(axes, line)
        axes.set_ylim(*y_range)
        return svg(figure)


def _draw(axes: Axes, line: Line) -> None:
    colour = marker(line.style.colour)
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.11, linewidth=0)
    axes.plot(
        line.x,
        line.y,
        color=colour,
        linewidth=1.6,
        dashes=line.style.dashes or (None, None),
        drawstyle="steps-post" if line.steps else "default",
        clip_on=False,
        zorder=3,
    )
