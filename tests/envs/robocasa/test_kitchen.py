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

from dexbench.envs.scenes import objects
from dexbench.envs.scenes.appliances import APPLIANCES
from dexbench.envs.scenes.clutter import CLUTTER
from dexbench.envs.scenes.layouts import BASE_UNITS, LAYOUTS, WALL_UNITS, WITHOUT_TOP, units
from dexbench.envs.scenes.parts import LOOKS, box, rod
from dexbench.envs.scenes.recipe import (
    COUNTER_FRONT,
    GAP,
    HAND_GAP,
    N_OTHERS,
    OBJECT_X,
    OBJECT_Y,
    OTHER_X,
    OTHER_Y,
    base_position,
    check_recipe,
    draw_recipe,
)
from dexbench.envs.scenes.styles import STYLES, SURFACES, draw_surfaces
from dexbench.utils.seeding import rng

ROBOT = ("robot0_", "gripper0_", "mobilebase0_")


@pytest.fixture(scope="module")
def kitchen():
    from dexbench.envs.robocasa import kitchen

    return kitchen


@pytest.fixture(scope="module")
def recipe():
    return draw_recipe(rng("test", "kitchen"))


@pytest.fixture(scope="module")
def xml(kitchen, recipe):
    return kitchen.kitchen_xml(recipe)


@pytest.fixture(scope="module")
def model(xml):
    return mujoco.MjModel.from_xml_string(xml)


@pytest.fixture(scope="module")
def names(recipe):
    """Of the objects."""
    return [entry["name"] for entry in recipe["objects"]]


def in_base(data, point):
    """A world point in the base frame."""
    base = data.body("mobilebase0_base")
    return base.xmat.reshape(3, 3).T @ (np.asarray(point) - base.xpos)


def test_recipe_is_json_and_a_function_of_its_stream():
    drawn = draw_recipe(rng("test", 1))
    assert json.loads(json.dumps(drawn)) == drawn
    assert draw_recipe(rng("test", 1)) == drawn
    assert draw_recipe(rng("test", 2)) != drawn


@pytest.mark.parametrize("split", ["train", "suite"])
def test_drawn_objects_are_apart_in_reach_and_of_their_split(split):
    layouts, styles, surfaces, counts = set(), set(), set(), set()
    for seed in range(200):
        drawn = draw_recipe(rng("test", split, seed), split)
        check_recipe(drawn)
        items = [objects.INSTANCES[entry["instance"]] for entry in drawn["objects"]]
        assert {item.split for item in items} == {split}
        assert len({item.category for item in items}) == len(items)
        counts.add(len(items) - 1)
        circles = []
        for i, (entry, item) in enumerate(zip(drawn["objects"], items, strict=True)):
            (low_x, high_x), (low_y, high_y) = (OTHER_X, OTHER_Y) if i else (OBJECT_X, OBJECT_Y)
            x, y = entry["pos"]
            assert low_x <= x <= high_x
            assert low_y <= y <= high_y
            circles.append((x, y, math.hypot(*item.footprint)))
        for i, (x, y, radius) in enumerate(circles):
            for j, (other_x, other_y, other) in enumerate(circles[:i]):
                gap = math.hypot(x - other_x, y - other_y) - radius - other
                # Poses are rounded to 0.1 mm.
                assert gap > (GAP if j else HAND_GAP) - 1e-3
        layouts.add(drawn["layout"])
        styles.add(drawn["style"])
        surfaces.update(drawn["surfaces"].items())
    assert counts == set(range(N_OTHERS[0], N_OTHERS[1] + 1))
    if split == "train":
        assert styles == {name for name, style in STYLES.items() if style.split == "train"}
        assert layouts == {name for name, plan in LAYOUTS.items() if plan.split == "train"}
    else:
        assert styles == set(STYLES)
        assert layouts == set(LAYOUTS)
        offered = {
            (key, t) for style in STYLES.values() for key in SURFACES for t in getattr(style, key)
        }
        assert len(offered - surfaces) <= 2


