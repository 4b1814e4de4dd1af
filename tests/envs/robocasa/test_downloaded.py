"""RoboCasa's own assets, on the part of its download that `robocasa_tree` synthesises."""

import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import gymnasium
import numpy as np
import pytest
from support.robocasa_tree import synthesise

from dexbench.envs.assets import tree
from dexbench.envs.assets.download import VARIABLE, robocasa_root
from dexbench.envs.embodiment.robot import INIT_ARM, OPEN_HAND
from dexbench.envs.freeze import ROBOCASA
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.robocasa.recipe import IDS, RoboCasa, check_robocasa_recipe
from dexbench.envs.scenes.recipe import OBJECT_Y, OTHER_Y, draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.utils.errors import UserError
from dexbench.utils.packages import package_folder
from dexbench.utils.seeding import rng

HERE = RoboCasa(layouts=(1,), styles=(1,))


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    """The synthesised download, where the user's variable says; RoboCasa is imported before."""
    from dexbench.envs.robocasa import kitchen  # noqa: F401

    root = synthesise(tmp_path_factory.mktemp("download").resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(root))
        yield root


@pytest.fixture(scope="module")
def recipe(root):
    return HERE(rng("test", "robocasa"))


@pytest.fixture(scope="module")
def scene(recipe):
    return build_scene(recipe)


@pytest.fixture
def copy(root, tmp_path):
    """The download once more, to be damaged."""
    return shutil.copytree(root, tmp_path / "copy", symlinks=True)


def test_recipe_is_json_and_a_function_of_its_stream(recipe):
    assert json.loads(json.dumps(recipe)) == recipe
    assert HERE(rng("test", "robocasa")) == recipe
    assert HERE(rng("test", "other")) != recipe
    check_robocasa_recipe(recipe)


def test_splits_are_robocasas():
    names = {}
    for split in ("train", "suite"):
        drawn = [RoboCasa()(rng("test", seed), split) for seed in range(60)]
        assert {recipe["layout"] for recipe in drawn} <= set(IDS[split])
        assert {recipe["style"] for recipe in drawn} <= set(IDS[split])
        names[split] = {entry["instance"] for recipe in drawn for entry in recipe["objects"]}
        assert {name.split("/")[0] for name in names[split]} == {"objaverse", "lightwheel"}
    assert not names["train"] & names["suite"]
    # Of six instances RoboCasa trains on the first three.
    assert "lightwheel/tongs/Tongs000" in names["train"]
    assert "lightwheel/tongs/Tongs003" in names["suite"]


def test_target_is_of_the_category_that_is_asked_for():
    drawn = [RoboCasa(categories=("tongs", "mug"))(rng("test", seed)) for seed in range(20)]
    firsts = {recipe["objects"][0]["instance"].split("/")[1] for recipe in drawn}
    assert firsts == {"tongs", "mug"}
    for recipe in drawn:
        kinds = [entry["instance"].split("/")[1] for entry in recipe["objects"]]
        assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: RoboCasa(layouts=(61,)), "layout 61 .* 1 to 60"),
        (lambda: RoboCasa(styles=(0,)), "style 0 .* 1 to 60"),
        (lambda: RoboCasa(categories=("sofa",))(rng("test")), "no graspable object of sofa"),
    ],
)
def test_what_robocasa_does_not_have_is_refused(ask, message):
    with pytest.raises(UserError, match=message):
        ask()


def test_an_object_too_large_for_the_hand_is_not_drawn(copy, monkeypatch):
    for path in copy.glob("objects/lightwheel/tongs/*/model.xml"):
        path.write_text(re.sub('size="[^"]*"', 'size="0.06 0.06 0.05"', path.read_text()))
    monkeypatch.setenv(VARIABLE, str(copy))
    with pytest.raises(UserError, match="no graspable object of tongs"):
        RoboCasa(categories=("tongs",))(rng("test"))


