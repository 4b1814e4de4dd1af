"""``dexbench speed control``: resets, and control steps a second against robosuite's own.

The environment of each task is first reset with training seeds, one after the other, as training
does.

Then both step the same recipe's kitchen at 10 Hz with 50 physics steps of 2 ms: first without a
camera, then recording the head camera's 224x392 picture of every step, each with its own renderer.
robosuite steps it as RoboCasa built it (doors, base and both arms move) and through its stock
controllers; ours is the frozen scene of the suites. They take turns, so that whatever else the
machine does slows both alike. MuJoCo alone on robosuite's model tells the controllers' part from
the physics'. Both renderers are as they come: ours without shadows and multisampling, as everywhere
in dexbench, robosuite's with its defaults.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from dexbench.utils.errors import UserError

WARM_UP = 5
"""Steps before the clock runs: robosuite compiles functions at their first call."""


@dataclass(frozen=True)
class SpeedConfig:
    """Measures resets, and control steps and frames a second here and through robosuite."""

    resets: int = 20
    """Training seeds that the environment of each task is reset with; medians are printed."""
    repeats: int = 7
    """Turns of each; the medians are printed."""
    steps: int = 60
    """Control steps in a turn."""
    frames: int = 30
    """Frames recorded, and pictures rendered, in a turn."""
    scene: int = 0
    """Number of the training kitchen."""


@dataclass(frozen=True)
class Speed:
    """One measurement."""

    resets: dict[str, tuple[float, ...]]
    """Seconds of each reset with a training seed, by task."""
    ours: tuple[float, ...]
    """Control steps a second of each turn through the Simulation."""
    robosuite: tuple[float, ...]
    """The same through robosuite's ``env.step``, in the same order."""
    physics: tuple[float, ...]
    """The same of MuJoCo alone on robosuite's model, without controllers."""
    recorded: tuple[float, ...]
    """Frames a second of each turn as collection records them: step, picture and state."""
    robosuite_recorded: tuple[float, ...]
    """The same through robosuite's ``env.step`` with its camera observation."""
    pictures: tuple[float, ...]
    """Pictures of 224x392 a second, of each turn."""
    renderer: str
    """OpenGL's name of the renderer."""

    @property
    def ratio(self) -> float:
        """How many times faster the Simulation is: ratio of the medians."""
        return median(self.ours) / median(self.robosuite)

    @property
    def recorded_ratio(self) -> float:
        """How many times faster frames are recorded: ratio of the medians."""
        return median(self.recorded) / median(self.robosuite_recorded)

    def text(self) -> str:
        """Return the result: a line for each task's resets, and eight more."""
        return "\n".join(
            [
                *(
                    f"{f'reset of {task}':20} {median(seconds):8.3f} s, median of {len(seconds)} "
                    f"({min(seconds):.3f} to {max(seconds):.3f})"
                    for task, seconds in self.resets.items()
                ),
                f"Simulation.step      {median(self.ours):8.1f} control steps/s",
                f"robosuite env.step   {median(self.robosuite):8.1f} control steps/s",
                f"  its physics alone  {median(self.physics):8.1f} control steps/s",
                f"ratio                {self.ratio:8.2f} ({_turns(self.ours, self.robosuite)})",
                f"Recorder             {median(self.recorded):8.1f} frames/s",
                f"robosuite and camera {median(self.robosuite_recorded):8.1f} frames/s",
                f"ratio                {self.recorded_ratio:8.2f} "
                f"({_turns(self.recorded, self.robosuite_recorded)})",
                f"rendering 224x392    {1000 / median(self.pictures):8.1f} ms a picture, "
                f"{self.renderer}",
            ]
        )


def _turns(ours: tuple[float, ...], theirs: tuple[float, ...]) -> str:
    """In what range the turns' own ratios are."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"turns: {min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} of them"


def measure(config: SpeedConfig) -> Speed:
    """Build the scene, twice for robosuite, and measure.

    Raises:
        UserError: A number in the configuration is below 1.
    """
    for key in ("resets", "repeats", "steps", "frames"):
        if getattr(config, key) < 1:
            raise UserError(f"--{key} is {getattr(config, key)}, expected at least 1")
    from dexbench.envs.robocasa.build import build_scene
    from dexbench.envs.scenes.recipe import draw_recipe
    from dexbench.envs.simulation import Simulation
    from dexbench.utils.seeding import rng

    resets = {task: time_resets(task, config.resets) for task in banked_tasks()}
    recipe = draw_recipe(rng("speed", config.scene), "train")
    scene = build_scene(recipe)
    simulation = Simulation(scene.xml, scene.objects)
    plain, filmed = stock_environment(recipe), stock_environment(recipe, camera=True)
    try:
        rates = _take_turns(config, simulation, plain, filmed)
        return Speed(resets, **rates, renderer=simulation.gl_renderer)
    finally:
        _make_current(filmed)  # robosuite frees its renderer in whatever context is current
        filmed.close()
        plain.close()
        simulation.close()


def _make_current(env: Any) -> None:
    """Robosuite draws into whatever OpenGL context is current: make it the environment's own."""
    env.sim._render_context_offscreen.gl_ctx.make_current()