def test_some_layouts_styles_and_categories_are_kept_for_suites():
    for table in (LAYOUTS, STYLES):
        kept = [name for name, item in table.items() if item.split == "suite"]
        assert len(table) >= 8
        assert 2 <= len(kept) <= len(table) / 2
    assert set(objects.categories("suite")) == set(objects.CATEGORIES)
    assert len(objects.categories("train")) <= len(objects.CATEGORIES) - 2


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_stand_between_their_walls_and_leave_the_workplace_free(name):
    plan = LAYOUTS[name]
    main = plan.runs["main"]
    known = {*BASE_UNITS, *WALL_UNITS, *APPLIANCES, "corner", "gap"}
    for run in plan.runs.values():
        assert {kind for kind, _ in (*run.lower, *run.upper)} <= known
        assert {kind for kind, _, _ in run.clutter} <= set(CLUTTER)
    for row in (main.lower, main.upper):
        left, right = main.start, main.start + sum(width for _, width in row)
        assert plan.left - 1e-6 <= left and right <= plan.right + 1e-6
    for kind, centre, width in units(main, main.lower):
        if kind in (*WITHOUT_TOP, "stove"):
            # The world's x is the base frame's -y; the other arm and objects need some room, too.
            clear = max(centre - width / 2 - 0.58, -0.26 - centre - width / 2)
            assert clear > -0.05, f"{kind} where objects lie"
    for kind, x, distance in main.clutter:
        assert x < -OTHER_Y[1] - 0.08 or x > -OTHER_Y[0] + 0.08 or distance < 0.15, kind


def test_boxes_and_rods_span_what_they_are_told():
    spans = ((0.1, 0.4), (-0.5, -0.48), (0.9, 1.6))
    for turn in range(3):
        x, y, z = (spans[(i + turn) % 3] for i in range(3))
        part = box("steel", x, y, z)
        assert part.size[2] == min(part.size), "pictures lie across the thinnest side"
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, np.array(part.quat))
        reach = np.abs(matrix.reshape(3, 3)) @ part.size
        low, high = np.array(part.pos) - reach, np.array(part.pos) + reach
        assert np.allclose(np.stack([low, high], 1), [x, y, z])
    for end in ((0.1, 0.2, 0.8), (0.1, 0.2, -0.8), (0.6, 0.2, 0.3)):
        part = rod("steel", 0.01, (0.1, 0.2, 0.3), end)
        tip = np.zeros(3)
        mujoco.mju_rotVecQuat(tip, np.array([0, 0, part.size[1]]), np.array(part.quat))
        assert np.allclose(np.array(part.pos) + tip, end)


def test_every_look_alike_has_its_materials():
    drawn = {*SURFACES, "front", "handle", "appliance"}
    for make in APPLIANCES.values():
        assert {part.material for part in make(0.6)} <= {*LOOKS, *drawn}
    for make in CLUTTER.values():
        parts = make()
        assert {part.material for part in parts} <= {*LOOKS, *drawn}
        assert min(part.pos[2] for part in parts) > 0, "it stands on the counter"


def test_target_category_can_be_chosen():
    drawn = draw_recipe(rng("test", 3), "suite", target="lemon")
    assert drawn["objects"][0]["instance"].startswith("lemon_")
    with pytest.raises(ValueError, match="unknown category 'pan'"):
        draw_recipe(rng("test", 3), target="pan")


@pytest.mark.parametrize("key", ["layout", "style"])
def test_unknown_names_are_refused(kitchen, recipe, key):
    with pytest.raises(ValueError, match=f"recipe {key} 'space'"):
        kitchen.kitchen_xml({**recipe, key: "space"})
    with pytest.raises(ValueError, match="recipe surface floor 'lava' is not one of"):
        kitchen.kitchen_xml({**recipe, "surfaces": {**recipe["surfaces"], "floor": "lava"}})
    broken = [{**recipe["objects"][0], "instance": "can_9"}]
    with pytest.raises(ValueError, match="'can_9' is unknown"):
        kitchen.kitchen_xml({**recipe, "objects": broken})


