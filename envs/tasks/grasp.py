"""Grasp: close the hand on the object as the goal image shows it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import WRIST
from dexbench.envs.motion.expert import ScriptedExpert, find_grasp
from dexbench.envs.motion.grasp import GraspPlan
from dexbench.envs.motion.ik import ArmIK
from dexbench.envs.simulation import Simulation
from dexbench.envs.trial import Trial

from .base import DRIFT, Rejected, Task
from .criterion import Goal, Outcome

NEAREST, FARTHEST = 0.21, 0.35
"""Range of the distance between wrist and object at the start, in m."""
RISE = (0.10, 0.16)
"""Range of the length of the straight approach, in m."""
GOAL_DISTANCE = 0.19
"""Largest distance between wrist and object in the goal, in m: clear of the threshold."""
SHIFT = 0.005
"""How far closing fingers may push an object from the wrist, in m."""


def stand_near(simulation: Simulation, plan: GraspPlan, rng: np.random.Generator) -> None:
    """Put the hand, open for a grasp, near its standoff.

    Near and not there, so that no fixed motion makes every grasp.

    Raises:
        Rejected: The arm cannot go there.
    """
    ik = ArmIK(simulation)  # first: its last digits hang on where the robot is when it is made
    simulation.set_joints(np.concatenate([plan.standoff, plan.open_hand]))
    wrist = simulation.keypoints[WRIST] + rng.uniform([-0.04, -0.04, -0.01], [0.04, 0.04, 0.04])
    arm = ik.solve(wrist, plan.turn, plan.standoff)
    if arm is None:
        raise Rejected("no reachable start")
    simulation.set_joints(np.concatenate([arm, plan.open_hand]))


def stand_at_grasp(
    simulation: Simulation,
    target: str,
    rng: np.random.Generator,
    rise: float,
    farthest: float = np.inf,
) -> GraspPlan:
    """Stand with open hand near the standoff of a grasp that lifts the object; return the grasp.

    Args:
        simulation: The scene, the object at rest.
        target: Body name of the object.
        rng: Draws grasp and start.
        rise: Length in m of the straight approach.
        farthest: Largest distance in m between wrist and object in the grasp.

    Raises:
        Rejected: There is none, or the hand touches an object.
    """
    plan = find_grasp(simulation, target, rng, rise, farthest)
    if plan is None:
        raise Rejected("no grasp lifts the object")
    place = simulation.object_position(target)
    stand_near(simulation, plan, rng)
    ScriptedExpert(simulation).hold(5)
    if np.linalg.norm(simulation.object_position(target) - place) > DRIFT:
        raise Rejected("the hand touches an object at the start")
    return plan


class Grasp(Task):
    """Wrist within 20 cm of the object, and hand and object in contact (paper App. C.4)."""

    name = "grasp"
    threshold = 0.20
    needs_touch = True

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return the distance from wrist to object, and contact, decide."""
        gap = simulation.keypoints[WRIST] - simulation.object_position(target)
        distance = float(np.linalg.norm(gap))
        contact = simulation.hand_touches(target)
        return Outcome(contact and distance < self.threshold, distance, contact)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Stand with open hand near the standoff of a grasp; the expert grasps."""
        farthest = GOAL_DISTANCE - SHIFT
        plan = stand_at_grasp(simulation, target, rng, rng.uniform(*RISE), farthest)

        def solve(expert: ScriptedExpert) -> None:
            expert.grasp(plan)

        return solve

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Check that the wrist is 21-35 cm from the object and the hand touches nothing."""
        if not NEAREST <= outcome.distance <= FARTHEST:
            raise Rejected("start too near the object or too far")
        if simulation.hand_touches():
            raise Rejected("the hand touches an object at the start")

    def check(self, simulation: Simulation, trial: Trial, before: NDArray[np.float64]) -> None:
        """Check that the goal has the wrist near the object, and what all tasks check."""
        simulation.set_state(trial.goal_state)
        goal = Goal.seen(simulation, trial.target)
        if self.evaluate(simulation, trial.target, goal).distance > GOAL_DISTANCE:
            raise Rejected("the wrist is far from the object in the goal")
        super().check(simulation, trial, before)