def test_scene_is_a_function_of_its_recipe(scene, recipe):
    assert build_scene(recipe).xml == scene.xml
    assert build_scene({**recipe, "seed": recipe["seed"] + 1}).xml != scene.xml


@pytest.mark.parametrize("module", ["downloaded", "kitchen", "recipe", "tasks", "robot"])
def test_any_module_can_be_imported_first(module):
    code = f"""
import importlib, sys
importlib.import_module("dexbench.envs.robocasa.{module}")
import dexbench.envs.robocasa.downloaded
from robocasa.environments.kitchen.kitchen import Kitchen
assert hasattr(Kitchen._setup_model, "__wrapped__"), "not mended"
assert not hasattr(Kitchen._setup_model.__wrapped__, "__wrapped__"), "mended twice"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_scene_names_its_files_by_their_root(scene, root):
    files = [item.get("file") for item in ElementTree.fromstring(scene.xml).iter("texture")]
    files += [item.get("file") for item in ElementTree.fromstring(scene.xml).iter("mesh")]
    own = [name for name in files if name and name.startswith(f"{ROBOCASA}/")]
    assert any("/objects/" in name for name in own)
    assert any("/textures/" in name for name in own)
    assert all(name.startswith((f"{ROBOCASA}/", "@assets/")) for name in files if name)
    assert str(root) not in scene.xml


@pytest.fixture
def sim(scene):
    simulation = Simulation(scene.xml, scene.objects)
    simulation.set_joints(np.concatenate([INIT_ARM, OPEN_HAND]))
    return simulation


def test_robot_stands_at_a_counter_with_the_objects_before_its_right_arm(sim, scene):
    top = sim.model.geom("counter_main_group_top_visual")
    corner = sim.data.geom_xpos[top.id] - top.size * [0, 1, -1]
    x, _, z = sim.to_base(corner)
    assert x == pytest.approx(0.45, abs=1e-6)
    assert z == pytest.approx(0.82, abs=1e-6)
    for index, name in enumerate(scene.objects):
        x, y, z = sim.object_position(name)
        low, high = OTHER_Y if index else OBJECT_Y
        assert 0.53 <= x <= 0.86
        # The strips share their middle, the target's.
        assert abs(y - sum(OBJECT_Y) / 2) <= (high - low) / 2
        assert 0.82 < z < 1.0
    pairs = sim.model.geom_bodyid[sim.data.contact.geom]
    names = [{sim.model.body(body).name for body in pair} for pair in pairs]
    assert not [pair for pair in names if any(name.startswith("mobilebase0_") for name in pair)]


def test_objects_rest_and_only_robot_and_objects_move(sim, scene):
    joints = {sim.model.joint(i).name for i in range(sim.model.njnt)}
    assert "knife_block_main_group_main" in {sim.model.body(i).name for i in range(sim.model.nbody)}
    assert {name for name in joints if not name.startswith(("robot0_", "gripper0_"))} == {
        f"object_{i}_joint0" for i in range(len(scene.objects))
    }
    before = [sim.object_position(name) for name in scene.objects]
    for _ in range(10):
        sim.step(sim.joint_targets)
    for name, start in zip(scene.objects, before, strict=True):
        # Round objects may roll a little; nothing may jump or fall.
        assert np.linalg.norm(sim.object_position(name) - start) < 0.02, name
        assert np.linalg.norm(sim.data.cvel[sim.model.body(name).id, 3:]) < 0.05, name


def test_the_same_objects_lie_alike_where_the_counter_is_turned(sim, scene, recipe):
    turned = build_scene({**recipe, "layout": 11})
    other = Simulation(turned.xml, turned.objects)
    assert abs(other.base_turn()[0, 0]) > 0.999, "this counter stands along y"
    assert abs(sim.base_turn()[0, 0]) < 1e-3
    for name in scene.objects:
        assert np.allclose(other.object_position(name), sim.object_position(name), atol=1e-3)


def test_the_users_assets_leave_generated_kitchens_alone(root):
    from dexbench.envs.robocasa.patches import assets_from

    generated = draw_recipe(rng("test", "generated"))
    plain = build_scene(generated).xml
    with assets_from(root):  # as when RoboCasa was imported with the user's assets
        assert build_scene(generated).xml == plain


@pytest.mark.slow
def test_a_gymnasium_environment_plays_in_these_kitchens():
    env = gymnasium.make("dexbench/Grasp-v1", kitchen=HERE)
    try:
        obs, info = env.reset(seed=3)
        trial = env.unwrapped.trial
        assert trial.recipe["assets"] == "robocasa"
        assert obs["pixels"].std() > 10
        for action in trial.expert_actions:
            obs, _, _, truncated, info = env.step(action)
        assert truncated
        assert env.observation_space.contains(obs)
        assert info["distance"] < 0.2
        assert env.reset(seed=3)[1]["trial_hash"] == trial.hash
    finally:
        env.close()


def test_nothing_downloaded_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(UserError) as error:
        HERE(rng("test"))
    text = str(error.value)
    assert "\n" not in text
    assert "--type tex fixtures_lw objs_objaverse objs_lw`" in text
    assert str(tmp_path) in text
    assert VARIABLE in text
    monkeypatch.delenv(VARIABLE)
    package = package_folder("robocasa") / "models" / "assets"
    if not (package / "textures").exists():
        with pytest.raises(UserError, match=f"or set {VARIABLE}"):
            robocasa_root()


@pytest.mark.parametrize(
    ("gone", "key"),
    [
        ("objects/lightwheel/knife_block", "objs_lw"),
        ("fixtures/counters", "fixtures_lw"),
        ("textures/marble/marble.png", "tex"),
    ],
)
def test_a_partial_download_names_the_missing_file(copy, recipe, monkeypatch, gone, key):
    if (copy / "textures").is_symlink():
        target = (copy / "textures").readlink()
        (copy / "textures").unlink()
        shutil.copytree(target, copy / "textures")
    path = copy / gone
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    monkeypatch.setenv(VARIABLE, str(copy))
    with pytest.raises(UserError, match=rf"{gone}.* missing in .*--type {key}`"):
        build_scene(recipe)


def test_the_generated_pack_does_not_copy_a_download(tmp_path):
    package, made = tmp_path / "robocasa", tmp_path / "made"
    source = package_folder("robocasa")
    tree.copy_package(source, package / "models" / "assets")
    shipped = {p.relative_to(package) for p in package.rglob("*") if p.is_file()}
    assert len(shipped) > 200
    for name in (
        "textures/wood.png",
        "generative_textures/wall/tex1.png",
        "objects/objaverse/a/model.xml",
        "fixtures/sinks/Sink025/model.xml",
        "fixtures/handles/CabinetHandle003/model.xml",
        "fixtures/cabinets/cabinet_panels/CabinetDoorPanel047/model.xml",
    ):
        path = package / "models" / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    tree.copy_package(package, made / "models" / "assets")
    assert {p.relative_to(made) for p in made.rglob("*") if p.is_file()} == shipped


TASKS = """
import sys
import numpy as np, robosuite
from dexbench.envs.robocasa.tasks import generated_kitchen
for name in ("OpenCabinet", "PickPlaceCounterToCabinet"):
    env = robosuite.make(
        name, robots="FrankaTMRAllegro", layout_ids=1, style_ids=1, renderer="mujoco",
        has_offscreen_renderer=False, use_camera_obs=False, seed=0,
    )
    env.reset()
    low, high = env.action_spec
    for _ in range(10):
        obs, *_ = env.step(np.random.default_rng(0).uniform(low, high))
    assert all(np.isfinite(value).all() for value in obs.values())
    files = env.sim.model.get_xml()
    assert sys.argv[1] in files, "the user's assets"
    env.close()
"""


@pytest.mark.slow
def test_robocasas_tasks_use_the_users_layouts(root):
    subprocess.run([sys.executable, "-c", TASKS, str(root)], check=True, timeout=300)