def test_building_is_a_function_of_the_recipe(kitchen, recipe, xml):
    np.random.seed(3)  # noqa: NPY002 - RoboCasa draws colours from the global generator
    before = json.dumps(recipe)
    assert kitchen.kitchen_xml(recipe) == xml
    assert json.dumps(recipe) == before
    script = (
        "import hashlib, json, sys\n"
        "from dexbench.envs.robocasa.kitchen import kitchen_xml\n"
        "xml = kitchen_xml(json.load(sys.stdin))\n"
        "print(hashlib.sha256(xml.encode()).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(recipe),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        timeout=300,
    )
    assert other.stdout.split()[-1] == hashlib.sha256(xml.encode()).hexdigest()


def test_only_robot_and_objects_move(model, recipe, names):
    assert names == [f"object_{i}" for i in range(len(names))]
    movers = {model.body(model.jnt_bodyid[i]).name for i in range(model.njnt)}
    assert {name for name in movers if not name.startswith(ROBOT)} == {
        f"{name}_main" for name in names
    }
    for entry in recipe["objects"]:
        mass = objects.INSTANCES[entry["instance"]].mass
        body = model.body(f"{entry['name']}_main")
        assert body.mass[0] == pytest.approx(mass, rel=1e-4)
        assert model.jnt_type[body.jntadr[0]] == mujoco.mjtJoint.mjJNT_FREE


def test_robot_and_objects_stand_where_the_recipe_says(model, recipe):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    base = data.body("mobilebase0_base")
    assert np.allclose(base.xpos, base_position(), atol=1e-6)
    # Its x looks along RoboCasa's y, to the counter.
    assert np.allclose(base.xquat, (0.5**0.5, 0, 0, 0.5**0.5), atol=1e-6)
    for entry in recipe["objects"]:
        body = data.body(f"{entry['name']}_main")
        x, y, z = in_base(data, body.xpos)
        assert (x, y) == pytest.approx(entry["pos"], abs=1e-6)
        box = model.geom(f"{entry['name']}_reg_bbox")
        low = z + box.pos[2] - box.size[2]
        assert low == pytest.approx(0.82 + 0.001, abs=2e-4)
        # The object's own x axis lies at the recipe's yaw in the base frame.
        axis = body.xmat.reshape(3, 3)[:, 0]
        turned = in_base(data, axis + base.xpos)
        assert math.remainder(math.atan2(turned[1], turned[0]) - entry["yaw"], 2 * math.pi) == (
            pytest.approx(0, abs=1e-6)
        )


