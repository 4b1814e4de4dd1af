"""What all tasks share: a criterion, and how a trial is drawn."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import TIPS
from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import HELD_STEPS, STEPS, Trial
from dexbench.utils.seeding import seed_for

from .criterion import Criterion, Goal, Memoryless, Outcome
from .playback import Playback

HAND_PIXELS, OBJECT_PIXELS = 200, 60
"""Fewest visible pixels of hand and object in start and goal (224x392 image)."""
DRIFT = 0.005
"""Farthest that the target may move by itself during an episode, in m."""
STILL = 0.0001
"""Farthest that objects at rest move in half a second, in m."""
SETTLE = 8
"""Half seconds that objects are given to come to rest, after a whole one."""
PULL = 0.1
"""Weight of the hand's distance from the object in `Task.true_cost`: enough to tell a hand that
comes nearer from one that does not, too little to outweigh the object's own way."""
GRIP = 0.5
"""Weight in `Task.true_cost` of how far an object that must be touched is from between thumb and
fingers: a hand beside it or above it holds nothing, however near its fingertips are."""
UNTOUCHED = 0.05
"""What `Task.true_cost` adds in m while the hand does not touch an object that it has to touch."""


class Rejected(Exception):  # noqa: N818 - a verdict on a draw, not a fault
    """A drawn trial that may not enter; its text says why."""


