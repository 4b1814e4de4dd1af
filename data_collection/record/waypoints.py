"""Waypoints: the hand goes from posture to posture as a planner would move it, without a goal.

A planner holds each waypoint for 2 s and comes to it on a straight way in joint space, so a world
model is asked for nothing else. Here is just that, and a picture is taken where the planner looks.
Many waypoints push, grasp or carry an object, and many are astray.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.episode import Episode
from dexbench.envs.embodiment.keypoints import N_ARM_JOINTS, N_HAND_JOINTS
from dexbench.envs.embodiment.robot import LOWER, N_JOINTS, UPPER
from dexbench.envs.motion.grasp import object_points
from dexbench.envs.motion.waypoints import follow
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected

from .clips import ARM_STRAY, HAND_STRAY, clear_posture, stray
from .play import draw_carry, draw_push, drawn
from .recorder import Recorder

WAYPOINTS = 12
"""Waypoints of a clip; fewer if an object falls off the counter."""
LEAST = 4
"""A scene with a clip of fewer is not kept."""
ASTRAY, BACK, HELD = 0.3, 0.15, 0.1
"""How often what follows a push or a grasp is a waypoint around the last one, as a planner's
candidates are, how often it is where the clip began, and how often the hand stays. Then comes
another push or grasp."""
FAR = 2.5
"""How far such a waypoint may be, against a planner's first candidates: its later ones go on from
there, and where no data are a model may promise anything."""
LEFT = 0.15
"""How often a waypoint of a push or grasp is around the last one instead, and the rest is left."""
PUSHES = 0.75
"""Share of pushes: they have three waypoints, and grasps seven."""
AIM = 1.0
"""Most noise of a clip's waypoints, as a share of that of those astray. Plans that push ask
for a hand that counter and objects stop on its way: so must some of the waypoints."""

Posture = NDArray[np.float64]
"""Joints (23,) in rad."""


def waypoint_clip(
    simulation: Simulation, scene: Scene, rng: np.random.Generator, meta: dict[str, Any]
) -> Episode:
    """Record one clip, with the objects where they are.

    Raises:
        Rejected: No posture is free, or an object falls off the counter too soon.
    """
    floor = min(object_points(simulation, name)[:, 2].min() for name in simulation.objects)
    first = _interaction(simulation, rng)
    posture = stray(simulation, first[0], rng)
    simulation.set_joints(posture)
    recorder = Recorder(simulation)
    recorder.observe()
    targets = posture
    for _, waypoint in zip(
        range(WAYPOINTS), _waypoints(simulation, posture, first, rng), strict=False
    ):
        rows = follow(targets, waypoint[None].astype(np.float32))
        for row in rows:
            simulation.step(row)
        targets = rows[-1]
        if any(simulation.object_position(name)[2] < floor for name in simulation.objects):
            break
        recorder.observe()
    if len(recorder) <= LEAST:
        raise Rejected("an object falls off the counter at once")
    return recorder.episode(scene, meta)


def _waypoints(
    simulation: Simulation, start: Posture, first: list[Posture], rng: np.random.Generator
) -> Iterator[Posture]:
    """Yield waypoints; each interaction is planned from the state that the last one left."""
    scale = np.repeat([ARM_STRAY, HAND_STRAY], [N_ARM_JOINTS, N_HAND_JOINTS])
    aim = rng.uniform(0, AIM)
    last = start

    def around(posture: Posture, share: float) -> Posture:
        noise = share * scale * rng.standard_normal(N_JOINTS)
        return np.clip(posture + noise, LOWER, UPPER)

    planned = first
    while True:
        for posture in planned:
            leaves = len(planned) > 1 and rng.random() < LEFT
            last = around(last, 1) if leaves else around(posture, aim)
            yield last
            if leaves:
                break
        way = rng.random()
        if way < ASTRAY:
            last = around(last, rng.uniform(1, FAR))
            yield last
        elif way < ASTRAY + BACK:
            last = around(start, aim)
            yield last
        elif way < ASTRAY + BACK + HELD:
            yield last
        planned = _interaction(simulation, rng)


def _interaction(simulation: Simulation, rng: np.random.Generator) -> list[Posture]:
    """Return the postures that make a push or a grasp; a random one if none can be planned."""
    return drawn(simulation, rng, _push, _grasp, PUSHES) or [clear_posture(simulation, rng)]


def _push(simulation: Simulation, name: str, rng: np.random.Generator) -> list[Posture] | None:
    """Return where a push begins and ends, and above its end; None if there is no such."""
    plan = draw_push(simulation, name, rng)
    if plan is None:
        return None
    return [np.concatenate([arm[-1], plan.hand]) for arm in (plan.down, plan.stroke, plan.up)]


def _grasp(simulation: Simulation, name: str, rng: np.random.Generator) -> list[Posture] | None:
    """Return a grasp's postures from the open hand at the object to above where it is put."""
    plan = draw_carry(simulation, name, rng)
    if plan is None:
        return None
    grip = plan.grasp.approach[-1]
    closed, opened = plan.grasp.closed_hand, plan.grasp.open_hand
    ways = [(plan.grasp.approach[0], opened), (grip, opened), (grip, closed)]
    ways += [(plan.carry[len(plan.carry) // 2], closed)]
    ways += [(plan.carry[-1], closed), (plan.carry[-1], opened), (plan.retreat[-1], opened)]
    return [np.concatenate(way) for way in ways]
