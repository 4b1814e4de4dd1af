"""What a real robot has and the benchmark's has not: delay, friction, joints and cameras off true.

What is off by chance is drawn by a seed, the same in all trials of a robot, as in a lab.
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


@dataclass(frozen=True)
class Flaws:
    """How far a simulated robot is from the benchmark's."""

    latency: float = 0.0
    """Seconds from a command to its effect, and from a picture's shutter to the driver."""
    friction: float = 0.0
    """Dry friction of every joint, as a share of its motor's largest torque (87, 12, 0.7 N m)."""
    offset: float = 0.0
    """Standard deviation in rad of the joints' zeros: a joint is not where it is measured, nor goes
    where it is told."""
    jitter: float = 0.0
    """Standard deviation in rad of the camera's turn about each axis, drawn for every picture."""
    camera_turn: float = 0.0
    """How far in rad the camera is turned from where its calibration says, about a drawn axis."""
    camera_shift: float = 0.0
    """How far in m the camera is from where its calibration says, in a drawn direction."""
    seed: int = 0
    """Draws axes, directions and zeros."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < np.inf:
                raise UserError(f"{name} is {value}, expected a number from 0 on")

    def zeros(self) -> NDArray[np.float64]:
        """Return how far the 23 joints are measured from where they are, in rad."""
        return self.offset * rng("real", "offset", self.seed).standard_normal(N_JOINTS)

    def stiffen(self, simulation: Simulation) -> None:
        """Put the friction into a simulation's joints."""
        model = simulation.model
        strength = model.actuator_forcerange[:N_JOINTS, 1]
        model.dof_frictionloss[simulation.dofs] += self.friction * strength

    def displace(self, position: NDArray[np.float64], quat: NDArray[np.float64]) -> None:
        """Move a camera, in place, from where its calibration says to where it is.

        Args:
            position: Position (3,) in m.
            quat: Orientation (4,), (w, x, y, z).
        """
        stream = rng("real", "camera", self.seed)
        axis, direction = (v / np.linalg.norm(v) for v in stream.standard_normal((2, 3)))
        position += self.camera_shift * direction
        turn(quat, self.camera_turn * axis)


def turn(quat: NDArray[np.float64], by: NDArray[np.float64]) -> None:
    """Turn an orientation (4,) in place, about the axis (3,) that `by` is, by its length in rad."""
    mujoco.mju_quatIntegrate(quat, np.asarray(by, np.float64), 1.0)
