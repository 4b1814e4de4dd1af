"""The clips that exploration is made of: noisy replay, wandering, opening and closing the hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.episode import Episode
from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, N_ARM_JOINTS, N_HAND_JOINTS
from dexbench.envs.embodiment.robot import LOWER, N_JOINTS, OPEN_HAND, READY_ARM, UPPER
from dexbench.envs.motion.collision import stuck
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.grasp import GraspPlan, grasps, object_points
from dexbench.envs.motion.hand import REST
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected
from dexbench.envs.tasks.reach import draw_posture

from .noise import ornstein_uhlenbeck
from .recorder import Recorder

ARM_NOISE, HAND_NOISE = 0.15, 0.25
"""Standard deviation in rad of the noise on replayed arm and hand targets."""
NOISE_SECONDS = 1.5
"""Correlation time of that noise, in s."""
NOISE_DRAWS = 20
"""Draws of the noise before a clip is given up for starting inside the counter."""
REPLAY_STEPS = 64
"""Control steps of a replayed clip; a shorter Lift motion is held, the noise goes on."""
HAND_STEPS = 36
"""Control steps of a clip in which only the hand moves."""
WANDER_STEPS = 64
"""Control steps of a clip that wanders between random targets."""
ARM_STRAY, HAND_STRAY = 0.3, 0.1
"""Standard deviation in rad of a stray posture's joints: that of the planners' candidates."""
POSTURE_DRAWS = 20
"""Draws of a posture before a scene is given up."""
KEEP_AWAY = 0.08
"""After permuting, no object is nearer than this to the grasp point, in m."""
REGION = np.array([[0.55, -0.55], [0.85, 0.22]])
"""Corners (x, y) in the base frame, in m, that permuted objects are put within."""
ROOM = 0.02
"""Least distance, in m, between the bounding circles of permuted objects."""


def lift_plan(simulation: Simulation, rng: np.random.Generator, rise: float = 0.12) -> GraspPlan:
    """Return a grasp of the target object with a straight approach of ``rise`` m.

    Raises:
        Rejected: The object cannot be reached.
    """
    plan = next(grasps(simulation, simulation.objects[0], rng, rise), None)
    if plan is None:
        raise Rejected("no reachable grasp")
    return plan


def lift_targets(
    simulation: Simulation, plan: GraspPlan
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Let the expert lift the target object from wherever the hand is.

    Returns:
        The targets (n, 23) in rad it commanded, and the point (3,) in m where it grasped.

    Raises:
        Rejected: The arm cannot rise.
    """
    place = simulation.object_position(simulation.objects[0])
    expert = ScriptedExpert(simulation)
    expert.grasp(plan)
    if not expert.carry(plan.wrist + [0, 0, 0.15], plan):
        raise Rejected("no reachable lift")
    return np.array(expert.targets), place


def permute_objects(
    simulation: Simulation, rng: np.random.Generator, away: NDArray[np.float64]
) -> None:
    """Put every object somewhere else, none within 8 cm of the point ``away`` (3,).

    They turn about the vertical only, and keep their heights.

    Raises:
        Rejected: There is no room.
    """
    placed: list[tuple[NDArray[np.float64], float]] = []
    for name in simulation.objects:
        centre = simulation.object_position(name)
        height = centre[2]
        spread = object_points(simulation, name)[:, :2] - centre[:2]
        radius = float(np.sqrt((spread * spread).sum(axis=1)).max())
        for _ in range(200):
            spot = rng.uniform(*REGION)
            gaps = [np.linalg.norm(spot - other) - radius - size for other, size in placed]
            if np.linalg.norm(spot - away[:2]) > KEEP_AWAY + 0.04 and min(gaps, default=1) > ROOM:
                break
        else:
            raise Rejected("no room for the objects")
        placed.append((spot, radius))
        simulation.place_object(name, np.array([*spot, height]), yaw=rng.uniform(0, 2 * np.pi))


def replay(
    simulation: Simulation,
    scene: Scene,
    targets: NDArray[np.float32],
    rng: np.random.Generator,
    meta: dict[str, Any],
) -> Episode:
    """Replay targets (n, 23) with noise that starts at a random offset and drifts.

    Raises:
        Rejected: The noise would start the robot inside itself, the counter or an object.
    """
    scale = np.concatenate([np.full(N_ARM_JOINTS, ARM_NOISE), np.full(N_HAND_JOINTS, HAND_NOISE)])
    spare = max(0, REPLAY_STEPS - len(targets))
    targets = np.concatenate([targets, np.tile(targets[-1:], (spare, 1))])[:REPLAY_STEPS]
    for _ in range(NOISE_DRAWS):
        noisy = targets + ornstein_uhlenbeck(rng, len(targets), scale, NOISE_SECONDS)
        simulation.set_joints(np.clip(noisy[0], LOWER, UPPER))
        if not stuck(simulation):
            return _play(simulation, scene, noisy, meta)
    raise Rejected("the noise starts the robot inside something")


