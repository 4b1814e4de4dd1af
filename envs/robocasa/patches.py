"""Imports RoboCasa: with the right assets, a robosuite it can use, and a few of its faults mended.

Nothing else of dexbench may import ``robocasa`` before :func:`import_robocasa` has run.
"""

import contextlib
import functools
import importlib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml

from dexbench.envs.assets.cache import asset_root
from dexbench.envs.assets.download import VARIABLE, missing, task_root
from dexbench.envs.scenes.recipe import BASE_HEIGHT, COUNTER_FRONT
from dexbench.utils.errors import UserError
from dexbench.utils.variables import variables

from . import robosuite_patches as compat

CATEGORIES: dict[str, dict[str, Any]] = {}
"""RoboCasa's object categories by name and registry, once it is imported."""

_OVERHANG = 0.05
"""How far, in m, the tops of RoboCasa's counters hang over their bodies."""


@functools.cache  # what is mended is mended once
def import_robocasa() -> ModuleType:
    """Import RoboCasa with its assets and the robosuite features it needs; return the package.

    RoboCasa reads its asset root while it is imported: the user's assets if there are any
    (:mod:`dexbench.envs.assets.download`), otherwise the ``generated`` pack, built if need be.
    RoboCasa's own tasks use that root; a recipe says itself which assets it is made of. The robot
    is registered too.

    RoboCasa becomes faster, repeatable and plain about missing assets: layout dictionaries are
    copied before they are changed, so that an environment can be reset; objects of which there is
    no file are not drawn; a missing file of a kitchen is a `UserError`.

    Raises:
        UserError: If RoboCasa was imported before with other assets than it would get here.
    """
    compat.apply()
    wanted = str(task_root() or asset_root())
    with variables({VARIABLE: wanted}), compat.quiet():  # child processes choose for themselves
        package = importlib.import_module("robocasa")
    if Path(package.models.assets_root) != Path(wanted):
        raise UserError(
            "robocasa was imported before dexbench.envs.robocasa.kitchen, with the assets in "
            f"{package.models.assets_root} instead of {wanted}; import "
            f"dexbench.envs.robocasa.kitchen first, or set {VARIABLE} before either"
        )
    _mend()
    return package


@contextlib.contextmanager
def assets_from(root: Path) -> Iterator[None]:
    """Let RoboCasa read kitchens from another asset root for a while."""
    import robocasa

    before = robocasa.models.assets_root
    robocasa.models.assets_root = str(root)
    try:
        yield
    finally:
        robocasa.models.assets_root = before


def _mend() -> None:
    """All that is changed in RoboCasa itself."""
    _speed_up_yaml()
    _copy_layouts()
    _forget_absent_objects()
    _name_missing_files()
    _place_robot()


def _speed_up_yaml() -> None:
    """Let RoboCasa read its fixture tables with libyaml; they are most of a build's time."""
    from robocasa.models.scenes import scene_utils

    def safe_load(stream: Any) -> Any:
        return yaml.CSafeLoader(stream).get_single_data()

    if hasattr(yaml, "CSafeLoader"):
        scene_utils.yaml = SimpleNamespace(safe_load=safe_load)


def _copy_layouts() -> None:
    """RoboCasa renames the fixtures inside a layout dictionary each time that it builds it."""
    from robocasa.models.scenes import kitchen_arena

    original = kitchen_arena.create_fixtures

    @functools.wraps(original)
    def create(layout_config: dict[str, Any], style_config: dict[str, Any], rng: Any) -> Any:
        return original(deepcopy(layout_config), style_config, rng=rng)

    kitchen_arena.create_fixtures = create


def _forget_absent_objects() -> None:
    """RoboCasa skips categories outside its registries, but fails on registered ones without files.

    Its message then is "Probabilities contain NaN".
    """
    from robocasa.models.objects.kitchen_object_utils import OBJ_CATEGORIES

    for name, registries in OBJ_CATEGORIES.items():
        CATEGORIES.setdefault(name, dict(registries))
    for registries in OBJ_CATEGORIES.values():
        for name in [key for key, category in registries.items() if not category.mjcf_paths]:
            del registries[name]


def _name_missing_files() -> None:
    """Turn a kitchen's FileNotFoundError into a line that says how to get the file."""
    import robocasa
    from robocasa.environments.kitchen.kitchen import Kitchen

    original = Kitchen._setup_model

    @functools.wraps(original)
    def setup(self: Any) -> None:
        try:
            original(self)
        except FileNotFoundError as error:
            root, path = Path(robocasa.models.assets_root), Path(str(error.filename))
            if not path.is_relative_to(root):
                raise
            raise missing(root, str(path.relative_to(root))) from error

    Kitchen._setup_model = setup


def _place_robot() -> None:
    """Where RoboCasa's own tasks put this robot, against 0.20 m before a counter's body."""
    from robocasa.utils import env_utils

    from . import robot as register  # noqa: F401

    back = COUNTER_FRONT + _OVERHANG - 0.20
    env_utils._ROBOT_POS_OFFSETS["FrankaTMRAllegro"] = [0.0, -back, BASE_HEIGHT]
