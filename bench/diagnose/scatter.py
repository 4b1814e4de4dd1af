"""The candidates of decisions as a picture: predicted against true cost."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .candidates import Judged, standardised

SIDE = 4.2
"""Inches of a panel."""


def scatter(decisions: Mapping[str, Sequence[Judged]]) -> bytes:
    """Draw a panel for each task.

    Costs of different plans do not compare, so each decision's are drawn in standard deviations of
    its first candidates. On the diagonal a candidate costs as much as was predicted.

    Args:
        decisions: Of each task; at least one task.

    Returns:
        A PNG. The same arguments give the same bytes.
    """
    figure = Figure(figsize=(SIDE * len(decisions), SIDE), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(decisions), squeeze=False)[0]
    for axes, (task, judged) in zip(panels, decisions.items(), strict=True):
        _panel(axes, task, judged)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _panel(axes: Axes, task: str, decisions: Sequence[Judged]) -> None:
    """Draw the candidates of a task's decisions; those whose costs do not differ are left out."""
    known = [standard for judged in decisions if (standard := standardised(judged)) is not None]
    axes.axline((0, 0), slope=1, color="#c0c0c0", linewidth=0.8, zorder=0)
    for label, colour, iterations in (
        ("first candidates", "#9aa0a6", [one.first for one in known]),
        ("last candidates", "#1f77b4", [one.last for one in known]),
    ):
        true = np.concatenate([[], *(iteration.true for iteration in iterations)])
        predicted = np.concatenate([[], *(iteration.predicted for iteration in iterations)])
        axes.scatter(true, predicted, s=9, color=colour, alpha=0.5, linewidths=0, label=label)
    chosen = [one.true for one in known], [one.predicted for one in known]
    axes.scatter(*chosen, s=55, color="#d62728", marker="X", linewidths=0, label="plan chosen")
    axes.set_title(f"{task}, {len(known)} decisions", fontsize=10)
    axes.set_xlabel("true cost [sd of the first candidates]")
    axes.set_ylabel("predicted cost [sd of the first candidates]")
    axes.legend(fontsize=8, loc="lower right")
