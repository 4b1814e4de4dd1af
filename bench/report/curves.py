"""The page's three kinds of curves, a figure for each task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexbench.bench.ledger.entries import Entry
from dexbench.bench.scores.statistics import success_curve
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.tasks import TASKS
from dexbench.envs.trial import STEPS

from .content import AgentContent
from .figures import Line, line_figure

SECONDS = STEPS / CONTROL_HZ
"""Length of a trial."""
POINTS = 121
"""Thresholds at which a curve is drawn."""


@dataclass(frozen=True)
class Curves:
    """The figures of one kind, in the order of the tasks."""

    svg: list[str | None]
    """None where no agent has what is drawn."""
    missing: list[list[str]]
    """Agents that are left out, because their rows lack what is drawn."""


def threshold_cm(task: str) -> float | None:
    """Return the protocol's threshold in cm, if the task is one of dexbench's."""
    return 100 * TASKS[task].threshold if task in TASKS else None


def criterion(task: str) -> str:
    """Return what counts as success, in a sentence."""
    return (type(TASKS[task]).__doc__ or "").strip().splitlines()[0] if task in TASKS else ""


def threshold_curves(tasks: Sequence[str], agents: Sequence[AgentContent]) -> Curves:
    """Success rate against the criterion's threshold, with Wilson bands."""
    svg: list[str | None] = []
    missing: list[list[str]] = []
    for task in tasks:
        played = [agent for agent in agents if task in agent.entries]
        able = [agent for agent in played if _has_held(agent.entries[task])]
        missing.append([agent.name for agent in played if agent not in able])
        mark = threshold_cm(task)
        largest = 2 * mark if mark else 30.0
        lines = [_threshold_line(agent, task, largest) for agent in able]
        axes = ("threshold [cm]", "success", (0.0, largest))
        svg.append(line_figure(lines, *axes, x_mark=mark, percent=True) if lines else None)
    return Curves(svg, missing)


def _has_held(entry: Entry) -> bool:
    return all("held_distance" in row for row in entry.rows)


def _threshold_line(agent: AgentContent, task: str, largest: float) -> Line:
    thresholds = np.linspace(0, largest, POINTS)
    held = [row["held_distance"] for row in agent.entries[task].rows]
    curve = success_curve(held, (thresholds / 100).tolist())
    band = (None, None) if agent.privileged else (curve.low, curve.high)
    return Line(agent.style, thresholds.tolist(), curve.rate, *band)


def time_curves(tasks: Sequence[str], agents: Sequence[AgentContent]) -> Curves:
    """Share of trials that had succeeded by each time."""
    svg: list[str | None] = []
    for task in tasks:
        lines = []
        for agent in agents:
            if task in agent.entries:
                rows = agent.entries[task].rows
                steps = sorted(row["steps_to_success"] for row in rows if row["success"])
                x = [0.0, *(step / CONTROL_HZ for step in steps), SECONDS]
                y = [0.0, *((n + 1) / len(rows) for n in range(len(steps)))]
                lines.append(Line(agent.style, x, [*y, y[-1]], steps=True))
        svg.append(line_figure(lines, "time [s]", "solved by then", (0, SECONDS), percent=True))
    return Curves(svg, [[] for _ in tasks])


def distance_curves(tasks: Sequence[str], agents: Sequence[AgentContent]) -> Curves:
    """Return the criterion's distance over time: median, and for competitors the quartiles."""
    svg: list[str | None] = []
    for task in tasks:
        lines = []
        for agent in agents:
            if task in agent.entries:
                distances = [row["distances"] for row in agent.entries[task].rows]
                # A trial that ended in an error is shorter and counts as long as it lasted.
                table = np.full((len(distances), max(map(len, distances))), np.nan)
                for line, values in zip(table, distances, strict=True):
                    line[: len(values)] = values
                low, middle, high = np.nanquantile(100 * table, (0.25, 0.5, 0.75), axis=0)
                x = (np.arange(table.shape[1]) / CONTROL_HZ).tolist()
                band = (None, None) if agent.privileged else (low.tolist(), high.tolist())
                lines.append(Line(agent.style, x, middle.tolist(), *band))
        axes = ("time [s]", "distance [cm]", (0.0, SECONDS), (0.0, None))
        svg.append(line_figure(lines, *axes, y_mark=threshold_cm(task)))
    return Curves(svg, [[] for _ in tasks])
