import hashlib
import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import mujoco
import numpy as np
import pytest

from dexbench.envs import objects
from dexbench.envs.assets import asset_root, cache, materials, meshes, textures, tree

# Raise cache.PACK_VERSION together with these: frozen trials refer to a pack by its version.
PIXELS = {
    "wood/wood_grain_1": "94a8bbd2be9ae97e",
    "wood/wood_planks": "2b72c9cdd6d832fd",
    "marble/dark_marble": "65242bbb1d5177c2",
    "marble/granite": "e12302fe5ed68159",
    "tiles/diamond_tiles": "c602188dd9061d2d",
    "bricks/red_bricks": "391f2baa21fa35c2",
    "metals/brass": "3e875f5d3be9d6d9",
    "flat/plaster": "729fef350dfc4d3a",
}


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
    paths = materials.named_textures(tree.package_folder("robocasa"))
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
        turned = tree.tint(turned, (255, 255, 255), 1)
    assert np.array_equal(turned, image)
    red = np.array([[[200, 10, 10]]], np.uint8)
    assert tree.tint(red, (255, 255, 255), 2)[0, 0].argmax() != 0
    assert tree.tint(red, (128, 255, 255), 0)[0, 0, 0] == 200 * 128 // 255


def test_instances_are_split_and_differ():
    assert len(objects.INSTANCES) == 36
    for name in objects.CATEGORIES:
        train, suite = objects.instances("train", name), objects.instances("suite", name)
        assert (len(train), len(suite)) == (4, 2)
        looks = {(item.colour, item.hue) for item in [*train, *suite]}
        sizes = {item.scale for item in [*train, *suite]}
        assert len(looks) == len(sizes) == 6
    with pytest.raises(ValueError, match="unknown split 'test'"):
        objects.instances("test")
    with pytest.raises(ValueError, match="unknown category 'pan'"):
        objects.instances("train", "pan")


@pytest.mark.parametrize("item", objects.INSTANCES.values(), ids=lambda item: item.name)
def test_object_is_graspable_and_heavy_enough(item):
    model = mujoco.MjModel.from_xml_path(str(asset_root() / item.path))
    category = objects.CATEGORIES[item.category]
    assert 0.10 <= item.mass <= 0.30
    collision = np.flatnonzero(model.geom_contype)
    assert len(collision) == 1, "one collision geom: the shipped bottle has two coincident ones"
    assert model.geom_group[collision[0]] == 0
    assert model.geom_condim[collision[0]] >= 4
    assert model.body("object").mass[0] == pytest.approx(item.mass)
    width = 2 * model.geom("reg_bbox").size
    assert width[:2].min() < 0.07, "an Allegro hand opens to about 9 cm"
    assert 0.035 < width.max() < 0.19
    for axis in range(2):
        footprint = category.footprint[axis] * item.scale[axis]
        assert footprint == pytest.approx(width[axis] / 2, rel=0.05)


def test_training_never_sees_a_suite_texture():
    for name, category in objects.CATEGORIES.items():
        if category.texture is None:
            continue
        pictures = [
            digest(iio.imread((asset_root() / item.path).parent / "texture.png"))
            for item in (*objects.instances("train", name), *objects.instances("suite", name))
        ]
        assert len(set(pictures)) == 6


def test_panda_is_decimated_and_keeps_its_shape():
    source = tree.package_folder("robosuite") / "models" / "assets" / "robots" / "panda"
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
    side = np.concatenate([
        np.stack([step, (step + 1) % 24, step + 24], -1),
        np.stack([(step + 1) % 24, (step + 1) % 24 + 24, step + 24], -1),
    ])  # fmt: skip
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
    assert list(tmp_path.iterdir()) == []


def test_cache_lets_the_first_of_two_builders_win(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path))
    root = tmp_path / f"assets-{cache.PACK_VERSION}"

    def build(draft):
        (draft / "file").write_text("ours")
        root.mkdir()  # meanwhile another process has finished
        (root / "file").write_text("theirs")
        (root / "complete").touch()

    monkeypatch.setattr(tree, "build", build)
    assert cache.asset_root() == root
    assert (root / "file").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [root]
    monkeypatch.setattr(tree, "build", None)
    assert cache.asset_root() == root, "a complete pack is not built again"


def test_unwritable_cache_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(OSError, match="DEXBENCH_CACHE"):
        cache.asset_root()


@pytest.mark.slow
def test_another_process_builds_the_same_pack(tmp_path):
    script = "from dexbench.envs.assets import asset_root; print(asset_root())"
    made = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DEXBENCH_CACHE": str(tmp_path), "PYTHONHASHSEED": "5"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    root = Path(made.stdout.strip())
    assert root == tmp_path / f"assets-{cache.PACK_VERSION}"
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 700
    different = [p for p in files if (root / p).read_bytes() != (asset_root() / p).read_bytes()]
    assert different == [], "what the pack holds changed: raise cache.PACK_VERSION"
