"""The page's plots, as SVG that follows its colours; a figure is as wide as the page."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, N_ARM_JOINTS, N_HAND_JOINTS
from dexbench.envs.embodiment.robot import FINGERS, LOWER, UPPER
from dexbench.envs.scenes.layouts import COUNTER_DEPTH, LAYOUTS
from dexbench.envs.scenes.objects import categories
from dexbench.envs.scenes.recipe import COUNTER_FRONT
from dexbench.envs.scenes.styles import STYLES
from dexbench.utils.svg import FAINT, GRID, INK, STYLE, marker, svg

from .measures import COUNTER_TOP, Clip, Coverage, speeds

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8669a", "#d08f00", "#3f9fd6")
"""Of the sets, in their order: Okabe and Ito's, which colour-blind readers tell apart."""
WIDTH = 11.0
"""Of a figure, in inches."""
BIN = 0.02
"""Edge of a cell of the workspace's pictures, in m."""
JOINT_NAMES = (
    *(f"arm {i}" for i in range(1, 8)),
    *(f"{finger} {i}" for finger in FINGERS for i in range(1, 5)),
)

PLOT_STYLE: dict[Any, Any] = {
    **STYLE,
    "text.parse_math": False,
    "figure.constrained_layout.h_pad": 0.07,
    "figure.constrained_layout.w_pad": 0.08,
    "axes.titlesize": 8.5,
    "axes.titlecolor": INK,
    "axes.titlepad": 3,
    "axes.axisbelow": True,
    "text.color": INK,
    "ytick.minor.size": 0,
}
"""For `matplotlib.rc_context`."""


def workspaces(sets: Sequence[Coverage]) -> list[str]:
    """Return where wrist and fingertips have been: a figure a set, all of the same extent."""
    points = [coverage.stack(lambda clip: clip.points) for coverage in sets]
    corners = np.concatenate([p.reshape(-1, 3) for p in points])
    counter = np.array([COUNTER_FRONT, 0, COUNTER_TOP])
    low = np.floor((np.minimum(corners.min(axis=0), counter) - 0.03) * 10) / 10
    high = np.ceil((np.maximum(corners.max(axis=0), counter) + 0.03) * 10) / 10
    return [_workspace(p, low, high, colour) for p, colour in zip(points, COLOURS, strict=False)]


def joints(sets: Sequence[Coverage]) -> str:
    """Return histograms of the achieved angles, between lines at the joints' limits."""
    room = 0.05 * (UPPER - LOWER)
    edges = list(np.linspace(LOWER - room, UPPER + room, 45).T)
    limits = list(zip(LOWER, UPPER, strict=True))
    label = "achieved angle [rad]"
    return _joint_grid(sets, lambda clip: clip.joints, edges, label, marks=limits)


def errors(sets: Sequence[Coverage]) -> str:
    """Return histograms of commanded minus achieved, one axis for arm and one for hand."""
    distances = np.concatenate([np.abs(s.stack(lambda clip: clip.error)) for s in sets])
    arm, hand = (
        max(0.05, np.quantile(distances[:, joints], 0.995)) for joints in (ARM_JOINTS, HAND_JOINTS)
    )
    farthest = [arm] * N_ARM_JOINTS + [hand] * N_HAND_JOINTS
    edges = [np.linspace(-far, far, 42) for far in farthest]
    label = "commanded minus achieved angle [rad]"
    return _joint_grid(sets, lambda clip: clip.error, edges, label, log=True)


def speed_histograms(sets: Sequence[Coverage]) -> str:
    """Return histograms of the speeds of wrist, arm and fingers."""
    by_set = [speeds(coverage) for coverage in sets]
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        for place, name in enumerate(by_set[0]):
            axes = figure.add_subplot(1, len(by_set[0]), place + 1)
            values = [of_set[name] for of_set in by_set]
            top = max(0.01, float(np.quantile(np.concatenate(values), 0.995)))
            histograms(axes, values, np.linspace(0, top, 41), log=True)
            axes.set_xlabel(name)
        figure.supylabel("share of frames", fontsize="medium")
        return svg(figure)


def kitchens(sets: Sequence[Coverage]) -> str:
    """Return bars of the scenes that each layout, style and category is in.

    Training's are all named.
    """
    tables: dict[str, tuple[list[str], list[dict[str, int]]]] = {
        "layout": ([name for name, item in LAYOUTS.items() if item.split == "train"],
                   [s.scenes(lambda clip: [clip.layout]) for s in sets]),
        "style": ([name for name, item in STYLES.items() if item.split == "train"],
                  [s.scenes(lambda clip: [clip.style]) for s in sets]),
        "category": (sorted(categories("train")),
                     [s.scenes(lambda clip: clip.categories) for s in sets]),
    }  # fmt: skip
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(WIDTH, 2.4 + 1.6 * len(sets)), layout="constrained")
        places = figure.subplot_mosaic(
            [["layout", "category"], ["style", "category"]],
            height_ratios=[len(tables[name][0]) for name in ("layout", "style")],
        )
        for name, (known, counts) in tables.items():
            seen = sorted({name for count in counts for name in count})
            _bars(places[name], list(dict.fromkeys([*known, *seen])), counts)
            places[name].set(title=name, xlabel="scenes")
        return svg(figure)


