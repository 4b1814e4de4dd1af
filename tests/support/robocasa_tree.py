"""A small RoboCasa download, synthesised: what tests can hold RoboCasa's own assets to.

Textures, cabinets, counters and objects are the generated pack's, linked. Layouts 1 and 11 and
styles 1 and 11 are files of RoboCasa's format, without the appliances that only its download has. A
knife block stands for the download's fixtures, and tongs for the lightwheel objects.
"""

from pathlib import Path

import yaml

from dexbench.envs.assets import asset_root

BOX = """<mujoco><worldbody><body><body name="object">
<geom name="hull" type="box" pos="0 0 0" size="{half}" density="400" group="0"/>
<geom name="looks" type="box" pos="0 0 0" size="{half}" rgba="0.6 0.2 0.2 1" group="1" contype="0"
 conaffinity="0" mass="0"/>
<geom name="reg_bbox" type="box" pos="0 0 0" size="{half}" rgba="0 0 0 0" group="1" contype="0"
 conaffinity="0" mass="0"/>
</body></body></worldbody></mujoco>"""


def _row(front):
    """A main run of one counter with cabinets below and above, and a knife block on it."""
    return {
        "counters": [
            {
                "name": "counter",
                "type": "counter",
                "size": [2.6, 0.65, 0.92],
                "pos": [1.5, -0.325, 0.46],
            },
        ],
        "cabinets": [
            {
                "name": "base",
                "type": "stack",
                "levels": ["hinge_cabinet", "drawer"],
                "percentages": [0.75, 0.25],
                "size": [1.0, 0.6, 0.84],
                "pos": [1.5, -0.3, 0.47],
            },
            {
                "name": "wall_unit",
                "type": "hinge_cabinet",
                "size": [1.0, 0.4, 0.92],
                "pos": [1.5, -0.2, 1.85],
            },
        ],
        "accessories": [
            {
                "name": "knife_block",
                "type": "knife_block",
                "placement": {
                    "fixture": f"counter_{front}",
                    "size": [0.3, "obj"],
                    "pos": [1.0, 1.0],
                    "rotation": [0, 0],
                },
            },
        ],
    }


def _layout(turned):
    room = {
        "walls": [{"name": "wall", "type": "wall", "size": [2, 1.5, 0.02], "pos": [1.5, 0, 1.5]}],
        "floor": [{"name": "floor", "type": "floor", "size": [2, 2, 0.02], "pos": [1.5, -2, 0]}],
    }
    group = _row("main_group")
    if turned:
        group |= {"group_origin": [0, 0], "group_pos": [0, 0], "group_z_rot": 1.5707963}
    return {"room": room, "main_group": group}


STYLE = {
    "cabinet": {"default": ["gray", "slab", "handle_bar"]},
    "counter": "gray_base_marble_top",
    "floor": "wood",
    "wall": "red_bricks",
    "knife_block": "KnifeBlock008",
}


def synthesise(root: Path) -> Path:
    """Write the tree into the empty folder ``root``, and return it."""
    pack = asset_root()
    for name in ("arenas", "textures", "generative_textures"):
        (root / name).symlink_to(pack / name)
    for name in ("fixtures", "objects/objaverse"):
        (root / name).mkdir(parents=True)
        for path in (pack / name).iterdir():
            (root / name / path.name).symlink_to(path)
    for kind, content in (("layout", _layout), ("style", lambda _: STYLE)):
        for number, split in ((1, "test"), (11, "train")):
            path = root / f"scenes/kitchen_{kind}s/{split}/{kind}{number:03d}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content(number == 11)))
    registry = yaml.safe_load((pack / "fixtures/fixture_registry/knife_block.yaml").read_text())
    _box(root / registry["KnifeBlock008"]["xml"] / "model.xml", "0.06 0.08 0.1")
    for index in range(6):
        _box(
            root / f"objects/lightwheel/tongs/Tongs00{index}/model.xml",
            f"0.03 0.03 {0.05 + 0.002 * index}",
        )
    return root


def _box(path, half):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(BOX.format(half=half))
