"""RoboCasa's own tasks with dexbench's robot, also where RoboCasa's assets are not there.

Importing this module makes both known to ``robosuite.make``::

    import robosuite
    from dexbench.envs.robocasa.tasks import generated_kitchen

    env = robosuite.make("OpenCabinet", robots="FrankaTMRAllegro", **generated_kitchen())

With RoboCasa's assets, leave ``generated_kitchen()`` out or give ``layout_ids`` and ``style_ids``.
"""

from typing import Any

from dexbench.envs.scenes.layouts import LAYOUTS, layout_config
from dexbench.envs.scenes.styles import STYLES, SURFACES
from dexbench.utils.errors import UserError

from .patches import import_robocasa

import_robocasa()

_LOWER = 0.12
"""By how much, in m, wall units hang lower: RoboCasa's tasks want to reach their lowest shelf."""


def generated_kitchen(layout: str = "straight", style: str = "oak_marble") -> dict[str, Any]:
    """Return arguments of ``robosuite.make`` that give RoboCasa's tasks a generated kitchen.

    It has counters, drawers and cabinets that open, and the objects of the generated pack. It has
    no appliances, so tasks that need a sink, a stove and so on need RoboCasa's assets.

    Args:
        layout: Key of :data:`dexbench.envs.scenes.layouts.LAYOUTS`.
        style: Key of :data:`dexbench.envs.scenes.styles.STYLES`.

    Raises:
        UserError: There is no such layout or style.
    """
    for kind, name, table in (("layout", layout, LAYOUTS), ("style", style, STYLES)):
        if name not in table:
            raise UserError(f"there is no {kind} {name!r}; choose one of {', '.join(table)}")
    look = STYLES[style]
    config = layout_config(layout, style, {name: getattr(look, name)[0] for name in SURFACES})
    for group in config.values():
        if "upper" in group:
            group["upper"] = [unit for unit in group["upper"] if _above(unit, group["counters"])]
        for unit in group.get("upper", ()):
            unit["pos"][2] -= _LOWER
    return {
        "layout_and_style_ids": [[config, {"cabinet": {"default": [*look.cabinet]}}]],
        # RoboCasa looks up a camera of the layout by its id for robosuite's default viewer.
        "renderer": "mujoco",
    }


def _above(unit: dict[str, Any], counters: list[dict[str, Any]]) -> bool:
    """Return whether a wall unit hangs over a counter.

    Where a sink is left out, there is a gap below.
    """
    return any(abs(unit["pos"][0] - each["pos"][0]) < each["size"][0] / 2 for each in counters)
