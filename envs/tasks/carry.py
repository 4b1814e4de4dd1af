"""Carry: set the object in the hand down where the goal image shows it.

* Start: as in place, the object in the hand, lifted.
* Goal: the object rests on the counter, the hand is open and back where it began. The goal picture
  is drawn without the robot.
* Criterion: the object within 5 cm of its goal. Letting go is not asked.
* Expert: carries the object over and down, opens the hand and draws it back.
* Rejected: what does not come to rest, or cannot be let go.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS
from dexbench.envs.embodiment.robot import OPEN_HAND
from dexbench.envs.motion.expert import ScriptedExpert
from dexbench.envs.motion.grasp import palm_of
from dexbench.envs.simulation import Simulation

from .base import Rejected
from .place import Place, lift_and_aim
from .push import robot_returned

GAP = (0.0, 0.004)
"""Range of the height above the counter at which the object is let go, in m."""
BACK, UP = 0.08, 0.04
"""How far the open hand is drawn back from the palm's face, and up, in m."""
ROLLING = 0.002
"""Farthest that the object may move in the last half second, in m."""


class Carry(Place):
    """Object within 5 cm of its position in the goal."""

    name = "carry"
    threshold = 0.05
    goal_shows_robot = False
    needs_foresight = True

    def stage(
        self, simulation: Simulation, target: str, rng: np.random.Generator
    ) -> Callable[[ScriptedExpert], None]:
        """Lift the object; the expert carries it over and down, and lets it go."""
        plan, over, down = lift_and_aim(simulation, target, rng, GAP)
        back = down - BACK * palm_of(plan.turn)[:, 0] + [0, 0, UP]

        def solve(expert: ScriptedExpert) -> None:
            if not (expert.carry(over, plan) and expert.carry(down, plan)):
                raise Rejected("no reachable goal")
            arm = expert.simulation.joint_targets[ARM_JOINTS]
            expert.move(arm, plan.open_hand, least=4)
            if not expert.carry(back, plan):
                raise Rejected("no reachable goal")
            released = expert.simulation.object_position(target)
            expert.hold(5)
            moved = np.linalg.norm(expert.simulation.object_position(target) - released)
            if expert.simulation.hand_touches(target) or moved > ROLLING:
                raise Rejected("the object is not released, or rolls on")

        return solve

    def goal_state(self, simulation: Simulation, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the state with the robot back where it began, the hand open."""
        return robot_returned(simulation, start, OPEN_HAND)
