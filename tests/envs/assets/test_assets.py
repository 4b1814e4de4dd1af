import hashlib
import os
import pwd
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np
import pytest

from dexbench.envs.assets import (
    asset_root,
    cache,
    household,
    materials,
    meshes,
    object_files,
    shapes,
    skins,
    textures,
    tree,
)
from dexbench.envs.motion.grasp import WIDEST
from dexbench.envs.scenes import objects
from dexbench.utils.errors import UserError
from dexbench.utils.packages import package_folder

# Raise cache.PACK_VERSION together with these: frozen trials refer to a pack by its version.
PIXELS = {
    "wood/wood_grain_1": "94a8bbd2be9ae97e",
    "wood/wood_planks": "2b72c9cdd6d832fd",
    "marble/dark_marble": "65242bbb1d5177c2",
    "marble/granite": "e12302fe5ed68159",
    "tiles/diamond_tiles": "c602188dd9061d2d",
    "bricks/red_bricks": "391f2baa21fa35c2",
    "metals/brass": "6c49c7f7fa769259",
    "flat/plaster": "74f44f2a742b87b2",
}

# The same for generated objects: their mesh files and the first instance's skin.
GENERATED = {
    "mug": ("438af3b36d10d9d3", "6e62065098fa494b"),
    "banana": ("cc821399070781ab", "aeaacab78d42cbcc"),
    "potato": ("abfb1ca5e604e0ca", "ba24810b1da87e29"),
    "tea_box": ("018c0ae1b5a7723b", "9a6336bdd47dea88"),
    "canned_food": ("d40d4007e376a25e", "5ff033bb40b6ede7"),
    "flower_vase": ("95f47077101dbedd", "66e918237afe4fae"),
}
PANDA = "0215dfd923692080"
"""All visible pieces of the arm, decimated."""
FINGERPRINT = """
import hashlib, pathlib, sys, tempfile
from dexbench.envs.scenes import objects
from dexbench.envs.assets import household, meshes, skins
path = pathlib.Path(tempfile.mkdtemp()) / "mesh.obj"
for name in sys.argv[1:]:
    meshes.write_shape(path, household.MODELS[name]().shape)
    item = objects.INSTANCES[f"{name}_0"]
    skin = skins.SKINS[name](7, item.colour, item.accent)
    for data in (path.read_bytes(), skin.tobytes()):
        print(hashlib.sha256(data).hexdigest()[:16])
"""


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_are_those_of_this_pack_version(name):
    image = materials.make(name)
    assert image.shape == (materials.SIZE, materials.SIZE, 3)
    assert digest(image) == PIXELS[name], "pixels changed: raise cache.PACK_VERSION"


def test_noise_is_integer_and_wraps_around():
    field = textures.clouds(128, 3, 2, seed=4)
    assert field.dtype == np.int64
    assert field.min() >= 0
    assert field.max() <= textures.FULL
    inside = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= inside
    assert np.abs(field[0] - field[-1]).max() <= np.abs(np.diff(field, axis=0)).max()
    assert field.std() > 3000, "noise must not be flat"
    assert not np.array_equal(field, textures.clouds(128, 3, 2, seed=5))


def test_a_texture_stands_at_every_path_robocasa_names():
    paths = materials.named_textures(package_folder("robocasa"), asset_root())
    assert len(paths) > 400
    missing = [path for path in paths if not (asset_root() / path).exists()]
    assert missing == []


def test_counters_and_cabinets_look_different():
    names = ["wood/warm_wood_parquet", "marble/marble", "flat/dark_blue", "bricks/red_bricks"]
    means = [materials.make(name).reshape(-1, 3).mean(0) for name in names]
    gaps = [np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]]
    assert min(gaps) > 30


def test_hue_turns_six_times_into_itself():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    turned = image
    for _ in range(6):
        turned = object_files.tint(turned, (255, 255, 255), 1)
    assert np.array_equal(turned, image)
    red = np.array([[[200, 10, 10]]], np.uint8)
    assert object_files.tint(red, (255, 255, 255), 2)[0, 0].argmax() != 0
    assert object_files.tint(red, (128, 255, 255), 0)[0, 0, 0] == 200 * 128 // 255


def plain_processor():
    """The environment of a process whose numpy uses none of the processor's extensions."""
    from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    present = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    return {**os.environ, "NPY_DISABLE_CPU_FEATURES": ",".join(present)}


