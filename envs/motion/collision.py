"""Whether the robot is inside something."""

from dexbench.envs.simulation import Simulation

DEEPEST = 0.005
"""How far in m the robot may be inside something: contacts are soft."""


def stuck(simulation: Simulation) -> bool:
    """Return whether the robot is more than 5 mm inside itself or something else."""
    contact = simulation.data.contact
    of_robot = simulation.robot_geoms[contact.geom].any(axis=1)
    return bool((of_robot & (contact.dist < -DEEPEST)).any())
