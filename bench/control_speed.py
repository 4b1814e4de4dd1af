"""``dexbench speed control``: control steps a second against robosuite's own, and rendering time.

Both step the same recipe's kitchen at 10 Hz with 50 physics steps of 2 ms, no camera. robosuite
steps it as RoboCasa built it (doors, base and both arms move) and through its stock controllers;
ours is the frozen scene of the suites. They take turns, so that whatever else the machine does
slows both alike. MuJoCo alone on robosuite's model tells the controllers' part from the physics'.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ..envs.errors import UserError

WARM_UP = 5
"""Steps before the clock runs: robosuite compiles functions at their first call."""


@dataclass(frozen=True)
class SpeedConfig:
    """Measures control steps a second through the Simulation and through robosuite."""

    repeats: int = 7
    """Turns of each; the medians are printed."""
    steps: int = 60
    """Control steps in a turn."""
    frames: int = 30
    """Pictures rendered in a turn."""
    scene: int = 0
    """Number of the training kitchen."""


@dataclass(frozen=True)
class Speed:
    """One comparison."""

    ours: tuple[float, ...]
    """Control steps a second of each turn through the Simulation."""
    robosuite: tuple[float, ...]
    """The same through robosuite's ``env.step``, in the same order."""
    physics: tuple[float, ...]
    """The same of MuJoCo alone on robosuite's model, without controllers."""
    render_ms: tuple[float, ...]
    """Milliseconds for a 224x392 picture, of each turn."""
    renderer: str
    """OpenGL's name of the renderer."""

    @property
    def ratio(self) -> float:
        """How many times faster the Simulation is: ratio of the medians."""
        return median(self.ours) / median(self.robosuite)

    def text(self) -> str:
        """The result in five lines."""
        ratios = [a / b for a, b in zip(self.ours, self.robosuite, strict=True)]
        return "\n".join(
            [
                f"Simulation.step     {median(self.ours):8.1f} control steps/s",
                f"robosuite env.step  {median(self.robosuite):8.1f} control steps/s",
                f"  its physics alone {median(self.physics):8.1f} control steps/s",
                f"ratio               {self.ratio:8.2f} (turns: {min(ratios):.2f} to "
                f"{max(ratios):.2f}, {len(ratios)} of them)",
                f"rendering 224x392   {median(self.render_ms):8.1f} ms a picture, {self.renderer}",
            ]
        )


def measure(config: SpeedConfig) -> Speed:
    """Builds the scene twice and measures.

    Raises:
        UserError: A number in the configuration is below 1.
    """
    for key in ("repeats", "steps", "frames"):
        if getattr(config, key) < 1:
            raise UserError(f"--{key} is {getattr(config, key)}, expected at least 1")
    from ..envs.recipe import draw_recipe
    from ..envs.scene import build_scene
    from ..envs.seeding import rng
    from ..envs.simulation import Simulation

    recipe = draw_recipe(rng("speed", config.scene), "train")
    scene = build_scene(recipe)
    simulation = Simulation(scene.xml, scene.objects)
    env = stock_environment(recipe)
    try:
        return _take_turns(config, simulation, env)
    finally:
        simulation.close()
        env.close()


def stock_environment(recipe: dict[str, Any]) -> Any:
    """The recipe's kitchen as a robosuite environment: stock controllers, 10 Hz, no camera."""
    from ..envs import compat
    from ..envs.embodiment import register  # noqa: F401
    from ..envs.kitchen import DexKitchen
    from ..envs.simulation import CONTROL_HZ

    with compat.quiet():
        env = DexKitchen(recipe, control_freq=CONTROL_HZ, ignore_done=True)
        env.reset()
    return env


def rate(function: Callable[[int], object], count: int) -> float:
    """Calls of ``function(0)``, ``function(1)``, ... a second over ``count`` calls."""
    start = time.perf_counter()
    for index in range(count):
        function(index)
    return count / (time.perf_counter() - start)


def _take_turns(config: SpeedConfig, simulation: Any, env: Any) -> Speed:
    """Measures both and the renderer, turn by turn."""
    import mujoco

    from ..envs.embodiment.robot import INIT_ARM, OPEN_HAND
    from ..envs.simulation import PHYSICS_STEPS, STATE

    simulation.set_joints(np.concatenate([INIT_ARM, OPEN_HAND]))
    target = simulation.joint_targets
    low, high = env.action_spec
    model, data = env.sim.model._model, env.sim.data._data
    scratch, state = mujoco.MjData(model), np.empty(mujoco.mj_stateSize(model, STATE))
    swing = np.sin(np.arange(config.steps) / 5)

    def ours(index: int) -> None:
        simulation.step(target + 0.1 * swing[index % config.steps])

    def theirs(index: int) -> None:
        env.step(np.clip(np.full(len(low), 0.1 * swing[index % config.steps]), low, high))

    def physics(index: int) -> None:
        # From where robosuite is: without its controllers the robot would fall.
        mujoco.mj_getState(model, data, state, STATE)
        mujoco.mj_setState(model, scratch, state, STATE)
        mujoco.mj_step(model, scratch, PHYSICS_STEPS)

    def picture(index: int) -> None:
        simulation.render()

    for function in (ours, theirs, physics, picture):
        rate(function, WARM_UP)
    turns = [
        (
            rate(ours, config.steps),
            rate(theirs, config.steps),
            rate(physics, config.steps),
            1000 / rate(picture, config.frames),
        )
        for _ in range(config.repeats)
    ]
    first, second, third, fourth = zip(*turns, strict=True)
    return Speed(first, second, third, fourth, simulation.gl_renderer)


def main(config: SpeedConfig) -> None:
    """Measures and prints."""
    print(measure(config).text())
