"""The collection strategies: what is recorded in one scene (paper 4.5, App. C.2).

A strategy is a pure function of a scene and a random stream, so that a set's contents do not depend
on workers, order or interruptions.
"""

from collections.abc import Callable, Iterator

import numpy as np

from dexbench.data_collection.store.episode import Episode
from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.robot import OPEN_HAND
from dexbench.envs.motion.collision import stuck
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.tasks.base import Rejected
from dexbench.envs.tasks.grasp import RISE, stand_near

from .clips import (
    clear_posture,
    lift_plan,
    lift_targets,
    open_close,
    permute_objects,
    replay,
    settle,
    wander,
)
from .play import play_clip
from .recorder import Recorder
from .waypoints import waypoint_clip

Strategy = Callable[[Simulation, Scene, np.random.Generator], list[Episode]]
CLIPS = 4
"""Clips a scene."""


def lift(simulation: Simulation, scene: Scene, rng: np.random.Generator) -> list[Episode]:
    """Return the expert lifts the scene's first object; failures are kept.

    Half the clips begin in random postures, half near the object with the hand opened for it, as
    trials of the grasp task do.
    """
    clips = []
    settle(simulation)
    resting = simulation.get_state()
    for clip in range(CLIPS):
        simulation.set_state(resting)
        if clip % 2:
            plan = lift_plan(simulation, rng, rng.uniform(*RISE))
            stand_near(simulation, plan, rng)
            if stuck(simulation):
                raise Rejected("the hand stands inside something")
        else:
            # Fingers anyhow: were they always open, they alone would tell a policy the time.
            simulation.set_joints(clear_posture(simulation, rng))
            plan = lift_plan(simulation, rng)
        quiet = simulation.get_state()
        targets, _ = lift_targets(simulation, plan)
        simulation.set_state(quiet)
        recorder = Recorder(simulation)
        recorder.observe()
        expert = ScriptedExpert(simulation, recorder.observe)
        for row in targets:
            expert.command(row)
        clips.append(recorder.episode(scene, {"kind": "lift", "clip": clip}))
    return clips


def lift_noise(simulation: Simulation, scene: Scene, rng: np.random.Generator) -> list[Episode]:
    """Lift-initialised exploration: Lift targets replayed with noise among permuted objects.

    As many clips again show the hand alone opening and closing.
    """
    settle(simulation)
    resting = simulation.get_state()
    clips = []
    for clip in range(CLIPS):
        simulation.set_state(resting)
        meta = {"kind": "replay" if clip % 2 == 0 else "open-close", "clip": clip}
        if clip % 2:
            permute_objects(simulation, rng, np.full(3, 10.0))
            settle(simulation)
            clips.append(open_close(simulation, scene, rng, meta))
            continue
        start = clear_posture(simulation, rng)
        simulation.set_joints(np.concatenate([start[ARM_JOINTS], OPEN_HAND]))
        targets, grasp_point = lift_targets(simulation, lift_plan(simulation, rng))
        simulation.set_state(resting)
        permute_objects(simulation, rng, grasp_point)
        settle(simulation)
        clips.append(replay(simulation, scene, targets, rng, meta))
    return clips


def programmatic(simulation: Simulation, scene: Scene, rng: np.random.Generator) -> list[Episode]:
    """Random targets, a third near objects and a third astray; no Lift data."""
    clips = []
    for clip in _permuted(simulation, rng):
        kind = "wander" if clip % CLIPS else "open-close"
        record = wander if clip % CLIPS else open_close
        clips.append(record(simulation, scene, rng, {"kind": kind, "clip": clip}))
    return clips


def play(simulation: Simulation, scene: Scene, rng: np.random.Generator) -> list[Episode]:
    """Push, grasp, carry, drop and miss permuted objects, without goals; no Lift data."""
    return [
        play_clip(simulation, scene, rng, {"kind": "play", "clip": clip})
        for clip in _permuted(simulation, rng)
    ]


def waypoints(simulation: Simulation, scene: Scene, rng: np.random.Generator) -> list[Episode]:
    """Move as a planner does among permuted objects, and take a picture where it looks."""
    return [
        waypoint_clip(simulation, scene, rng, {"kind": "waypoints", "clip": clip})
        for clip in _permuted(simulation, rng)
    ]


def _permuted(simulation: Simulation, rng: np.random.Generator) -> Iterator[int]:
    """Yield the number of each clip, the objects put somewhere else and at rest before it."""
    settle(simulation)
    resting = simulation.get_state()
    for clip in range(CLIPS):
        simulation.set_state(resting)
        permute_objects(simulation, rng, np.full(3, 10.0))
        settle(simulation)
        yield clip


STRATEGIES: dict[str, Strategy] = {
    "lift": lift,
    "lift-noise": lift_noise,
    "programmatic": programmatic,
    "play": play,
    "waypoints": waypoints,
}
"""Every strategy by the name that `dexbench collect --strategy` takes."""