def clear_posture(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a posture (23,) in rad with the palm above the counter, and nothing inside anything.

    Raises:
        Rejected: None was found.
    """
    return _clear(simulation, lambda: draw_posture(simulation, rng))


def stray(
    simulation: Simulation, start: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a posture (23,) in rad around another, joint by joint, and nothing inside anything.

    Raises:
        Rejected: None was found.
    """
    scale = np.concatenate([np.full(N_ARM_JOINTS, ARM_STRAY), np.full(N_HAND_JOINTS, HAND_STRAY)])

    def draw() -> NDArray[np.float64]:
        posture = start + scale * rng.standard_normal(N_JOINTS)
        return np.array(np.clip(posture, LOWER, UPPER))

    return _clear(simulation, draw)


def _clear(simulation: Simulation, draw: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the first of some postures that is clear; the simulation stays as it was."""
    state = simulation.get_state()
    try:
        for _ in range(POSTURE_DRAWS):
            posture = draw()
            simulation.set_joints(posture)
            if not stuck(simulation):
                return posture
            simulation.set_state(state)
    finally:
        simulation.set_state(state)
    raise Rejected("every posture drawn has the robot inside something")


def open_close(
    simulation: Simulation, scene: Scene, rng: np.random.Generator, meta: dict[str, Any]
) -> Episode:
    """Hold the arm somewhere and open and close the hand at a random pace."""
    start = clear_posture(simulation, rng)
    simulation.set_joints(start)
    corners = [start[HAND_JOINTS]]
    while len(corners) < 6:
        extent = rng.uniform(0.0, 0.5) if len(corners) % 2 else rng.uniform(0.9, 1.8)
        corner = extent * REST + rng.normal(0, 0.15, N_HAND_JOINTS)
        corner[12] = REST[12] + rng.normal(0, 0.15)
        corners.append(np.clip(corner, LOWER[HAND_JOINTS], UPPER[HAND_JOINTS]))
    times = np.concatenate([[0], np.cumsum(rng.uniform(5, 14, 5))])
    hand = np.stack(
        [np.interp(np.arange(HAND_STEPS), times, joint) for joint in np.transpose(corners)], axis=1
    )
    rows = np.concatenate([np.tile(start[ARM_JOINTS], (HAND_STEPS, 1)), hand], axis=1)
    return _play(simulation, scene, rows, meta)


def wander(
    simulation: Simulation, scene: Scene, rng: np.random.Generator, meta: dict[str, Any]
) -> Episode:
    """Go from one random posture to the next.

    A third are palms above the counter, a third just above an object, and a third stray from the
    last one joint by joint, as a planner's candidates do: the hand turns away or leaves the
    picture, and a world model must have seen that.
    """
    posture = clear_posture(simulation, rng)
    simulation.set_joints(posture)
    rows = [posture]
    while len(rows) < WANDER_STEPS:
        way = rng.integers(3)
        goal = stray(simulation, posture, rng) if way == 0 else clear_posture(simulation, rng)
        if way == 1:
            name = simulation.objects[int(rng.integers(len(simulation.objects)))]
            plan = next(grasps(simulation, name, rng), None)
            if plan is not None:
                goal[ARM_JOINTS] = plan.approach[int(rng.integers(3, len(plan.approach)))]
        steps = max(8, int(np.ceil(np.abs(goal - posture)[ARM_JOINTS].max() / 0.1)))
        rows += [posture + (goal - posture) * i / steps for i in range(1, steps + 1)]
        posture = goal
    return _play(simulation, scene, np.array(rows[:WANDER_STEPS]), meta)


def settle(simulation: Simulation) -> None:
    """Let the objects come to rest with the hand out of the way."""
    simulation.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
    ScriptedExpert(simulation).hold(15)


def _play(
    simulation: Simulation, scene: Scene, rows: NDArray[Any], meta: dict[str, Any]
) -> Episode:
    recorder = Recorder(simulation)
    recorder.observe()
    expert = ScriptedExpert(simulation, recorder.observe)
    for row in rows:
        expert.command(row)
    return recorder.episode(scene, meta)