def test_generated_objects_are_equal_without_the_processors_extensions():
    made = subprocess.run(
        [sys.executable, "-c", FINGERPRINT, *GENERATED],
        env=plain_processor(),
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = made.stdout.split()
    assert dict(zip(GENERATED, zip(found[::2], found[1::2], strict=True), strict=True)) == GENERATED


def test_instances_are_split_and_differ():
    held_out = [name for name, category in objects.CATEGORIES.items() if category.held_out]
    assert len(objects.CATEGORIES) >= 21
    assert len(held_out) >= 2
    for name in objects.CATEGORIES:
        items = [item for item in objects.INSTANCES.values() if item.category == name]
        train = [item for item in items if item.split == "train"]
        assert (len(items), len(train)) == (6, 0 if name in held_out else 4)
        looks = {(item.colour, item.hue) for item in items}
        sizes = {item.scale for item in items}
        assert len(looks) == len(sizes) == 6
        assert (name in objects.categories("train")) == (name not in held_out)
    with pytest.raises(ValueError, match="unknown split 'test'"):
        objects.instances("test")
    with pytest.raises(ValueError, match="unknown category 'pan'"):
        objects.instances("train", "pan")
    with pytest.raises(ValueError, match="kept for suites"):
        objects.instances("train", held_out[0])


WIDE_ABOVE = ("flower_vase",)
"""What fits the hand from the side only."""


@pytest.mark.parametrize("name", objects.CATEGORIES)
def test_objects_fit_the_hand_and_weigh_what_they_should(name):
    category = objects.CATEGORIES[name]
    for item in (item for item in objects.INSTANCES.values() if item.category == name):
        model = mujoco.MjModel.from_xml_path(str(asset_root() / item.path))
        assert category.mass[0] <= item.mass <= category.mass[1]
        assert 0.05 <= item.mass <= 0.60
        collision = np.flatnonzero(model.geom_contype)
        pieces = len(household.MODELS[name]().pieces) if not category.mesh else 1
        assert len(collision) == pieces
        assert (model.geom_group[collision] == 0).all()
        assert (model.geom_condim[collision] >= 4).all()
        assert model.body("object").mass[0] == pytest.approx(item.mass, rel=1e-4)
        box = model.geom("reg_bbox")
        width = 2 * box.size
        assert 0.03 < width.max() < (0.32 if name in WIDE_ABOVE else 0.22)
        if name in WIDE_ABOVE:
            assert width[:2].min() > WIDEST, "from above it is too wide"
            lower = household.MODELS[name]().pieces[0][0]
            width = np.ptp(lower, axis=0) * item.scale[0]
        assert width[:2].min() < 0.115, "an Allegro hand opens to about 11 cm"
        reach = np.abs(box.pos) + box.size
        assert item.footprint == pytest.approx(tuple(reach[:2]), rel=0.06)


@pytest.mark.parametrize("name", ["mug", "cup", "bowl", "jug"])
def test_vessels_are_hollow_to_the_touch(name):
    model = mujoco.MjModel.from_xml_path(str(asset_root() / objects.INSTANCES[f"{name}_0"].path))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    box = model.geom("reg_bbox")
    top = box.pos[2] + box.size[2] + 0.01
    groups, hit = np.array([1, 0, 0, 0, 0, 0], np.uint8), np.zeros(1, np.int32)
    down = mujoco.mj_ray(
        model, data, np.array([0, 0, top]), np.array([0, 0, -1.0]), groups, 1, -1, hit
    )
    assert top - down < 0.012, "the floor is seen from above, near the bottom"
    inside = np.array([0.0, 0.0, 0.7 * (top - 0.01)])
    wall = mujoco.mj_ray(model, data, inside, np.array([0, 1.0, 0]), groups, 1, -1, hit)
    assert 0.02 < wall < 0.05


@pytest.mark.parametrize("name", household.MODELS)
def test_generated_shapes_are_closed(name):
    shape = household.MODELS[name]().shape
    assert len(shape.faces) == len(shape.mark_faces) < 2500
    assert np.min(shape.marks) >= 0 and np.max(shape.marks) <= 1
    edges = {}
    for a, b, c in shape.faces:
        for edge in ((a, b), (b, c), (c, a)):
            edges[edge] = edges.get(edge, 0) + 1
    assert set(edges.values()) == {1}, "faces agree which side is outside"
    assert all((b, a) in edges for a, b in edges)
    corners = np.array(shape.points)[np.array(shape.faces)]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume > 1e-5, "normals point outwards"


def test_sine_is_a_sine_and_smoothing_keeps_the_ends():
    angles = np.linspace(-9, 9, 91)
    assert np.allclose([shapes.sine(a) for a in angles], np.sin(angles * np.pi / 2), atol=1e-15)
    line = shapes.smooth([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], 2)
    assert line[0] == (0.0, 0.0) and line[-1] == (1.0, 1.0)
    assert max(y - x for x, y in line) <= 0


def test_skins_show_both_colours():
    for name, skin in skins.SKINS.items():
        item = objects.INSTANCES[f"{name}_0"]
        picture = skin(3, item.colour, item.accent).astype(int)
        assert picture.shape == (skins.SIZE, skins.SIZE, 3)
        for colour in (item.colour, item.accent):
            near = np.abs(picture - np.array(colour)).max(-1) < 40
            assert near.mean() > 0.01, name


def test_training_never_sees_a_suite_texture():
    for name, category in objects.CATEGORIES.items():
        if category.texture is None and category.mesh:
            continue
        pictures = [
            digest(iio.imread((asset_root() / item.path).parent / "texture.png"))
            for item in objects.INSTANCES.values()
            if item.category == name
        ]
        assert len(set(pictures)) == 6


def test_panda_is_decimated_and_keeps_its_shape():
    source = package_folder("robosuite") / "models" / "assets" / "robots" / "panda"
    made = asset_root() / "robots" / "panda"
    paths = sorted(path.relative_to(source) for path in source.rglob("*.obj"))
    assert paths == sorted(path.relative_to(made) for path in made.rglob("*.obj"))
    total = 0
    for path in paths:
        vertices, faces = meshes.read_obj(made / path)
        total += len(faces)
        before = meshes.read_obj(source / path)[0]
        for corner in (np.min, np.max):
            assert np.allclose(corner(vertices, 0), corner(before, 0), atol=0.002), path
    assert 15_000 < total < 22_000
    written = hashlib.sha256(b"".join((made / path).read_bytes() for path in paths))
    assert written.hexdigest()[:16] == PANDA, "the arm looks different: raise cache.PACK_VERSION"
    for path in (source / "meshes").iterdir():
        assert (made / "meshes" / path.name).read_bytes() == path.read_bytes()


def test_normals_are_smooth_on_a_sphere_and_sharp_on_a_cube():
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    normals = meshes.corner_normals(cube, faces)
    assert np.allclose(np.abs(normals).max(-1), 1), "a cube's corners keep their faces' normals"

    angle = 2 * np.pi * np.arange(24) / 24
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    vertices = np.concatenate([ring, ring + [0, 0, 1]])
    step = np.arange(24)
    side = np.concatenate(
        [
            np.stack([step, (step + 1) % 24, step + 24], -1),
            np.stack([(step + 1) % 24, (step + 1) % 24 + 24, step + 24], -1),
        ]
    )
    expected = vertices[side] * [1, 1, 0]
    assert np.allclose(meshes.corner_normals(vertices, side), expected, atol=0.08)


def test_cache_is_left_clean_when_building_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path))

    def fail(root):
        (root / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(tree, "build", fail)
    with pytest.raises(KeyboardInterrupt):
        cache.asset_root()
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_one_builds_the_pack_and_others_wait(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path))
    root, built = tmp_path / f"assets-{cache.PACK_VERSION}", []
    killed = tmp_path / f".{root.name}.77.tmp"
    killed.mkdir()

    def build(draft):
        built.append(draft)
        time.sleep(0.2)  # the others come meanwhile
        (draft / "file").write_text("whole")

    monkeypatch.setattr(tree, "build", build)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache.asset_root(), range(4)))
    assert found == [root] * 4
    assert len(built) == 1
    assert (root / "file").read_text() == "whole"
    assert not killed.exists(), "what a killed build left is removed"
    assert sorted(path.name for path in tmp_path.iterdir()) == [root.name, f"{root.name}.lock"]
    monkeypatch.setattr(tree, "build", None)
    assert cache.asset_root() == root, "a complete pack is not built again"


def test_unwritable_cache_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match="DEXBENCH_CACHE"):
        cache.asset_root()


@pytest.mark.slow
def test_another_process_builds_the_same_pack(tmp_path):
    script = "from dexbench.envs.assets import asset_root; print(asset_root())"
    made = subprocess.run(
        [sys.executable, "-c", script],
        env={**plain_processor(), "DEXBENCH_CACHE": str(tmp_path), "PYTHONHASHSEED": "5"},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    root = Path(made.stdout.strip())
    assert root == tmp_path / f"assets-{cache.PACK_VERSION}"
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 700
    different = [p for p in files if (root / p).read_bytes() != (asset_root() / p).read_bytes()]
    assert different == [], "what the pack holds changed: raise cache.PACK_VERSION"


@pytest.mark.parametrize("chosen", [None, "~/cache"])
def test_without_a_home_the_message_names_the_variable(monkeypatch, chosen):
    """As in a container that runs under a user id of its own."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("DEXBENCH_CACHE", raising=False)
    if chosen is not None:
        monkeypatch.setenv("DEXBENCH_CACHE", chosen)
    with pytest.raises(UserError, match="home folder.*; set DEXBENCH_CACHE to"):
        asset_root()
