"""What the hand might do next: eight sequences of joint targets from any state (paper Figure 7)."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, WRIST
from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST, N_JOINTS
from dexbench.envs.motion.expert import ARM_STEP, HAND_STEP
from dexbench.envs.motion.grasp import grasps
from dexbench.envs.motion.hand import REST
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.simulation import Simulation

from .windows import HORIZON

DIRECTIONS = {
    "left": (0.0, 1.0, 0.0),
    "right": (0.0, -1.0, 0.0),
    "up": (0.0, 0.0, 1.0),
    "down": (0.0, 0.0, -1.0),
    "forward": (1.0, 0.0, 0.0),
    "back": (-1.0, 0.0, 0.0),
}
"""Six straight ways of the hand, in the base frame: 1 cm a frame at the paper's 5 Hz."""
APPROACH, CLOSE = "approach", "close"
"""Pairings that exploration hardly has: to an object and back without closing the hand, and closing
it where it is."""
KINDS = (*DIRECTIONS, APPROACH, CLOSE)
"""All sequences, in their order."""
STEPS = round(HORIZON * CONTROL_HZ)
"""Control steps of a sequence."""
STRIDE = 0.05 / CONTROL_HZ
"""How far the hand goes in a control step, in m."""
JUMP = 0.5
"""Largest change of a joint between two points of a straight way, in rad."""
FIST = np.where(np.arange(len(REST)) == 12, REST, 1.5 * REST)
"""The closed hand (16,) in rad, within what exploration closes it to; the thumb stays opposed."""


def motions(
    simulation: Simulation, rng: np.random.Generator
) -> dict[str, NDArray[np.float32] | None]:
    """Return each kind's joint targets (40, 23) in rad; None if the arm reaches no object.

    Args:
        simulation: In the state that all begin with; it stays as it is.
        rng: Decides between equally natural ways to an object.
    """
    ik = ArmIK(simulation)
    found: dict[str, NDArray[np.float64] | None] = {
        name: _straight(simulation, ik, np.array(axis)) for name, axis in DIRECTIONS.items()
    }
    found[APPROACH] = _approach(simulation, rng)
    start = simulation.joint_targets
    found[CLOSE] = _held(_ramp([start, np.concatenate([start[ARM_JOINTS], FIST])]), STEPS)
    return {
        kind: None if rows is None else np.clip(rows.astype(np.float32), LOWEST, HIGHEST)
        for kind, rows in found.items()
    }


def _straight(simulation: Simulation, ik: ArmIK, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move the wrist along an axis (3,), as far as the arm reaches; fingers and turn stay."""
    wrist, turn = simulation.keypoints[WRIST], simulation.wrist_turn()
    rows = [simulation.joint_positions[ARM_JOINTS]]
    for step in range(1, STEPS + 1):
        arm = ik.solve(wrist + step * STRIDE * axis, turn, rows[-1])
        if arm is None or np.abs(arm - rows[-1]).max() > JUMP:
            break
        rows.append(arm)
    arms = _held(np.array(rows[1:] or rows), STEPS)
    hand = np.tile(simulation.joint_targets[HAND_JOINTS], (STEPS, 1))
    return np.concatenate([arms, hand], axis=1)


def _approach(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Go to the nearest object, as far as half the time allows, and back the same way."""
    wrist, half = simulation.keypoints[WRIST], STEPS // 2
    places = {name: simulation.object_position(name) for name in simulation.objects}
    near = sorted(places, key=lambda name: float(np.linalg.norm(places[name] - wrist)))
    plan = next((plan for name in near for plan in grasps(simulation, name, rng)), None)
    if plan is None:
        return None
    start = simulation.joint_targets
    arms = [plan.standoff, *plan.approach]
    there = _held(_ramp([start, *(np.concatenate([arm, plan.open_hand]) for arm in arms)]), half)
    back = np.concatenate([start[None], there[:-1]])[::-1].copy()
    back[:, HAND_JOINTS] = there[-1, HAND_JOINTS]
    whole: NDArray[np.float64] = np.concatenate([there, back])
    return whole


def _ramp(corners: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return rows (n, 23) from corner to corner at the expert's speed, without the first."""
    fastest = np.full(N_JOINTS, ARM_STEP)
    fastest[HAND_JOINTS] = HAND_STEP
    parts = []
    for start, end in pairwise(corners):
        steps = max(1, int(np.ceil((np.abs(end - start) / fastest).max())))
        parts.append(start + (end - start) * np.arange(1, steps + 1)[:, None] / steps)
    rows: NDArray[np.float64] = np.concatenate(parts)
    return rows


def _held(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return so many rows: the first ones, or all and the last one again."""
    held: NDArray[np.float64] = rows[np.minimum(np.arange(count), len(rows) - 1)]
    return held
