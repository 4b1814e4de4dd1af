"""Builds scenes from RoboCasa's own assets: its layouts, its fixtures, its objects.

RoboCasa's placement puts the objects on a counter. The robot then stands before that counter as it
does in generated kitchens, so that protocol, camera and scripted expert are the same.
"""

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import mujoco

from dexbench.envs.assets.download import missing, robocasa_root
from dexbench.envs.scenes import objects
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT
from dexbench.envs.scenes.recipe import BASE_HEIGHT, COUNTER_FRONT, OBJECT_Y, OTHER_Y, Recipe
from dexbench.utils.seeding import rng

from . import robosuite_patches as compat
from .finish import finish
from .kitchen import DexKitchen
from .patches import assets_from, import_robocasa
from .recipe import NoRoom, check_robocasa_recipe, object_arguments, object_file

import_robocasa()

from robocasa.environments.kitchen.kitchen import Kitchen  # noqa: E402
from robocasa.models.fixtures import Counter, FixtureType, fixture_is_type  # noqa: E402
from robocasa.models.objects.objects import MJCFObject  # noqa: E402
from robocasa.utils.object_utils import get_pos_after_rel_offset  # noqa: E402

ROOM = (0.7, 0.4)
"""Least width and depth, in m, of the free counter that robot and objects need."""
HEIGHTS = (0.85, 1.0)
"""Heights, in m, of counters that the robot works at; its base stands higher or lower with them."""
BANDS = (0.23, 0.29)
"""Depths, in m, of the strips of counter that hold the target and the other objects."""
MARGIN = 0.08
"""Distance, in m, of those strips from the counter's front."""
ATTEMPTS = 3
"""How often RoboCasa may start a kitchen's placement anew."""


class RoboCasaKitchen(DexKitchen):
    """A kitchen of RoboCasa's own assets, fixed by a recipe.

    Args:
        recipe: See :mod:`dexbench.envs.robocasa.recipe`.
        robots: Name of a registered robot.
        kwargs: Further arguments of RoboCasa's ``Kitchen``.

    Raises:
        UserError: The recipe names what is not in the user's RoboCasa assets.
        NoRoom: At the first reset: no counter has room for robot and objects.
    """

    def __init__(self, recipe: Recipe, robots: str = "FrankaTMRAllegro", **kwargs: Any):
        super().__init__(recipe, robots, **({"init_robot_base_ref": None} | kwargs))

    @staticmethod
    def _check(recipe: Recipe) -> None:
        check_robocasa_recipe(recipe)

    def _load_model(self, attempt_num: int = 1) -> None:
        if attempt_num == 1:
            self.rng = rng("robocasa kitchen", self.recipe["seed"])
            self.init_robot_base_ref = None
        if attempt_num > ATTEMPTS:
            raise NoRoom("RoboCasa found no place for fixtures and objects")
        super()._load_model(attempt_num)
        for name, (pos, quat, _) in self.object_placements.items():
            body = self.model.worldbody.find(f"./body[@name='{name}_main']")
            body.set("pos", " ".join(f"{value:.9g}" for value in pos))
            body.set("quat", " ".join(f"{value:.9g}" for value in quat))

    def _setup_model(self) -> None:
        self.layout_and_style_ids = [[self.recipe["layout"], self.recipe["style"]]]
        with assets_from(robocasa_root()):
            Kitchen._setup_model(self)

    def _setup_kitchen_references(self) -> None:
        """Choose the counter, and stand the robot before it."""
        super()._setup_kitchen_references()
        places = [
            (counter, region)
            for counter in self.fixtures.values()
            if _suits(counter)
            for region in counter.get_reset_regions(self, top_size=ROOM).values()
        ]
        if not places:
            raise NoRoom(f"layout {self.recipe['layout']} has no counter with room")
        counter, self._region = places[int(self.rng.integers(len(places)))]
        # RoboCasa places the robot by this before DexKitchen does.
        self._counter = self.init_robot_base_ref = counter
        # The region is the counter's top, which hangs over its body.
        front = self._region["offset"][1] - self._region["size"][1] / 2
        # The target's strip is centred before the right arm, not before the robot's middle.
        beside = self._region["offset"][0] + sum(OBJECT_Y) / 2
        spot = get_pos_after_rel_offset(counter, [beside, front - COUNTER_FRONT, 0.0])
        height = _top(counter) - COUNTER_HEIGHT + BASE_HEIGHT
        self.base_pos = (float(spot[0]), float(spot[1]), float(height))
        self.base_yaw = float(counter.rot) + math.pi / 2

    def _create_objects(self) -> None:
        self.objects: dict[str, MJCFObject] = {}
        self.object_cfgs: list[dict[str, Any]] = []
        for index, entry in enumerate(self.recipe["objects"]):
            model = MJCFObject(
                name=entry["name"],
                mjcf_path=str(object_file(entry["instance"])),
                **object_arguments(entry["instance"])
                | {
                    "solref": objects.SOLREF,
                    "solimp": objects.SOLIMP,
                    "friction": objects.FRICTION,
                },
            )
            self.objects[model.name] = model
            self.model.merge_objects([model])
            low, high = OTHER_Y if index else OBJECT_Y
            self.object_cfgs.append(
                {
                    "name": entry["name"],
                    "type": "object",
                    "reset_region": self._region,
                    "placement": {
                        "fixture": self._counter,
                        "size": (high - low, BANDS[index > 0]),
                        "pos": (0.0, -1.0),
                        "offset": (0.0, MARGIN, 0.001),
                        "margin": 0.0,
                        "rotation": (-math.pi, math.pi),
                    },
                }
            )

    def scene_xml(self) -> str:
        """Return the MJCF that RoboCasa makes of the recipe, with the robot in its place."""
        with assets_from(robocasa_root()):
            return super().scene_xml()


