"""Registers the robot with robosuite: importing this module is all it takes.

Afterwards ``robosuite.make("Lift", robots="FrankaTMRAllegro")`` and RoboCasa's kitchens know it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.embodiment.arms_mjcf import arms_mjcf
from dexbench.envs.embodiment.base_mjcf import base_mjcf
from dexbench.envs.embodiment.hand_mjcf import hand_mjcf
from dexbench.envs.embodiment.robot import FINGERS, HAND, INIT_ARM, INIT_LEFT_ARM, OPEN_HAND

from .robosuite_patches import import_robosuite

import_robosuite()

from robosuite.models.bases import MobileBaseModel, register_base  # noqa: E402
from robosuite.models.grippers import register_gripper  # noqa: E402
from robosuite.models.grippers.gripper_model import GripperModel  # noqa: E402
from robosuite.models.robots.manipulators.manipulator_model import ManipulatorModel  # noqa: E402
from robosuite.robots import register_robot_class  # noqa: E402


@contextmanager
def _file(xml: str) -> Iterator[str]:
    """Yield a file of a part's MJCF, for as long as robosuite reads it."""
    with tempfile.TemporaryDirectory(prefix="dexbench-") as folder:
        path = Path(folder) / "part.xml"
        path.write_text(xml, encoding="utf-8")
        yield str(path)


class _AllegroHand(GripperModel):  # type: ignore[misc]  # robosuite has no types
    """A 16-joint Allegro hand; actions are joint targets, scaled to [-1, 1] by robosuite."""

    side = "right"

    def __init__(self, idn: int | str = 0):
        with _file(hand_mjcf(self.side)) as path:
            super().__init__(path, idn=idn)

    def format_action(self, action: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pass one value in [-1, 1] per joint through, limited."""
        return np.clip(action, -1, 1)

    @property
    def init_qpos(self) -> NDArray[np.float64]:
        """Joint angles (16,) at reset, in rad: open, thumb opposed."""
        return OPEN_HAND.copy()

    @property
    def dof(self) -> int:
        """16: four joints on each of four fingers."""
        return 16

    @property
    def _important_geoms(self) -> dict[str, list[str]]:
        links = {f: [f"{link.body}_collision" for link in HAND[f][2:]] for f in FINGERS}
        fingers = [name for f in FINGERS if f != "thumb" for name in links[f]]
        return {
            "left_finger": links["thumb"],
            "left_fingerpad": links["thumb"],
            "right_finger": fingers,
            "right_fingerpad": fingers,
        }


@register_gripper
class AllegroRight(_AllegroHand):
    """The right Allegro hand."""

    side = "right"


@register_gripper
class AllegroLeft(_AllegroHand):
    """The left Allegro hand, the right one mirrored."""

    side = "left"


@register_base
class TMRBase(MobileBaseModel):  # type: ignore[misc]  # robosuite has no types
    """The wheeled base: planar joints named as RoboCasa's kitchens expect them."""

    def __init__(self, idn: int | str = 0):
        with _file(base_mjcf()) as path:
            super().__init__(path, idn=idn)

    @property
    def top_offset(self) -> NDArray[np.float64]:
        """The arms' frame is the base frame."""
        return np.zeros(3)

    @property
    def horizontal_radius(self) -> float:
        """Radius in m of the circle around the base."""
        return 0.5


@register_robot_class("WheeledRobot")
class FrankaTMRAllegro(ManipulatorModel):  # type: ignore[misc]  # robosuite has no types
    """Two Franka arms on the TMR torso, an Allegro hand on each (paper App. C.2)."""

    arms = ["right", "left"]

    def __init__(self, idn: int | str = 0):
        with _file(arms_mjcf(asset_root() / "robots" / "panda")) as path:
            super().__init__(path, idn=idn)

    @property
    def default_base(self) -> str:
        """Name of the registered base."""
        return "TMRBase"

    @property
    def default_gripper(self) -> dict[str, str]:
        """Names of the registered hands."""
        return {"right": "AllegroRight", "left": "AllegroLeft"}

    @property
    def default_controller_config(self) -> dict[str, str]:
        """Stock controllers of the arms."""
        return {"right": "osc_pose", "left": "osc_pose"}

    @property
    def init_qpos(self) -> NDArray[np.float64]:
        """Joint angles (14,) at reset, right arm then left, in rad."""
        return np.concatenate([INIT_ARM, INIT_LEFT_ARM])

    @property
    def base_xpos_offset(self) -> dict[str, Any]:
        """Base position in m relative to robosuite's arenas."""
        return {
            "bins": (-0.7, -0.1, 0),
            "empty": (-0.6, 0, 0),
            "table": lambda table_length: (-0.5 - table_length / 2, 0, 0),
        }

    @property
    def top_offset(self) -> NDArray[np.float64]:
        """Top of the robot above its base, in m."""
        return np.array((0, 0, 1.0))

    @property
    def _horizontal_radius(self) -> float:
        return 0.5

    @property
    def arm_type(self) -> str:
        """Two arms."""
        return "bimanual"

    @property
    def _eef_name(self) -> dict[str, str]:
        return {"right": "right_hand", "left": "left_hand"}
