"""What a trial scored: a function of the criterion's course, whoever simulated it."""

import numpy as np

from dexbench.envs.trial import HELD_STEPS

from .rows import Row


def outcome(distances: list[float], gates: list[bool], held: list[bool], error: str | None) -> Row:
    """Return what a trial scored.

    Args:
        distances: Criterion's distance at the start and after each step [m].
        gates: After each step, whether what the criterion asks beside the distance was so.
        held: After each step, whether the criterion has held for the last 10 steps.
        error: Why the trial ended early, which makes it a failure.

    Returns:
        The row's part about success and distance.
    """
    success = error is None and any(held)
    return {
        "success": success,
        "held_at_end": error is None and bool(held) and held[-1],
        "steps_to_success": held.index(True) + 1 if success else None,
        "final_distance": distances[-1],
        "min_distance": min(distances),
        "held_distance": held_distance(distances[1:], gates) if error is None else None,
        "distances": distances,
        "error": error,
    }


def held_distance(distances: list[float], gates: list[bool]) -> float | None:
    """Return the smallest distance kept within for 10 consecutive steps, the gate open.

    The trial succeeds against every threshold above it, so that rows yield the curve of success
    over thresholds.

    Args:
        distances: Criterion's distance after each step [m].
        gates: After each step, whether what the criterion asks beside the distance was so.

    Returns:
        Metres; None if the gate was never open for so long.
    """
    kept = [d if gate else float("inf") for d, gate in zip(distances, gates, strict=True)]
    spans = [max(kept[i : i + HELD_STEPS]) for i in range(len(kept) - HELD_STEPS + 1)]
    best = min(spans, default=float("inf"))
    return None if best == float("inf") else best


def to_micrometre(distance: float) -> float:
    """Return a distance as rows hold it, rounded to a micrometre [m].

    Raises:
        FloatingPointError: It is not finite, as after a diverged simulation.
    """
    distance = float(distance)
    if not np.isfinite(distance):
        raise FloatingPointError(f"the simulation diverged: its distance is {distance}")
    return round(distance, 6)
