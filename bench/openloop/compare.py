"""Several models on the same windows: the rows of each, and those of their differences."""

from collections.abc import Callable

from .clips import Clips
from .counterfactual import SECONDS, counterfactual
from .evaluate import evaluate
from .futures import simulate
from .measures import Measured
from .shown import PAIRS, Row
from .subjects import Subject
from .table import differences, rows_of
from .windows import Windows


def on_clips(
    models: list[Subject], label: str, read: Callable[[tuple[int, int]], Clips]
) -> tuple[list[Row], dict[str, Clips]]:
    """Measure models on clips.

    Args:
        models: Predict.
        label: What the clips are, for the progress bar.
        read: Returns them with pictures of a height and width in px.

    Returns:
        The rows of ``table.rows_of`` and ``table.differences``, and what each model saw.
    """
    clips: dict[tuple[int, int], Clips] = {}
    own: dict[str, Measured] = {}
    rows: list[Row] = []
    seen: dict[str, Clips] = {}
    for subject in models:
        size = subject.model.config.image_size
        if size not in clips:
            clips[size] = read(size)
        seen[subject.name] = clips[size]
        measured = evaluate(
            subject.model, clips[size], subject.readout, f"{subject.name} on {label}"
        )
        rows += rows_of(subject.name, measured, clips[size].seconds)
        own[subject.name] = measured["model"]
    rows += differences(own, _encoders(models), next(iter(seen.values())).seconds)
    return rows, seen


def on_futures(models: list[Subject], windows: Windows, seen: dict[str, Clips]) -> list[Row]:
    """Simulate the windows' futures and measure models on them.

    Args:
        models: Predict.
        windows: Of one set.
        seen: What each of them has seen of the windows.

    Returns:
        Rows as those of ``on_clips``, with the kind of future: ``future``.
    """
    simulate(windows)
    rows: list[Row] = []
    own: dict[str, Measured] = {}
    for subject in models:
        label, clips = f"{subject.name} on futures", seen[subject.name]
        found = counterfactual(subject.model, windows, clips, subject.readout, label)
        own[subject.name] = found[PAIRS]["model"]
        for kind, measured in found.items():
            rows += [{"future": kind, **row} for row in rows_of(subject.name, measured, SECONDS)]
    between = differences(own, _encoders(models), SECONDS)
    return rows + [{"future": PAIRS, **row} for row in between]


def _encoders(models: list[Subject]) -> dict[str, str]:
    """Return the sha256 of each model's encoder."""
    return {subject.name: subject.facts["encoder_sha256"] for subject in models}
