"""Figures as SVG that follows a page's colours, light or dark.

They are drawn in marker colours that stand for the page's CSS variables and are replaced by them in
the SVG; text stays text, in the page's font.
"""

import io
import re
from typing import Any

from matplotlib.figure import Figure

INK, FAINT, GRID = "#f0f000", "#f0f001", "#f0f002"
_VARIABLES = {INK: "var(--ink)", FAINT: "var(--muted)", GRID: "var(--rule)"}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dexbench",
    "font.size": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
"""For `matplotlib.rc_context`."""


def marker(index: int) -> str:
    """Return what to draw in for the page's colour ``--c<index>``."""
    return f"#f0f1{index:02x}"


def svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element, without header, size, font and ids."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[0-9.]+pt"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) height="[0-9.]+pt"', r"\1", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font-family: [^;]*; ", "", text)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
    text = re.sub(r"#f0f1([0-9a-f]{2})", lambda found: f"var(--c{int(found[1], 16)})", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.strip()
