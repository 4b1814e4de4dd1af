"""Play: the hand pushes, grasps, carries and drops whatever stands before it, without a goal.

A clip is a chain of short interactions. Each is planned from the state that the one before left,
and noise that drifts is added to every target, so that many go wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.episode import Episode
from dexbench.envs.embodiment.keypoints import N_ARM_JOINTS, N_HAND_JOINTS
from dexbench.envs.embodiment.robot import CONTROL_HZ, HIGHEST, LOWEST, OPEN_HAND, READY_ARM
from dexbench.envs.motion.expert import ARM_STEP, HAND_STEP
from dexbench.envs.motion.grasp import TABLE_GAP, GraspPlan, grasps, object_points
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.motion.push import PushPlan, PushStyle, pushes
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected

from .clips import NOISE_SECONDS, REGION, clear_posture, stray
from .noise import ornstein_uhlenbeck
from .recorder import Recorder

PLAY_STEPS = 64
"""Control steps of a clip; fewer if an object falls off the counter."""
LEAST_STEPS = 20
"""A scene with a clip that ends sooner is not kept."""
ARM_NOISE, HAND_NOISE = (0.005, 0.025), (0.01, 0.06)
"""Ranges of a clip's standard deviations of the noise on arm and hand targets, in rad."""
PUSHES = 0.5
"""Share of interactions drawn that are pushes; the others are grasps."""
MISSES, MISS = 0.1, (0.05, 0.10)
"""Share of interactions that aim beside the object, and by how much, in m."""
DISTANCE = (0.08, 0.30)
"""Range of how far objects are pushed or carried, in m."""
SPEED = (0.06, 0.25)
"""Range of the hand's speed over the counter, in m/s."""
LIFT, RETREAT = (0.05, 0.18), 0.10
"""Range of how high objects are lifted, and how far the open hand then rises, in m."""
REST = 8
"""Most control steps that the hand rests where a push ends."""
TRIES = 20
"""Interactions drawn before the hand goes somewhere else instead."""

Waypoint = tuple[NDArray[np.float64], int]
"""Joints (23,) in rad to go to, and the fewest control steps that it takes."""
Drawn = TypeVar("Drawn")
Draw = Callable[[Simulation, str, np.random.Generator], Drawn | None]
"""Plans an interaction with the object of that name."""


def play_clip(
    simulation: Simulation, scene: Scene, rng: np.random.Generator, meta: dict[str, Any]
) -> Episode:
    """Record one clip of play, with the objects where they are.

    Raises:
        Rejected: No posture is free, or an object falls off the counter too soon.
    """
    arm, hand = rng.uniform(*ARM_NOISE), rng.uniform(*HAND_NOISE)
    scale = np.repeat([arm, hand], [N_ARM_JOINTS, N_HAND_JOINTS])
    noise = iter(ornstein_uhlenbeck(rng, PLAY_STEPS, scale, NOISE_SECONDS))
    floor = min(object_points(simulation, name)[:, 2].min() for name in simulation.objects)
    first = _interaction(simulation, rng)
    posture = stray(simulation, first[0][0], rng)
    simulation.set_joints(posture)
    recorder = Recorder(simulation)
    recorder.observe()
    for row, drift in zip(_rows(simulation, posture, first, rng), noise, strict=False):
        simulation.step(np.clip((row + drift).astype(np.float32), LOWEST, HIGHEST))
        if any(simulation.object_position(name)[2] < floor for name in simulation.objects):
            break
        recorder.observe()
    if len(recorder) <= LEAST_STEPS:
        raise Rejected("an object falls off the counter at once")
    return recorder.episode(scene, meta)


def _rows(
    simulation: Simulation,
    posture: NDArray[np.float64],
    waypoints: list[Waypoint],
    rng: np.random.Generator,
) -> Iterator[NDArray[np.float64]]:
    """Yield targets (23,) in rad without noise: through the waypoints, then on and on."""
    step = np.repeat([ARM_STEP, HAND_STEP], [N_ARM_JOINTS, N_HAND_JOINTS])
    while True:
        for goal, least in waypoints:
            steps = max(least, int(np.ceil((np.abs(goal - posture) / step).max())))
            yield from posture + (goal - posture) * np.arange(1, steps + 1)[:, None] / steps
            posture = goal
        waypoints = _interaction(simulation, rng)


def _interaction(simulation: Simulation, rng: np.random.Generator) -> list[Waypoint]:
    """Return the waypoints of a push or a grasp; of a random posture if none can be planned."""
    waypoints = drawn(simulation, rng, _push, _grasp)
    return waypoints or [(clear_posture(simulation, rng), 1)]


