"""Plots of what sets of all layouts cover: where wrists are before the camera, and speeds."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from dexbench.data_collection.readers.sample import LEFT, RIGHT
from dexbench.utils.svg import svg

from .motion import Motions
from .plots import BIN, COLOURS, PLOT_STYLE, WIDTH, density, histograms

EDGE = 0.002
"""Share of the places on either side that the pictures leave out."""


def before_camera(sets: Sequence[Motions]) -> list[str]:
    """Return where wrists have been in the camera's frame: a figure a set, of the same extent."""
    places = [motions.stack(lambda clip: clip.wrists) for motions in sets]
    flat = np.concatenate([place[np.isfinite(place).all(-1)] for place in places])
    flat = flat if len(flat) else np.zeros((1, 3))
    low = np.floor((np.quantile(flat, EDGE, axis=0) - 0.03) * 10) / 10
    high = np.ceil((np.quantile(flat, 1 - EDGE, axis=0) + 0.03) * 10) / 10
    # The eye is in the picture, so that distances from it can be seen.
    low, high = np.minimum(low, 0), np.maximum(high, BIN)
    figures = []
    for place, colour in zip(places, COLOURS, strict=False):
        span = high - low
        with mpl.rc_context(PLOT_STYLE):
            ratios = [span[0], span[2]] * 2
            scale = (WIDTH - 2.6) / sum(ratios)
            tall = scale * max(span[1], span[2]) + 0.75
            figure = Figure(figsize=(WIDTH, tall), layout="constrained")
            panels = figure.subplots(1, 4, width_ratios=ratios)
            for side, pair in zip((LEFT, RIGHT), panels.reshape(2, 2), strict=True):
                x, y, z = place[:, side][np.isfinite(place[:, side]).all(-1)].T
                top, flank = pair
                density(top, x, z, low[[0, 2]], high[[0, 2]], colour)
                density(flank, z, y, low[[2, 1]], high[[2, 1]], colour)
                flank.invert_yaxis()  # y points down
                name = ("left", "right")[side] + " wrist"
                top.set(title=f"{name}, from above", xlabel="rightward [m]", ylabel="away [m]")
                flank.set(title=f"{name}, from the right", xlabel="away [m]", ylabel="down [m]")
            figures.append(svg(figure))
    return figures


def speeds(sets: Sequence[Motions]) -> str:
    """Return histograms of the speeds of wrists and camera."""
    by_set = [motions.speeds() for motions in sets]
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        for place, name in enumerate(by_set[0]):
            axes = figure.add_subplot(1, len(by_set[0]), place + 1)
            values = [of_set[name] for of_set in by_set]
            every = np.concatenate([*values, [0.0]])
            top = max(0.01, float(np.quantile(every, 0.995)))
            histograms(axes, values, np.linspace(0, top, 41), log=True)
            axes.set_xlabel(name)
        figure.supylabel("share of frames", fontsize="medium")
        return svg(figure)
