"""Redraws a trial: another look, clutter elsewhere, another start; the expert still solves it.

What the expert's way depends on stays: the scene's physics, the target, and every object that robot
or target come near.
"""

from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import HAND_JOINTS
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST, N_JOINTS
from dexbench.envs.motion.grasp import object_points
from dexbench.envs.scenes.look import redraw_look
from dexbench.envs.scenes.recipe import GAP, OTHER_X, OTHER_Y
from dexbench.envs.simulation import WRIST_BODY, Simulation
from dexbench.envs.trial import Trial
from dexbench.utils.seeding import rng, seed_for

from .base import Rejected, Task
from .playback import Playback
from .sweep import Sweep

SHIFT = 0.05
"""How far each joint is moved at the start at most, in rad."""
BLEND = 5
"""Control steps in which the expert comes back to its way."""
NEAR = 0.06
"""How near robot and target may come to an object that is moved, in m."""
DRAWS = 20
"""Places tried for an object, and starts tried, before the old one is kept."""
STARTS = 3
"""Redrawn starts of a trial of the bank, of which the expert has been seen to solve each."""
DIGITS = 9
"""Decimals of poses, in m."""


def redraw(
    trial: Trial,
    task: Task,
    key: tuple[int | str, ...],
    start: tuple[int | str, ...] | None = None,
) -> Trial:
    """Return the trial with another look, clutter and start; a pure function of its arguments.

    Args:
        trial: What is redrawn.
        task: The trial's task.
        key: Names the random stream, and the seed that agents get.
        start: The key of another redrawn trial, whose start and expert's way this one has; by
            default they are drawn anew.
    """
    stream = rng("redraw", task.name, *key)
    redrawn = replace(
        trial,
        xml=redraw_look(trial.xml, stream),
        seed=seed_for("agent", "redraw", task.name, *key),
        recipe=trial.recipe | {"redrawn": list(key)},
    )
    simulation = Simulation(redrawn.xml, redrawn.objects)
    if start is None:
        return move_start(simulation, move_clutter(simulation, redrawn, stream), task, stream)
    other = rng("redraw", task.name, *start)
    redraw_look(trial.xml, other)  # it took its share of the stream before the start was drawn
    redrawn = move_start(simulation, move_clutter(simulation, redrawn, other), task, other)
    return move_clutter(simulation, redrawn, stream)


def move_clutter(simulation: Simulation, trial: Trial, rng: np.random.Generator) -> Trial:
    """Return the trial with the objects elsewhere that robot and target never come near.

    Args:
        simulation: Of the trial's scene, in any state.
        trial: What is redrawn.
        rng: The stream to draw from.
    """
    sweep = Sweep(simulation, trial)
    simulation.set_state(trial.start_state)
    spots = {name: simulation.object_position(name)[:2] for name in simulation.objects}
    radii = {name: _radius(simulation, name) for name in simulation.objects}
    moved = {}
    for name in simulation.objects[1:]:
        if sweep.distance(spots[name]) < radii[name] + NEAR:
            continue
        for spot in rng.uniform((OTHER_X[0], OTHER_Y[0]), (OTHER_X[1], OTHER_Y[1]), (DRAWS, 2)):
            if sweep.distance(spot) >= radii[name] + NEAR and all(
                np.linalg.norm(spot - spots[other]) > radii[name] + radii[other] + GAP
                for other in simulation.objects
                if other != name
            ):
                spots[name] = spot
                moved[name] = rng.uniform(-np.pi, np.pi)
                break
    states = []
    for state in (trial.start_state, trial.goal_state):
        simulation.set_state(state)
        for name, yaw in moved.items():
            place = simulation.object_position(name)
            there = np.array([*spots[name], place[2]])
            turn = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
            _move_object(
                simulation, name, turn, simulation.to_world(place), simulation.to_world(there)
            )
        states.append(simulation.get_state())
    return replace(trial, start_state=states[0], goal_state=states[1])


