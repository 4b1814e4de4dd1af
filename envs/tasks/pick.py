"""Pick: lift the object in the hand to where the goal image shows it.

* Start: as in grasp, the open hand near an object, the wrist 21-35 cm from it, no contact.
* Goal: the object in the hand, at least 12 cm above where it stood.
* Criterion: hand and object in contact, the object within 7 cm of its goal.
* Expert: grasps, lifts and holds.
* Rejected: what no grasp lifts, or slips in the lifted hand.
"""

from collections.abc import Callable

import numpy as np

from dexbench.envs.embodiment.keypoints import WRIST
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.simulation import Simulation

from .base import Rejected, Task
from .criterion import Goal, Outcome
from .grasp import FARTHEST, NEAREST, RISE, stand_at_grasp

LEAST = 0.12
"""Least height of the goal above the start, in m."""
LIFTS = (0.14, 0.22)
"""Range of how far the wrist is lifted, in m."""
ASIDE = 0.08
"""How far aside the wrist moves at most while it is lifted, in m, along either axis."""


class Pick(Task):
    """Object within 7 cm of its position in the goal, and hand and object in contact."""

    name = "pick"
    threshold = 0.07
    needs_foresight = True
    needs_touch = True

    def evaluate(self, simulation: Simulation, target: str, goal: Goal) -> Outcome:
        """Return the object's distance from its place in the goal, and contact, decide."""
        distance = float(np.linalg.norm(simulation.object_position(target) - goal.object_position))
        contact = simulation.hand_touches(target)
        return Outcome(contact and distance < self.threshold, distance, contact)

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Stand as grasp does; the expert grasps and lifts."""
        plan = stand_at_grasp(simulation, target, rng, rng.uniform(*RISE))
        aside = rng.uniform(-ASIDE, ASIDE, 2)
        lift = np.array([*aside, rng.uniform(*LIFTS)])
        height = simulation.object_position(target)[2]

        def solve(expert: ScriptedExpert) -> None:
            expert.grasp(plan)
            if not expert.carry(plan.wrist + lift, plan):
                raise Rejected("no reachable lift")
            expert.hold(5)
            if expert.simulation.object_position(target)[2] < height + LEAST:
                raise Rejected("the object slips from the lifted hand")

        return solve

    def check_start(self, outcome: Outcome, simulation: Simulation, target: str) -> None:
        """Check that the goal is 12 cm away and grasp's premise holds."""
        wrist = simulation.keypoints[WRIST] - simulation.object_position(target)
        if outcome.distance < LEAST:
            raise Rejected("start too near the goal")
        if not NEAREST <= np.linalg.norm(wrist) <= FARTHEST:
            raise Rejected("start too near the object or too far")
        if simulation.hand_touches():
            raise Rejected("the hand touches an object at the start")