def test_counter_stands_before_the_base(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    top = model.geom("counter_main_group_top_visual").id
    corner = data.geom_xpos[top] - model.geom_size[top] * [0, 1, -1]
    x, _, z = in_base(data, corner)
    assert x == pytest.approx(COUNTER_FRONT, abs=1e-6)
    assert x > 0.40, "the base reaches 0.40 m forward"
    assert z == pytest.approx(0.82, abs=1e-6)
    touched = [
        (model.geom(contact.geom1).name, model.geom(contact.geom2).name) for contact in data.contact
    ]
    assert not [pair for pair in touched if any(name.startswith("mobilebase0_") for name in pair)]


def test_scene_is_cheap_to_draw_and_firm_to_touch(model, xml, names):
    assert model.opt.enableflags & mujoco.mjtEnableBit.mjENBL_MULTICCD
    assert model.vis.quality.offsamples == 0
    assert not model.light_castshadow.any()
    assert not model.mat_reflectance.any()
    for name in names:
        felt = [
            geom
            for geom in map(model.geom, range(model.ngeom))
            if geom.name.startswith(f"{name}_collision")
        ]
        assert felt
        for geom in felt:
            assert geom.condim[0] >= 4
            assert geom.friction[0] == 1.0
            assert np.allclose(geom.solref, objects.SOLREF)
    root = ElementTree.fromstring(xml)
    used = {element.get("material") for element in root.iter("geom")}
    assert {element.get("name") for element in root.iter("material")} <= used


@pytest.mark.slow
def test_objects_rest_where_they_are_put(kitchen):
    names = list(objects.CATEGORIES)
    for first in range(0, len(names), 5):
        drawn = draw_recipe(rng("test", "rest"))
        drawn["objects"] = [
            {
                "name": f"object_{i}",
                "instance": f"{name}_4",
                "pos": [0.7, 0.4 - 0.22 * i],
                "yaw": 0.4 * i,
            }
            for i, name in enumerate(names[first : first + 5])
        ]
        model = mujoco.MjModel.from_xml_string(kitchen.kitchen_xml(drawn))
        for geom in range(model.ngeom):  # the arms fall, since nothing holds them here
            owner = model.body(model.geom_bodyid[geom]).name
            if owner.startswith(ROBOT):
                model.geom_contype[geom] = model.geom_conaffinity[geom] = 0
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        bodies = {e["instance"]: data.body(f"{e['name']}_main") for e in drawn["objects"]}
        start = {instance: body.xpos.copy() for instance, body in bodies.items()}
        mujoco.mj_step(model, data, 750)
        for instance, body in bodies.items():
            moved = body.xpos - start[instance]
            assert np.abs(moved[:2]).max() < 0.006, instance
            assert -0.003 < moved[2] < 0.001, instance
            dof = model.body_dofadr[body.id]
            assert np.linalg.norm(data.qvel[dof : dof + 3]) < 0.01, instance


def render(xml):
    """What the head camera sees without the robot: the picture, owners of its pixels, the model."""
    root = ElementTree.fromstring(xml)
    base = root.find(".//body[@name='mobilebase0_base']")
    ElementTree.SubElement(
        base,
        "camera",
        name="test",
        pos="0.212 0 1.614",
        fovy="74.93",
        quat=".61237244 .35355339 -.35355339 -.61237244",
    )
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
        return image, renderer.render()[..., 0].copy(), model


LOOKS_OF = [(name, list(STYLES)[i % len(STYLES)]) for i, name in enumerate(LAYOUTS)]
LOOKS_OF += [(list(LAYOUTS)[i % len(LAYOUTS)], name) for i, name in enumerate(STYLES) if i >= 8]


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "style"), LOOKS_OF)
def test_every_layout_and_style_shows_a_lit_kitchen_and_its_objects(kitchen, recipe, layout, style):
    stream = rng("test", "look", layout, style)
    look = {"style": style, "layout": layout, "surfaces": draw_surfaces(stream, style)}
    image, seen, model = render(kitchen.kitchen_xml({**recipe, **look}))
    assert 60 < image.mean() < 200
    assert (image.min(-1) > 250).mean() < 0.15, "overexposed"
    assert (image.max(-1) < 12).mean() < 0.15, "black"

    def share(*prefixes):
        owned = [i for i in range(model.ngeom) if model.geom(i).name.startswith(prefixes)]
        return np.isin(seen, owned).mean()

    assert share("splash", "wall_", "steel", "view", "board") > 0.15
    assert share("counter", "top_", "dark_glass") > 0.2
    assert (seen < 0).mean() == 0, "the room is closed where the camera looks"
    target = recipe["objects"][0]
    assert share(f"{target['name']}_") * seen.size >= 60, target["instance"]


@pytest.mark.parametrize("robots", ["FrankaTMRAllegro", "PandaOmron"])
def test_kitchen_runs_in_robosuite_and_leaves_the_robot_alone(kitchen, recipe, robots):
    import robosuite

    if robots == "FrankaTMRAllegro":
        from dexbench.envs.robocasa import robot as register  # noqa: F401
    far = [
        {**entry, "pos": [0.93, 0.1 - 0.16 * i]} for i, entry in enumerate(recipe["objects"][:3])
    ]
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

    from dexbench.envs.robocasa import robosuite_patches as compat

    compat.apply()
    before = (
        ManipulationEnv.__init__,
        Task.__init__,
        controller_factory.mobile_base_controller_factory,
    )
    compat.apply()
    assert before == (
        ManipulationEnv.__init__,
        Task.__init__,
        controller_factory.mobile_base_controller_factory,
    )
    with pytest.raises(ValueError, match="Unknown controller name: NOISE"):
        controller_factory.mobile_base_controller_factory("NOISE", {})