def kitchen_xml(recipe: Recipe) -> str:
    """Return the MJCF of a kitchen of RoboCasa's assets; the same recipe gives the same text.

    Asset files are absolute paths. The robot stands in its place with its base joints at zero, and
    the objects lie where RoboCasa put them.

    Raises:
        UserError: The recipe names what is not in the user's RoboCasa assets.
        NoRoom: No counter has room for robot and objects.
    """
    with compat.quiet():
        root = ElementTree.fromstring(RoboCasaKitchen(recipe).scene_xml())
    finish(root, recipe)
    _drop_dangling(root)
    _require_files(root)
    xml = ElementTree.tostring(root, encoding="unicode")
    _require_floor(mujoco.MjModel.from_xml_string(xml))
    return xml


def _suits(fixture: Any) -> bool:
    """Return whether a fixture is a straight counter along a wall, of a usual height."""
    return (
        isinstance(fixture, Counter)
        and fixture_is_type(fixture, FixtureType.COUNTER_NON_CORNER)
        and not fixture_is_type(fixture, FixtureType.ISLAND)
        and not fixture_is_type(fixture, FixtureType.DINING_COUNTER)
        and HEIGHTS[0] <= _top(fixture) <= HEIGHTS[1]
    )


def _top(counter: Any) -> float:
    """Height of a counter's top above the floor, in m."""
    return float(counter.pos[2] + counter.size[2] / 2)


def _drop_dangling(root: Element) -> None:
    """Remove what refers to the joints and sites that `finish` removed from fixtures."""
    kept = {
        tag: {item.get("name") for name in names for item in root.iter(name)}
        for tag, names in (("joint", ("joint", "freejoint")), ("site", ("site",)))
    }
    for section in ("actuator", "equality", "sensor", "tendon"):
        for parent in root.findall(section):
            for item in list(parent):
                for part in item.iter():
                    for key, value in part.attrib.items():
                        of = key.rstrip("12") if section != "sensor" else key
                        if of in kept and value not in kept[of] and item in list(parent):
                            parent.remove(item)


def _require_files(root: Element) -> None:
    """Raise UserError for a texture or mesh that the download lacks; MuJoCo would be cryptic."""
    assets = robocasa_root()
    for item in root.iter():
        for key, value in item.attrib.items():
            path = Path(value)
            if key.startswith("file") and path.is_relative_to(assets) and not path.is_file():
                raise missing(assets, str(path.relative_to(assets)))


def _require_floor(model: mujoco.MjModel) -> None:
    """Raise NoRoom where the robot's base stands in something."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for contact in data.contact:
        names = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
        base = [name.startswith("mobilebase0_") for name in names]
        if contact.dist < 0 and any(base) and not all(base):
            raise NoRoom(f"the robot's base would stand in {names[base.index(False)]}")
