import hashlib
import json
import math
import os
import subprocess
import sys
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from dexbench.envs import objects
from dexbench.envs.recipe import (
    COUNTER_FRONT,
    GAP,
    LAYOUTS,
    OBJECT_X,
    OBJECT_Y,
    STYLES,
    check_recipe,
    draw_recipe,
)
from dexbench.envs.seeding import rng

ROBOT = ("robot0_", "gripper0_", "mobilebase0_")


@pytest.fixture(scope="module")
def kitchen():
    from dexbench.envs import kitchen

    return kitchen


@pytest.fixture(scope="module")
def recipe():
    return draw_recipe(rng("test", "kitchen"))


@pytest.fixture(scope="module")
def scene(kitchen, recipe):
    return kitchen.build_kitchen(recipe)


@pytest.fixture(scope="module")
def model(scene):
    return mujoco.MjModel.from_xml_string(scene.xml)


def in_base(scene, point):
    """A world point in the base frame."""
    inverse, result = np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, np.array(scene.base_quat))
    mujoco.mju_rotVecQuat(result, np.asarray(point) - scene.base_pos, inverse)
    return result


def test_recipe_is_json_and_a_function_of_its_stream():
    drawn = draw_recipe(rng("test", 1))
    assert json.loads(json.dumps(drawn)) == drawn
    assert draw_recipe(rng("test", 1)) == drawn
    assert draw_recipe(rng("test", 2)) != drawn


@pytest.mark.parametrize("split", ["train", "suite"])
def test_drawn_objects_are_apart_in_reach_and_of_their_split(split):
    layouts, styles = set(), set()
    for seed in range(200):
        drawn = draw_recipe(rng("test", split, seed), split)
        check_recipe(drawn)
        items = [objects.INSTANCES[entry["instance"]] for entry in drawn["objects"]]
        assert {item.split for item in items} == {split}
        assert len({item.category for item in items}) == 3
        circles = []
        for entry, item in zip(drawn["objects"], items, strict=True):
            x, y = entry["pos"]
            assert OBJECT_X[0] <= x <= OBJECT_X[1]
            assert OBJECT_Y[0] <= y <= OBJECT_Y[1]
            half = objects.CATEGORIES[item.category].footprint
            circles.append((x, y, math.hypot(half[0] * item.scale[0], half[1] * item.scale[1])))
        for i, (x, y, radius) in enumerate(circles):
            for other_x, other_y, other in circles[:i]:
                gap = math.hypot(x - other_x, y - other_y) - radius - other
                assert gap > GAP - 1e-3  # poses are rounded to 0.1 mm
        layouts.add(drawn["layout"])
        styles.add(drawn["style"])
    if split == "train":
        assert {STYLES[name][0] for name in styles} == {"train"}
        assert {LAYOUTS[name][0] for name in layouts} == {"train"}
    else:
        assert styles == set(STYLES)
        assert layouts == set(LAYOUTS)


def test_target_category_can_be_chosen():
    drawn = draw_recipe(rng("test", 3), "suite", target="lemon")
    assert drawn["objects"][0]["instance"].startswith("lemon_")
    with pytest.raises(ValueError, match="unknown category 'pan'"):
        draw_recipe(rng("test", 3), target="pan")


@pytest.mark.parametrize("key", ["layout", "style"])
def test_unknown_names_are_refused(kitchen, recipe, key):
    with pytest.raises(ValueError, match=f"recipe {key} 'space'"):
        kitchen.build_kitchen({**recipe, key: "space"})
    broken = [{**recipe["objects"][0], "instance": "can_9"}]
    with pytest.raises(ValueError, match="'can_9' is unknown"):
        kitchen.build_kitchen({**recipe, "objects": broken})