class Task(ABC):
    """A criterion and a way to draw trials for it; docs/your_own_task.md builds one."""

    name: str
    """How commands, suites and ledgers call it: lower case letters, digits and ``_``."""
    threshold: float
    """Largest distance in m at which the criterion can hold."""
    needs_touch = False
    """Whether the criterion asks that the hand touch the object."""

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return how the current state stands against a goal; a pure function of the two.

        A task whose criterion depends on what happened before overrides `begin` instead.

        Args:
            simulation: In the state to judge. It must not be changed.
            target: Body name of the trial's object.
            goal: Where hand and object are in the goal state.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither evaluate nor begin")

    def begin(self, simulation: Simulation, target: str, goal: Goal) -> Criterion:
        """Return what judges an episode; by default `evaluate`, each state by itself.

        Override it to keep something of the episode: start positions, the largest displacement
        so far. Keep it in the returned object, never in the task: several episodes of a task
        are judged at the same time.

        Args:
            simulation: In the start state, which the criterion is then asked about first. It
                must not be changed.
            target: Body name of the trial's object.
            goal: Where hand and object are in the goal state.
        """
        return Memoryless(self.evaluate, target, goal)

    def true_cost(self, simulation: Simulation, target: str, goal: Goal, displaced: float) -> float:
        """Return how far the current state is from the goal, in m, as only the simulator knows it.

        The agent ``oracle`` plans with it. By default it is the object's distance from its place
        in the goal, and a tenth of the fingertips' mean distance from the object: a hand that has
        yet to touch the object is drawn to it. A task that `needs_touch` asks in stages instead:
        half the object's distance from the point between thumb and fingers, 5 cm more until they
        touch it, and its distance from the goal.

        Args:
            simulation: In the state to judge. It must not be changed.
            target: Body name of the trial's object.
            goal: Where hand and object are in the goal state.
            displaced: The farthest in m that any object has been, up to now, from where it was
                at the trial's start.
        """
        gap = simulation.object_position(target) - goal.object_position
        return float(np.linalg.norm(gap)) + self.pull(simulation, target)

    def pull(self, simulation: Simulation, target: str) -> float:
        """Return what `true_cost` adds in m for a hand that is not at the object.

        Args:
            simulation: In the state to judge. It must not be changed.
            target: Body name of the trial's object.
        """
        position, tips = simulation.object_position(target), simulation.keypoints[list(TIPS)]
        if not self.needs_touch:
            return float(PULL * np.linalg.norm(tips - position, axis=1).mean())
        between = (tips[0] + tips[1:].mean(axis=0)) / 2
        untouched = not simulation.hand_touches(target)
        return float(GRIP * np.linalg.norm(between - position) + UNTOUCHED * untouched)

    @abstractmethod
    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Bring the settled scene to a start state; return the expert's way from there to the goal.

        The returned function commands at most 50 steps and ends in the goal state, so that the
        criterion can hold for 10 more.

        Args:
            simulation: The scene, the arm above the counter; left in the start state.
            target: Body name of the trial's object.
            rng: The only source of randomness.

        Raises:
            Rejected: No start or goal was found in this scene.
        """

    def draw(self, scene: Scene, rng: np.random.Generator, key: tuple[int | str, ...]) -> Trial:
        """Draw a trial in a scene.

        Args:
            scene: The kitchen; its first object is the target.
            rng: The stream to draw from.
            key: Names the trial's seed.

        Raises:
            Rejected: What was drawn is unsettled, out of view, too easy or unsolved.
        """
        simulation = Simulation(scene.xml, scene.objects)
        try:
            return self.draw_in(simulation, scene, rng, key)
        finally:
            simulation.close()

    def draw_in(
        self,
        simulation: Simulation,
        scene: Scene,
        rng: np.random.Generator,
        key: tuple[int | str, ...],
    ) -> Trial:
        """Draw a trial as `draw` does, in a simulation of the scene that is at hand."""
        target = scene.objects[0]
        simulation.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
        settle(simulation)
        solve = self.stage(simulation, target, rng)
        start = simulation.get_state()
        simulation.set_state(start)
        _require_view(simulation, self.views_target, "start")
        before = simulation.object_position(target)
        expert = ScriptedExpert(simulation)
        solve(expert)
        if len(expert.targets) > STEPS - HELD_STEPS:
            raise Rejected("the expert needs too long")
        reached = simulation.get_state()
        goal_state = self.goal_state(simulation, start)
        simulation.set_state(goal_state)
        _require_view(simulation, self.views_target, "goal", self.goal_shows_robot)
        simulation.set_state(reached)
        expert.hold(STEPS - len(expert.targets))
        trial = Trial(
            task=self.name,
            seed=seed_for("agent", *key),
            xml=scene.xml,
            objects=scene.objects,
            instances=scene.instances,
            recipe=scene.recipe,
            start_state=start,
            goal_state=goal_state,
            expert_actions=np.array(expert.targets),
        )
        self.check(simulation, trial, before)
        return trial

    views_target = True
    """Whether the target itself must be in view, or any object will do."""
    goal_shows_robot = True
    """Whether the goal picture is drawn with the robot."""
    needs_foresight = False
    """Whether suites leave out candidates that the agent `kinematic` solves, which knows where the
    goal's hand is and nothing of objects."""

    def goal_state(self, simulation: Simulation, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the goal state (n,); by default the one that the expert reached.

        Args:
            simulation: In the state that the expert reached; it may be changed.
            start: The trial's start state (n,).

        Raises:
            Rejected: There is no such state.
        """
        return simulation.get_state()

    @abstractmethod
    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Raise ``Rejected`` where the start is too near the goal or breaks the task's premise."""

    def check(self, simulation: Simulation, trial: Trial, before: NDArray[np.float64]) -> None:
        """Reject unfair starts, and trials that holding still or no expert solves.

        Args:
            simulation: Of the trial's scene, in any state.
            trial: The candidate.
            before: The target's position (3,) at the start, in the base frame, in m.

        Raises:
            Rejected: The trial may not enter.
        """
        playback = Playback(self, trial, simulation)
        self.check_start(playback.outcome, simulation, trial.target)
        if playback.solves(np.tile(simulation.joint_targets, (STEPS, 1))):
            raise Rejected("holding still succeeds")
        self.check_held(simulation, trial, before)
        playback.restart()
        if not playback.solves(trial.expert_actions):
            raise Rejected("the expert fails")

    def check_held(self, simulation: Simulation, trial: Trial, before: NDArray[np.float64]) -> None:
        """Raise ``Rejected`` where an episode of holding still spoils the scene.

        Args:
            simulation: After 60 steps of holding still.
            trial: The candidate.
            before: The target's position (3,) at the start, in the base frame, in m.
        """
        if np.linalg.norm(simulation.object_position(trial.target) - before) > DRIFT:
            raise Rejected("the object moves by itself")


def settle(simulation: Simulation) -> None:
    """Let the objects come to rest; some, such as an avocado, rock for seconds.

    Raises:
        Rejected: One does not.
    """
    expert = ScriptedExpert(simulation)
    expert.hold(10)
    for _ in range(SETTLE):
        before = [simulation.object_position(name) for name in simulation.objects]
        expert.hold(5)
        after = [simulation.object_position(name) for name in simulation.objects]
        if np.linalg.norm(np.subtract(after, before), axis=1).max() < STILL:
            return
    raise Rejected("an object does not come to rest")


def _require_view(
    simulation: Simulation, target_only: bool, moment: str, robot: bool = True
) -> None:
    counts = simulation.segment(robot)
    if robot and counts["hand"] < HAND_PIXELS:
        raise Rejected(f"hand out of view at the {moment}")
    seen = (
        counts[simulation.objects[0]]
        if target_only
        else max(counts[name] for name in simulation.objects)
    )
    if seen < OBJECT_PIXELS:
        raise Rejected(f"object out of view at the {moment}")
