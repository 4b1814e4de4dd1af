"""The scripted expert: drives the simulation through grasp, lift and carry, recording its targets.

It plays by the agents' rules: one vector of 23 joint targets every 0.1 s.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.keypoints import ARM_JOINTS, HAND_JOINTS, WRIST
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.envs.simulation import Simulation

from .grasp import GraspPlan, grasps
from .ik import ArmIK

ARM_STEP, HAND_STEP = 0.10, 0.25
"""Largest change of an arm and a hand target in one control step, in rad."""
TRIES = 6
"""Grasps that are tried on an object before it is given up."""
LIFT, LIFTED = 0.08, 0.05
"""How far a tried grasp is raised, and how far the object must come along, in m."""


class ScriptedExpert:
    """Plays motions in a simulation and keeps what it commanded.

    Args:
        simulation: The scene; it is advanced in place.
        observe: Called after every control step, such as a recorder of frames.
    """

    def __init__(self, simulation: Simulation, observe: Callable[[], None] | None = None):
        self.simulation = simulation
        self.targets: list[NDArray[np.float32]] = []
        """Targets (23,) float32 commanded so far."""
        self._observe = observe

    def command(self, target: NDArray[Any]) -> None:
        """Command one control step."""
        # float32 is what agents send, so a recorded trial replays bit for bit.
        row = np.clip(target.astype(np.float32), LOWEST, HIGHEST)
        self.targets.append(row)
        self.simulation.step(row)
        if self._observe is not None:
            self._observe()

    def move(self, arm: NDArray[np.float64], hand: NDArray[np.float64], least: int = 1) -> None:
        """Ramp the targets to arm (7,) and hand (16,) joints at bounded speed, in rad."""
        goal = np.concatenate([arm, hand])
        start = self.simulation.joint_targets
        delta = np.abs(goal - start)
        steps = max(
            least,
            int(np.ceil((delta[ARM_JOINTS] / ARM_STEP).max())),
            int(np.ceil((delta[HAND_JOINTS] / HAND_STEP).max())),
        )
        for i in range(1, steps + 1):
            self.command(start + (goal - start) * i / steps)

    def follow(self, rows: NDArray[np.float64], hand: NDArray[np.float64]) -> None:
        """Move through arm rows (n, 7) with the hand at (16,) joints."""
        for row in rows:
            self.move(row, hand)

    def hold(self, steps: int) -> None:
        """Repeat the last target."""
        for _ in range(steps):
            self.command(self.simulation.joint_targets)

    def grasp(self, grasp: GraspPlan) -> None:
        """Approach from wherever the hand is, then close."""
        self.move(grasp.standoff, grasp.open_hand)
        self.follow(grasp.approach, grasp.open_hand)
        self.hold(2)
        self.close(grasp)

    def close(self, grasp: GraspPlan) -> None:
        """Close the fingers on the object and let the contact settle."""
        self.move(self.simulation.joint_targets[ARM_JOINTS], grasp.closed_hand, least=6)
        self.hold(3)

    def carry(self, wrist: NDArray[np.float64], grasp: GraspPlan) -> bool:
        """Take the wrist in a straight line to a position (3,) in the base frame, the grip kept.

        Returns:
            Whether the arm can go there; if not, nothing is commanded.
        """
        arm = self.simulation.joint_targets[ARM_JOINTS]
        rows = straight(
            ArmIK(self.simulation), self.simulation.keypoints[WRIST], wrist, grasp.turn, arm
        )
        if rows is None:
            return False
        self.follow(rows, self.simulation.joint_targets[HAND_JOINTS])
        return True


def straight(
    ik: ArmIK,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    turn: NDArray[np.float64],
    arm: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Arm joints (8, 7) that take the wrist straight from ``start`` to ``end``, both (3,) in m.

    Args:
        ik: Of the scene.
        start: Where the wrist is, in the base frame.
        end: Where it goes.
        turn: Wrist rotation (3, 3) that it keeps.
        arm: Joints (7,) in rad at the start.

    Returns:
        None if the arm cannot go there.
    """
    return ik.line(start + (end - start) * np.linspace(0, 1, 9)[1:, None], turn, arm)


def find_grasp(
    simulation: Simulation,
    name: str,
    rng: np.random.Generator,
    rise: float = 0.12,
    farthest: float = np.inf,
) -> GraspPlan | None:
    """Return the first grasp of an object that lifts it when tried from the present state.

    Args:
        simulation: The scene, the object at rest and the hand clear of it.
        name: Body name of the object.
        rng: As in :func:`dexbench.envs.motion.grasp.grasps`.
        rise: Length in m of the straight approach.
        farthest: Largest distance in m between wrist and object in the grasp.
    """
    state, place = simulation.get_state(), simulation.object_position(name)
    plans = grasps(simulation, name, rng, rise)
    near = (plan for plan in plans if np.linalg.norm(plan.wrist - place) < farthest)
    for plan in islice(near, TRIES):
        expert = ScriptedExpert(simulation)
        expert.grasp(plan)
        lifted = expert.carry(plan.wrist + [0, 0, LIFT], plan) and (
            simulation.object_position(name)[2] - place[2] > LIFTED
            and simulation.hand_touches(name)
        )
        simulation.set_state(state)
        if lifted:
            return plan
    return None