def _workspace(
    points: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64], colour: str
) -> str:
    span = high - low
    with mpl.rc_context(PLOT_STYLE):
        # Panels are as wide as what they show, so that all have the same scale.
        ratios = [span[1], span[0]] * 2
        scale = (WIDTH - 2.6) / sum(ratios)
        figure = Figure(figsize=(WIDTH, scale * max(span[0], span[2]) + 0.75), layout="constrained")
        panels = figure.subplots(1, 4, width_ratios=ratios)
        tracks = {"wrist": points[:, :1], "fingertips": points[:, 1:]}
        for (name, track), pair in zip(tracks.items(), panels.reshape(2, 2), strict=True):
            flat = track.reshape(-1, 3)
            top, side = pair
            density(top, flat[:, 1], flat[:, 0], low[[1, 0]], high[[1, 0]], colour)
            density(side, flat[:, 0], flat[:, 2], low[[0, 2]], high[[0, 2]], colour)
            # As the robot sees it: forward is up, its left is on the left.
            top.invert_xaxis()
            top.set(title=f"{name}, from above", xlabel="y, leftward [m]", ylabel="x, forward [m]")
            side.set(title=f"{name}, from the right", xlabel="x, forward [m]", ylabel="z, up [m]")
            back = COUNTER_FRONT + COUNTER_DEPTH
            top.axhspan(COUNTER_FRONT, back, color=GRID, linewidth=0, alpha=0.55, zorder=0)
            top.axhline(COUNTER_FRONT, color=INK, linewidth=0.9)
            side.fill_between([COUNTER_FRONT, back], low[2], COUNTER_TOP, color=GRID, linewidth=0,
                              alpha=0.55, zorder=0)  # fmt: skip
            edge = [COUNTER_FRONT, COUNTER_FRONT, back], [low[2], COUNTER_TOP, COUNTER_TOP]
            side.plot(*edge, color=INK, linewidth=0.9)
        return svg(figure)


def density(
    axes: Axes,
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    colour: str,
) -> None:
    """Draw cells of a colour, the more opaque, logarithmically, the more points are in them.

    Args:
        axes: Where.
        x: Points (n,) to the right, in m.
        y: Points (n,) up, in m.
        low: Least x and y (2,), in m.
        high: Greatest x and y (2,), in m.
        colour: Of the cells.
    """
    bins = np.round((high - low) / BIN).astype(int)
    counts, _, _ = np.histogram2d(x, y, bins, ((low[0], high[0]), (low[1], high[1])))
    image = np.empty((bins[1], bins[0], 4))
    image[..., :3] = mpl.colors.to_rgb(colour)
    opacity = 0.12 + 0.88 * np.log1p(counts) / np.log1p(max(counts.max(), 1))
    image[..., 3] = np.where(counts > 0, opacity, 0).T
    axes.imshow(
        image, origin="lower", extent=(low[0], high[0], low[1], high[1]), interpolation="none",
        zorder=1,
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))


def _joint_grid(
    sets: Sequence[Coverage], get: Callable[[Clip], NDArray[Any]],
    edges: Sequence[NDArray[np.float64]], label: str,
    log: bool = False, marks: Sequence[tuple[float, float]] = (),
) -> str:  # fmt: skip
    """Return a panel a joint, with lines at its marks: two rows of arm, one a finger."""
    values = [coverage.stack(get) for coverage in sets]
    with mpl.rc_context(PLOT_STYLE):
        # Fitting so many panels to their text would take longer than drawing them.
        figure = Figure(figsize=(WIDTH, 9))
        figure.subplots_adjust(0.06, 0.055, 0.995, 0.975, wspace=0.22, hspace=0.42)
        panels = figure.subplots(6, 4).ravel()
        panels[7].axis("off")  # the arm has seven joints
        for joint, axes in enumerate(np.delete(panels, 7)):
            histograms(axes, [v[:, joint] for v in values], edges[joint], log)
            axes.set_title(JOINT_NAMES[joint])
            for mark in marks[joint : joint + 1]:
                axes.vlines(mark, 0, 1, INK, linewidth=0.9, transform=axes.get_xaxis_transform())
        figure.supxlabel(label, fontsize="medium", y=0.005)
        figure.supylabel("share of frames", fontsize="medium", x=0.003)
        return svg(figure)


def histograms(
    axes: Axes, values: Sequence[NDArray[Any]], edges: NDArray[np.float64], log: bool
) -> None:
    """Draw a line a set; what lies beyond the edges is counted in the outermost bins.

    Args:
        axes: Where.
        values: Of each set (n,), in the order of their colours; a set of none has no line.
        edges: Of the bins.
        log: Whether shares are on a logarithmic axis.
    """
    for i, one in enumerate(values):
        if not len(one):
            continue
        counts, _ = np.histogram(np.clip(one, edges[0], edges[-1]), edges)
        # On a logarithmic axis an empty bin lies on the floor, so that the line stays whole.
        share = np.maximum(counts / len(one), 1e-5 if log else 0)
        axes.stairs(share, edges, color=marker(i), linewidth=1.2, baseline=None)
        axes.stairs(share, edges, color=marker(i), fill=True, alpha=0.1, linewidth=0,
                    baseline=1e-5 if log else 0)  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if log:
        axes.set_yscale("log")
        axes.set_ylim(1e-4, 1)
        axes.set_yticks([1e-4, 1e-2, 1])
        axes.minorticks_off()
    else:
        axes.set_ylim(0)
        axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))


def _bars(axes: Axes, names: Sequence[str], counts: Sequence[dict[str, int]]) -> None:
    thick = 0.8 / len(counts)
    for i, count in enumerate(counts):
        places = np.arange(len(names)) + (i - (len(counts) - 1) / 2) * thick
        values = [count.get(name, 0) for name in names]
        bars = axes.barh(places, values, thick * 0.9, color=marker(i))
        axes.bar_label(bars, padding=2, fontsize=6.5, color=FAINT)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