def drawn(
    simulation: Simulation,
    rng: np.random.Generator,
    push: Draw[Drawn],
    grasp: Draw[Drawn],
    pushes: float = PUSHES,
) -> Drawn | None:
    """Return what one of two functions makes of an object; None if neither can.

    Now and then they are shown the object where it is not. The simulation stays as it was.

    Args:
        simulation: The scene.
        rng: What is drawn from.
        push: Plans a push.
        grasp: Plans a grasp.
        pushes: Share of pushes.
    """
    for _ in range(TRIES):
        draw = push if rng.random() < pushes else grasp
        name = simulation.objects[int(rng.integers(len(simulation.objects)))]
        state = simulation.get_state()
        simulation.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))  # for a natural elbow
        if rng.random() < MISSES:
            angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(*MISS)
            aside = simulation.object_position(name) + off * _unit(angle)
            simulation.place_object(name, aside, yaw=0.0)
        found = draw(simulation, name, rng)
        simulation.set_state(state)
        if found is not None:
            return found
    return None


def draw_push(simulation: Simulation, name: str, rng: np.random.Generator) -> PushPlan | None:
    """Return a push in a random direction, or None if there is no such."""
    heading, distance = _unit(rng.uniform(0, 2 * np.pi)), rng.uniform(*DISTANCE)
    if not _within(simulation.object_position(name) + distance * heading):
        return None
    style: PushStyle = "edge" if rng.random() < 0.5 else "tips"
    height = np.ptp(object_points(simulation, name)[:, 2])
    clearance = TABLE_GAP + rng.uniform(0, 0.5 * height) * (rng.random() < 0.3)
    plans = pushes(
        simulation, name, heading[:2], distance, style, rng, rng.uniform(*SPEED), clearance
    )
    return next(plans, None)


def _push(simulation: Simulation, name: str, rng: np.random.Generator) -> list[Waypoint] | None:
    """Return the waypoints of a push, or None."""
    plan = draw_push(simulation, name, rng)
    if plan is None:
        return None
    rows = np.concatenate([plan.down, plan.stroke])
    return [
        *(_waypoint(row, plan.hand) for row in rows),
        _waypoint(rows[-1], plan.hand, least=int(rng.integers(1, REST + 1))),
        *(_waypoint(row, plan.hand) for row in plan.up),
    ]


@dataclass(frozen=True)
class CarryPlan:
    """A grasp that lifts an object, carries it somewhere and lets it go."""

    grasp: GraspPlan
    """The approach, and the hand open and closed."""
    carry: NDArray[np.float64]
    """Arm joints (n, 7) in rad from the grasp to where it lets go."""
    retreat: NDArray[np.float64]
    """Arm joints (n, 7) in rad upward from there."""


def draw_carry(simulation: Simulation, name: str, rng: np.random.Generator) -> CarryPlan | None:
    """Return a grasp, lift and carry to somewhere, or None if there is no such."""
    move, lift = rng.uniform(*DISTANCE) * _unit(rng.uniform(0, 2 * np.pi)), rng.uniform(*LIFT)
    if not _within(simulation.object_position(name) + move):
        return None
    plan = next(grasps(simulation, name, rng), None)
    if plan is None:
        return None
    lower, up = rng.uniform(0, lift), np.array([0, 0, 1.0])
    corners = np.cumsum([plan.wrist, lift * up, move, -lower * up, RETREAT * up], axis=0)
    ik, step = ArmIK(simulation), rng.uniform(*SPEED) / CONTROL_HZ
    carry = ik.line(_polyline(corners[:-1], step), plan.turn, plan.approach[-1])
    if carry is None:
        return None
    retreat = ik.line(_polyline(corners[-2:], step), plan.turn, carry[-1])
    return None if retreat is None else CarryPlan(plan, carry, retreat)


def _grasp(simulation: Simulation, name: str, rng: np.random.Generator) -> list[Waypoint] | None:
    """Return the waypoints of a grasp, or None."""
    whole = draw_carry(simulation, name, rng)
    if whole is None:
        return None
    plan, carry, retreat = whole.grasp, whole.carry, whole.retreat
    grip = plan.approach[-1]
    return [
        *(_waypoint(row, plan.open_hand) for row in plan.approach),
        _waypoint(grip, plan.closed_hand, least=6),
        _waypoint(grip, plan.closed_hand, least=2),
        *(_waypoint(row, plan.closed_hand) for row in carry),
        _waypoint(carry[-1], plan.open_hand, least=3),
        *(_waypoint(row, plan.open_hand) for row in retreat),
    ]


def _polyline(corners: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return points (m, 3) from corner to corner (n, 3), at most ``step`` m apart."""
    points = [corners[:1]]
    for start, end in pairwise(corners):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / step)))
        points.append(start + (end - start) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(points)


def _waypoint(arm: NDArray[np.float64], hand: NDArray[np.float64], least: int = 1) -> Waypoint:
    return np.concatenate([arm, hand]), least


def _unit(angle: float) -> NDArray[np.float64]:
    """Return the horizontal unit vector (3,) at an angle in rad."""
    return np.array([np.cos(angle), np.sin(angle), 0.0])


def _within(point: NDArray[np.float64]) -> bool:
    """Return whether a point (3,) is above the part of the counter that play keeps to."""
    return bool((point[:2] > REGION[0]).all() and (point[:2] < REGION[1]).all())