def stock_environment(recipe: dict[str, Any], camera: bool = False) -> Any:
    """Return the recipe's kitchen as a robosuite environment: stock controllers, 10 Hz.

    Args:
        recipe: The kitchen.
        camera: Whether it observes the head camera's picture, in the size of ours.
    """
    from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
    from dexbench.envs.embodiment.robot import CONTROL_HZ
    from dexbench.envs.rendering import CAMERA
    from dexbench.envs.robocasa import robosuite_patches as compat
    from dexbench.envs.robocasa import robot as register  # noqa: F401
    from dexbench.envs.robocasa.kitchen import DexKitchen

    view: dict[str, Any] = (
        {
            "has_offscreen_renderer": True,
            "use_camera_obs": True,
            "camera_names": CAMERA,
            "camera_heights": HEIGHT,
            "camera_widths": WIDTH,
        }
        if camera
        else {}
    )
    with compat.quiet():
        env = DexKitchen(recipe, control_freq=CONTROL_HZ, ignore_done=True, **view)
        env.reset()
    return env


def rate(function: Callable[[int], object], count: int) -> float:
    """Return the calls of ``function(0)``, ``function(1)``, ... a second over ``count`` calls."""
    start = time.perf_counter()
    for index in range(count):
        function(index)
    return count / (time.perf_counter() - start)


def banked_tasks() -> list[str]:
    """Return the tasks that the bank has trials of; of others a reset draws a kitchen."""
    from dexbench.envs.task_names import TASKS
    from dexbench.envs.tasks.bank import Bank

    return list(filter(Bank.packaged().numbers, TASKS))


def time_resets(task: str, count: int) -> tuple[float, ...]:
    """Return the seconds that each of some resets takes, after one that is not counted.

    Args:
        task: A task that the bank has trials of.
        count: Resets, with as many seeds.
    """
    from dexbench.envs.task_envs import make_env

    env, seconds = make_env(task), []
    for seed in range(count + 1):  # the first opens OpenGL and reads the robot's files
        start = time.perf_counter()
        env.reset(seed=seed)
        seconds.append(time.perf_counter() - start)
    env.close()
    return tuple(seconds[1:])


def _take_turns(
    config: SpeedConfig, simulation: Any, plain: Any, filmed: Any
) -> dict[str, tuple[float, ...]]:
    """Measure both, with and without pictures, and the renderer, turn by turn."""
    import mujoco

    from dexbench.data_collection.record.recorder import Recorder
    from dexbench.envs.embodiment.robot import INIT_ARM, OPEN_HAND
    from dexbench.envs.simulation import PHYSICS_STEPS, STATE

    simulation.set_joints(np.concatenate([INIT_ARM, OPEN_HAND]))
    target = simulation.joint_targets
    low, high = plain.action_spec
    model, data = plain.sim.model._model, plain.sim.data._data
    scratch, state = mujoco.MjData(model), np.empty(mujoco.mj_stateSize(model, STATE))
    swing = np.sin(np.arange(max(config.steps, config.frames)) / 5)

    def ours(index: int) -> None:
        simulation.step(target + 0.1 * swing[index % len(swing)])

    def theirs(index: int) -> None:
        plain.step(np.clip(np.full(len(low), 0.1 * swing[index % len(swing)]), low, high))

    def record(index: int) -> None:
        ours(index)
        recorder.observe()

    def film(index: int) -> None:
        if index == 0:
            _make_current(filmed)
        filmed.step(np.clip(np.full(len(low), 0.1 * swing[index % len(swing)]), low, high))

    def physics(index: int) -> None:
        # From where robosuite is: without its controllers the robot would fall.
        mujoco.mj_getState(model, data, state, STATE)
        mujoco.mj_setState(model, scratch, state, STATE)
        mujoco.mj_step(model, scratch, PHYSICS_STEPS)

    def picture(index: int) -> None:
        simulation.render()

    recorder = Recorder(simulation)
    timed: dict[str, tuple[Callable[[int], object], int]] = {
        "ours": (ours, config.steps),
        "robosuite": (theirs, config.steps),
        "physics": (physics, config.steps),
        "recorded": (record, config.frames),
        "robosuite_recorded": (film, config.frames),
        "pictures": (picture, config.frames),
    }
    for function, _ in timed.values():
        rate(function, WARM_UP)
    rates: dict[str, tuple[float, ...]] = dict.fromkeys(timed, ())
    for _ in range(config.repeats):
        for name, (function, count) in timed.items():
            rates[name] += (rate(function, count),)
    return rates


def main(config: SpeedConfig) -> None:
    """Measure and print."""
    print(measure(config).text())
