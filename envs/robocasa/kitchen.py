"""RoboCasa kitchens of generated assets, built from a recipe into one MJCF text.

Importing this module imports robosuite and RoboCasa, with the asset root set, the missing robosuite
features added and the robot registered. Running a built scene needs none of them.
"""

from copy import deepcopy
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.scenes import objects
from dexbench.envs.scenes.fixtures import add_fixtures
from dexbench.envs.scenes.layouts import layout_config
from dexbench.envs.scenes.recipe import Recipe, base_position, check_recipe, object_pose
from dexbench.envs.scenes.styles import STYLES

from . import robosuite_patches as compat
from .finish import finish
from .patches import assets_from, import_robocasa

import_robocasa()

from robocasa.environments.kitchen.kitchen import Kitchen  # noqa: E402
from robocasa.models.objects.objects import MJCFObject  # noqa: E402

_BASE_YAW = np.pi / 2
"""World direction of the base frame's x, in rad: towards the counter, along RoboCasa's y."""


class DexKitchen(Kitchen):  # type: ignore[misc]  # RoboCasa has no types
    """RoboCasa's kitchen with everything fixed by a recipe.

    Fixtures, styles and arena are made by RoboCasa's own code. What differs: the objects and the
    robot stand where the recipe says, and the settling after a reset leaves the robot alone
    (RoboCasa plays an all-zero action, which drives absolute joint controllers to zero).

    Args:
        recipe: See :mod:`dexbench.envs.scenes.recipe`.
        robots: Name of a registered robot.
        kwargs: Further arguments of RoboCasa's ``Kitchen``.

    Raises:
        ValueError: If the recipe names something that does not exist.
    """

    def __init__(self, recipe: Recipe, robots: str = "FrankaTMRAllegro", **kwargs: Any):
        self._check(recipe)
        self.recipe = deepcopy(recipe)
        self.base_pos = base_position()
        """World position of the base frame, in m."""
        self.base_yaw = _BASE_YAW
        """World direction of the base frame's x, in rad."""
        self._settling: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._is_settling = False
        options: dict[str, Any] = {
            "has_offscreen_renderer": False,
            "use_camera_obs": False,
            "renderer": "mujoco",
            "init_robot_base_ref": "counter_main_group",
            "robot_spawn_deviation_pos_x": 0.0,
            "robot_spawn_deviation_pos_y": 0.0,
            "seed": 0,
        }
        super().__init__(robots=robots, layout_and_style_ids=[[{}, {}]], **(options | kwargs))

    @staticmethod
    def _check(recipe: Recipe) -> None:
        check_recipe(recipe)

    def _setup_model(self) -> None:
        # RoboCasa renames the fixtures inside the dictionaries it is given: fresh ones each time.
        layout, style, surfaces = (self.recipe[key] for key in ("layout", "style", "surfaces"))
        cabinet = {"cabinet": {"default": [*STYLES[style].cabinet]}}
        self.layout_and_style_ids = [[layout_config(layout, style, surfaces), cabinet]]
        with assets_from(asset_root()):
            super()._setup_model()
        add_fixtures(
            self.model.asset,
            self.model.worldbody,
            layout,
            style,
            surfaces,
            str(asset_root()),
        )

    def _create_objects(self) -> None:
        self.objects: dict[str, MJCFObject] = {}
        self.object_cfgs: list[dict[str, Any]] = []
        for entry in self.recipe["objects"]:
            instance = objects.INSTANCES[entry["instance"]]
            model = MJCFObject(
                name=entry["name"],
                mjcf_path=str(asset_root() / instance.path),
                solref=objects.SOLREF,
                solimp=objects.SOLIMP,
                friction=objects.FRICTION,
            )
            pos, quat = object_pose(entry, model.bottom_offset[2])
            model.get_obj().set("pos", " ".join(f"{value:.9g}" for value in pos))
            model.get_obj().set("quat", " ".join(f"{value:.9g}" for value in quat))
            self.objects[model.name] = model
            self.model.merge_objects([model])

    def _load_model(self, attempt_num: int = 1) -> None:
        super()._load_model(attempt_num)
        self._stand_robot()

    def _stand_robot(self) -> None:
        """Tell RoboCasa where the robot stands."""
        pos, turn = np.array(self.base_pos), np.array([0.0, 0.0, self.base_yaw])
        self.init_robot_base_pos_anchor, self.init_robot_base_ori_anchor = pos, turn
        # A robot position that is given, as here, is not searched for around the counter.
        self._ep_meta |= {"init_robot_base_pos": pos, "init_robot_base_ori": turn}
        robot = self.robots[0].robot_model
        # RoboCasa moves the robot here from (10, 10) by its base joints.
        robot.set_base_xpos([10.0, 10.0, pos[2]])
        robot.set_base_ori(turn)

    def _robot_indices(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return indices of the robot's entries in qpos and qvel."""
        model = self.sim.model._model
        owned = [
            i
            for i in range(model.njnt)
            if model.joint(i).name.startswith(("robot0_", "gripper0_", "mobilebase0_"))
        ]
        return model.jnt_qposadr[owned], model.jnt_dofadr[owned]

    def _pre_action(self, action: NDArray[np.float64], policy_step: bool = False) -> None:
        if not self._is_settling:
            super()._pre_action(action, policy_step)
            return
        qpos, qvel = self._robot_indices()
        if self._settling is None:
            self._settling = (self.sim.data.qpos[qpos].copy(), self.sim.data.ctrl.copy())
        self.sim.data.qpos[qpos] = self._settling[0]
        self.sim.data.qvel[qvel] = 0
        self.sim.data.ctrl[:] = self._settling[1]

    def _reset_internal(self) -> None:
        self._settling, self._is_settling = None, True
        try:
            super()._reset_internal()
        finally:
            self._is_settling = False
        if self._settling is not None:
            qpos, qvel = self._robot_indices()
            self.sim.data.qpos[qpos] = self._settling[0]
            self.sim.data.qvel[qvel] = 0
            self.sim.forward()

    def scene_xml(self) -> str:
        """Return the MJCF that RoboCasa makes of the recipe, with the robot in its place."""
        self._load_model()
        robot = self.robots[0].robot_model
        robot.set_base_xpos(self.base_pos)
        # Not `edit_model_xml`, which looks for files by the names of the folders they are in.
        xml: str = self.model.get_xml()
        robot.set_base_xpos([10.0, 10.0, self.base_pos[2]])
        return xml


def kitchen_xml(recipe: Recipe) -> str:
    """Return the MJCF of a generated kitchen; the same recipe gives the same text.

    Asset files are absolute paths. The robot stands in its place with its base joints at zero, and
    the objects lie at their recipe's poses.

    Raises:
        ValueError: The recipe names something that does not exist.
    """
    with compat.quiet():
        kitchen = DexKitchen(recipe)
        root = ElementTree.fromstring(kitchen.scene_xml())
    finish(root, recipe)
    return ElementTree.tostring(root, encoding="unicode")