def test_building_is_a_function_of_the_recipe(kitchen, recipe, scene):
    np.random.seed(3)  # noqa: NPY002 - RoboCasa draws colours from the global generator
    before = json.dumps(recipe)
    assert kitchen.build_kitchen(recipe).xml == scene.xml
    assert json.dumps(recipe) == before
    script = (
        "import hashlib, json, sys\n"
        "from dexbench.envs.kitchen import build_kitchen\n"
        "xml = build_kitchen(json.load(sys.stdin)).xml\n"
        "print(hashlib.sha256(xml.encode()).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(recipe), capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert other.stdout.split()[-1] == hashlib.sha256(scene.xml.encode()).hexdigest()


def test_only_robot_and_objects_move(model, scene):
    free = {item.joint for item in scene.objects}
    names = {model.joint(i).name for i in range(model.njnt)}
    assert free <= names
    assert all(name.startswith(ROBOT) for name in names - free)
    assert [item.name for item in scene.objects] == ["object_0", "object_1", "object_2"]
    for item in scene.objects:
        assert model.body(item.body).mass[0] == pytest.approx(item.mass)
        assert item.mass == objects.INSTANCES[item.instance].mass


def test_robot_and_objects_stand_where_the_recipe_says(model, scene, recipe):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert np.allclose(data.body("mobilebase0_base").xpos, scene.base_pos, atol=1e-6)
    assert np.allclose(data.body("mobilebase0_base").xquat, scene.base_quat, atol=1e-6)
    for item, entry in zip(scene.objects, recipe["objects"], strict=True):
        x, y, z = in_base(scene, data.body(item.body).xpos)
        assert (x, y) == pytest.approx(entry["pos"], abs=1e-6)
        box = model.geom(f"{item.name}_reg_bbox")
        low = z + box.pos[2] - box.size[2]
        assert low == pytest.approx(0.82 + 0.001, abs=2e-4)
        # The object's own x axis lies at the recipe's yaw in the base frame.
        axis = data.body(item.body).xmat.reshape(3, 3)[:, 0]
        turned = in_base(scene, axis + scene.base_pos)
        assert math.remainder(math.atan2(turned[1], turned[0]) - entry["yaw"], 2 * math.pi) == (
            pytest.approx(0, abs=1e-6)
        )


def test_counter_stands_before_the_base(model, scene):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    top = model.geom("counter_main_group_top_visual").id
    corner = data.geom_xpos[top] - model.geom_size[top] * [0, 1, -1]
    x, _, z = in_base(scene, corner)
    assert x == pytest.approx(COUNTER_FRONT, abs=1e-6)
    assert x > 0.40, "the base reaches 0.40 m forward"
    assert z == pytest.approx(0.82, abs=1e-6)
    touched = [
        (model.geom(contact.geom1).name, model.geom(contact.geom2).name) for contact in data.contact
    ]
    assert not [pair for pair in touched if any(name.startswith("mobilebase0_") for name in pair)]


def test_scene_is_cheap_to_draw_and_firm_to_touch(model, scene):
    assert model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_MULTICCD
    assert model.vis.quality.offsamples == 0
    assert not model.light_castshadow.any()
    assert not model.mat_reflectance.any()
    for item in scene.objects:
        geom = model.geom(f"{item.name}_collision")
        assert geom.condim[0] >= 4
        assert geom.friction[0] == 1.0
        assert np.allclose(geom.solref, objects.SOLREF)
    root = ElementTree.fromstring(scene.xml)
    used = {element.get("material") for element in root.iter("geom")}
    assert {element.get("name") for element in root.iter("material")} <= used


def test_objects_rest_where_they_are_put(kitchen):
    for half in (0, 3):
        names = list(objects.CATEGORIES)[half : half + 3]
        drawn = draw_recipe(rng("test", "rest"))
        drawn["objects"] = [
            {"name": f"object_{i}", "instance": f"{name}_4", "pos": [0.7, -0.2 * i], "yaw": 0.4 * i}
            for i, name in enumerate(names)
        ]
        scene = kitchen.build_kitchen(drawn)
        model = mujoco.MjModel.from_xml_string(scene.xml)
        for geom in range(model.ngeom):  # the arms fall, since nothing holds them here
            owner = model.body(model.geom_bodyid[geom]).name
            if owner.startswith(ROBOT):
                model.geom_contype[geom] = model.geom_conaffinity[geom] = 0
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        start = {item.body: data.body(item.body).xpos.copy() for item in scene.objects}
        mujoco.mj_step(model, data, 750)
        for item in scene.objects:
            moved = data.body(item.body).xpos - start[item.body]
            assert np.abs(moved[:2]).max() < 0.004, item.instance
            assert -0.0015 < moved[2] < 0, item.instance
            speed = np.linalg.norm(data.joint(item.joint).qvel[:3])
            assert speed < 0.005, item.instance


@pytest.mark.parametrize("style", STYLES)
def test_every_style_shows_a_lit_kitchen_and_its_objects(kitchen, recipe, style):
    layout = "straight_shelves" if STYLES[style][0] == "suite" else "straight"
    scene = kitchen.build_kitchen({**recipe, "style": style, "layout": layout})
    root = ElementTree.fromstring(scene.xml)
    base = root.find(".//body[@name='mobilebase0_base']")
    ElementTree.SubElement(
        base, "camera", name="test", pos="0.212 0 1.614", fovy="74.93",
        quat=".61237244 .35355339 -.35355339 -.61237244",
    )  # fmt: skip
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    for geom in range(model.ngeom):
        if model.body(model.geom_bodyid[geom]).name.startswith(ROBOT):
            model.geom_group[geom] = 0
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    option = mujoco.MjvOption()
    option.geomgroup[:] = 0
    option.geomgroup[1] = 1
    with mujoco.Renderer(model, 224, 392) as renderer:
        renderer.update_scene(data, "test", option)
        image = renderer.render().copy()
        renderer.enable_segmentation_rendering()
        renderer.update_scene(data, "test", option)
        seen = renderer.render()[..., 0].copy()
    assert 60 < image.mean() < 200
    assert (image.min(-1) > 250).mean() < 0.25, "overexposed"

    def share(*prefixes):
        owned = [i for i in range(model.ngeom) if model.geom(i).name.startswith(prefixes)]
        return np.isin(seen, owned).mean()

    assert share("wall_unit") > 0.2
    assert share("wall_room") > 0.1
    assert share("counter") > 0.2
    assert (seen < 0).mean() == 0, "the room is closed where the camera looks"
    for item in scene.objects:
        assert share(f"{item.name}_") * seen.size >= 60, item.instance


@pytest.mark.parametrize("robots", ["FrankaTMRAllegro", "PandaOmron"])
def test_kitchen_runs_in_robosuite_and_leaves_the_robot_alone(kitchen, recipe, robots):
    import robosuite

    if robots == "FrankaTMRAllegro":
        from dexbench.envs.embodiment import register  # noqa: F401
    far = [{**entry, "pos": [0.95, entry["pos"][1]]} for entry in recipe["objects"]]
    env = robosuite.make(
        "DexKitchen",
        recipe={**recipe, "objects": far},
        robots=robots,
        controller_configs=robosuite.load_composite_controller_config(robot=robots),
        initialization_noise=None,
    )
    try:
        env.reset()
        data = env.sim.data._data
        assert np.allclose(data.body("mobilebase0_base").xpos, (0, -1.1, 0.1), atol=5e-3)
        robot = env.robots[0]
        assert np.allclose(data.qpos[robot._ref_arm_joint_pos_indexes], robot.init_qpos, atol=1e-6)
        first = data.body("object_0_main").xpos.copy()
        env.step(np.zeros(env.action_dim))
        assert np.allclose(data.body("object_0_main").xpos, first, atol=1e-3)
        env.reset()
        assert np.allclose(env.sim.data._data.body("object_0_main").xpos, first, atol=1e-3)
    finally:
        env.close()


def test_added_robosuite_features_are_added_once():
    from robosuite.controllers.parts import controller_factory
    from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
    from robosuite.models.tasks.task import Task

    from dexbench.envs import compat

    compat.apply()
    before = (
        ManipulationEnv.__init__, Task.__init__, controller_factory.mobile_base_controller_factory
    )  # fmt: skip
    compat.apply()
    assert before == (
        ManipulationEnv.__init__, Task.__init__, controller_factory.mobile_base_controller_factory
    )  # fmt: skip
    with pytest.raises(ValueError, match="Unknown controller name: NOISE"):
        controller_factory.mobile_base_controller_factory("NOISE", {})