def _radius(simulation: Simulation, name: str) -> float:
    """Return the radius in m of the circle around an object's centre, seen from above."""
    away = object_points(simulation, name) - simulation.object_position(name)
    return float(np.linalg.norm(away[:, :2], axis=1).max())


def move_start(simulation: Simulation, trial: Trial, task: Task, rng: np.random.Generator) -> Trial:
    """Return the trial begun up to `SHIFT` away in every joint, and the expert's way from there.

    What the hand holds goes along, and the fingers then stay as they are. The start touches what
    the old one touches, and keeps the task's premise.

    Args:
        simulation: Of the trial's scene, in any state.
        trial: What is redrawn.
        task: The trial's task.
        rng: The stream to draw from.
    """
    simulation.set_state(trial.start_state)
    touched = _touched(simulation)
    held = [name for name in simulation.objects if simulation.hand_touches(name)]
    for draw in range(DRAWS):
        shift = rng.uniform(-SHIFT, SHIFT, N_JOINTS) * (1 - draw / DRAWS)
        if held:
            shift[HAND_JOINTS] = 0
        simulation.set_state(trial.start_state)
        target = simulation.joint_targets
        shift = np.clip(target + shift, LOWEST, HIGHEST) - target
        _shift_joints(simulation, shift, held)
        fading = np.clip(1 - np.arange(1, len(trial.expert_actions) + 1) / BLEND, 0, 1)
        actions = np.clip(trial.expert_actions + fading[:, None] * shift, LOWEST, HIGHEST)
        candidate = replace(
            trial,
            start_state=simulation.get_state(),
            expert_actions=actions.astype(np.float32),
        )
        playback = Playback(task, candidate, simulation)
        try:
            task.check_start(playback.outcome, simulation, trial.target)
        except Rejected:
            continue
        if _touched(simulation) == touched:
            return candidate
    return trial


def _shift_joints(simulation: Simulation, shift: NDArray[np.float64], held: list[str]) -> None:
    """Move the joints and their targets by (23,) in rad; what is held goes along with the wrist."""
    data = simulation.data
    wrist = data.body(WRIST_BODY)
    origin, posture = wrist.xpos.copy(), wrist.xmat.reshape(3, 3).copy()
    data.qpos[simulation.qpos_addresses] += shift
    data.ctrl[:] += shift
    mujoco.mj_kinematics(simulation.model, data)
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, (wrist.xmat.reshape(3, 3) @ posture.T).ravel())
    for name in held:
        _move_object(simulation, name, turn, origin, wrist.xpos)


def _move_object(
    simulation: Simulation,
    name: str,
    turn: NDArray[np.float64],
    origin: NDArray[np.float64],
    there: NDArray[np.float64],
) -> None:
    """Turn an object about an origin and take that origin elsewhere; nothing else changes.

    Args:
        simulation: The scene.
        name: Body name of the object.
        turn: Quaternion (4,).
        origin: World point (3,) in m.
        there: World point (3,) in m that the origin is taken to.
    """
    model = simulation.model
    first = model.jnt_qposadr[model.body(name).jntadr[0]]
    pose = simulation.data.qpos[first : first + 7]
    offset, quat = np.zeros(3), np.zeros(4)
    mujoco.mju_rotVecQuat(offset, pose[:3] - origin, turn)
    mujoco.mju_mulQuat(quat, turn, pose[3:].copy())
    # Rounded, so that a seed gives the same trial where last digits differ, on another processor.
    pose[:] = np.round([*(there + offset), *quat], DIGITS)


def _touched(simulation: Simulation) -> set[int]:
    """Return the bodies that the robot touches."""
    pairs = simulation.data.contact.geom[simulation.data.contact.dist < 0]
    robot = simulation.robot_geoms[pairs]
    mixed = pairs[robot.any(axis=1) & ~robot.all(axis=1)]
    others = mixed[~simulation.robot_geoms[mixed]]
    return set(simulation.model.geom_bodyid[others].tolist())
