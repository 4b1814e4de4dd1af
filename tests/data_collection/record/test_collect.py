import gzip
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.processes import wait_for
from support.robocasa_tree import synthesise
from support.small_set import SMALL, episode, threads

from dexbench.data_collection.record import clips, collect, fill, strategies
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.fill import Recording
from dexbench.data_collection.record.noise import ornstein_uhlenbeck
from dexbench.data_collection.record.recorder import LIFT
from dexbench.data_collection.record.scene import record_scene
from dexbench.data_collection.record.strategies import CLIPS
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.assets.download import VARIABLE
from dexbench.envs.embodiment.camera import camera_to_base
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST, OPEN_HAND, READY_ARM
from dexbench.envs.robocasa.build import build_scene
from dexbench.envs.robocasa.recipe import IDS, NoRoom
from dexbench.envs.scenes.objects import INSTANCES
from dexbench.envs.scenes.recipe import LAYOUTS, STYLES, draw_recipe
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.tasks.base import Rejected
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng
from dexbench.utils.video import read_video


def manifest(folder):
    return (folder / "manifest.jsonl").read_bytes()


class Quick:
    """Scenes of synthetic clips; scene i has clips of 2 + i frames."""

    def __init__(self):
        self.made = []
        """Indices of the scenes that were recorded."""

    def record(self, config, index):
        time.sleep(0.02 * (index % 3))  # so that later scenes may be done first
        self.made.append(index)
        store = EpisodeStore(config.out)
        ids = range(index * CLIPS, (index + 1) * CLIPS)
        look = {"frames": 2 + index, "xml": f"<mujoco model='{index}'/>"}
        return [store.write(i, episode(i, **look)) | {"scene": index} for i in ids]


@pytest.fixture
def quick():
    return Quick()


def run(folder, record, **settings):
    """Collect with threads and return the manifest."""
    config = CollectConfig(out=folder, strategy="programmatic", **({"workers": 1} | settings))
    collect.main(config, Recording(record, threads))
    return manifest(folder)


def test_a_set_does_not_depend_on_workers(quick, tmp_path):
    by_one = run(tmp_path / "one", quick.record, episodes=2 * CLIPS + 1)
    assert run(tmp_path / "three", quick.record, episodes=2 * CLIPS + 1, workers=3) == by_one
    rows = [json.loads(line) for line in by_one.splitlines()]
    assert [row["id"] for row in rows] == list(range(3 * CLIPS)), "whole scenes, in order"
    assert [row["scene"] for row in rows] == [0] * CLIPS + [1] * CLIPS + [2] * CLIPS


def test_a_set_is_continued_not_begun_anew(quick, tmp_path):
    whole = run(tmp_path / "whole", quick.record, episodes=3 * CLIPS)
    part = tmp_path / "part"
    run(part, quick.record, episodes=CLIPS)
    quick.made.clear()
    assert run(part, quick.record, episodes=3 * CLIPS) == whole
    assert 0 not in quick.made
    quick.made.clear()
    assert run(part, quick.record, episodes=3 * CLIPS) == whole
    assert quick.made == [], "there is nothing left to do"


@pytest.mark.parametrize("cut", [1, 400, 1000])
def test_a_crash_while_committing_leaves_no_partial_scene(quick, tmp_path, cut):
    whole = run(tmp_path / "set", quick.record, episodes=2 * CLIPS)
    (tmp_path / "set" / "manifest.jsonl").write_bytes(whole[:-cut])
    assert run(tmp_path / "set", quick.record, episodes=2 * CLIPS) == whole


def test_a_scene_that_fails_stops_the_run_and_keeps_the_rest(quick, tmp_path):
    whole = run(tmp_path / "whole", quick.record, episodes=2 * CLIPS)

    def failing(config, index):
        if index == 1:
            raise RuntimeError("no scene")
        return quick.record(config, index)

    with pytest.raises(RuntimeError, match="no scene"):
        run(tmp_path / "set", failing, episodes=2 * CLIPS)
    assert manifest(tmp_path / "set") == b"".join(whole.splitlines(keepends=True)[:CLIPS])
    assert run(tmp_path / "set", quick.record, episodes=2 * CLIPS) == whole


def test_two_runs_do_not_fill_one_set(quick, tmp_path):
    refused = []

    def record(config, index):
        with pytest.raises(UserError, match="another run is filling"):
            run(tmp_path / "set", quick.record, episodes=CLIPS)
        refused.append(index)
        return quick.record(config, index)

    rows = run(tmp_path / "set", record, episodes=CLIPS)
    assert rows == manifest(tmp_path / "set") and 0 in refused


def test_a_folder_that_something_else_left_in_a_set_is_left_alone(quick, tmp_path):
    (tmp_path / "set").mkdir()
    run(tmp_path / "set", quick.record, episodes=CLIPS)
    (tmp_path / "set" / "videos" / "@thumbnails").mkdir()
    run(tmp_path / "set", quick.record, episodes=2 * CLIPS)
    assert (tmp_path / "set" / "videos" / "@thumbnails").is_dir()


def test_every_clip_of_a_scene_begins_with_its_objects_as_the_first_did(monkeypatch):
    """One that a clip knocks over, or off the counter, is back for the next."""
    stream = rng("test", "programmatic")
    scene = build_scene(draw_recipe(stream, "train"))
    simulation = Simulation(scene.xml, scene.objects)
    heights = []

    def play(simulation, *_):
        heights.append([simulation.object_position(name)[2] for name in scene.objects])
        for name in scene.objects:
            simulation.place_object(name, np.array([0.7, 0.0, 0.3]), 0.0)

    monkeypatch.setattr(strategies, "wander", play)
    monkeypatch.setattr(strategies, "open_close", play)
    strategies.programmatic(simulation, scene, stream)
    assert len(heights) == strategies.CLIPS
    assert np.ptp(heights, axis=0).max() < 0.02


def test_a_set_of_robocasas_kitchens(tmp_path, tmp_path_factory, monkeypatch):
    from dexbench.envs.robocasa import build, kitchen  # noqa: F401 - before the assets are there

    monkeypatch.setenv(VARIABLE, str(synthesise(tmp_path_factory.mktemp("download").resolve())))
    monkeypatch.setitem(IDS, "train", range(11, 12))
    played, real, full = [], build.build_scene, iter([NoRoom("no counter is long enough")])

    def build_scene(recipe):
        for reason in full:
            raise reason
        return real(recipe)

    def play(simulation, scene, _):
        played.append(scene.recipe)
        return [episode(0, frames=2, xml=scene.xml)]

    monkeypatch.setattr(build, "build_scene", build_scene)
    monkeypatch.setitem(strategies.STRATEGIES, "lift", play)
    config = CollectConfig(out=tmp_path / "set", strategy="lift", kitchen="robocasa", episodes=1)
    monkeypatch.setattr(strategies, "CLIPS", 1)
    collect.main(config, Recording(record_scene, threads))
    assert played[0]["assets"] == "robocasa" and played[0]["split"] == "train"
    assert EpisodeStore(tmp_path / "set").info["kitchen"] == "robocasa"
    with pytest.raises(UserError, match="set made with other kitchen"):
        collect.main(replace(config, kitchen="generated"), Recording(record_scene, threads))


def test_a_set_of_robocasas_kitchens_wants_its_assets(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    config = CollectConfig(out=tmp_path / "set", episodes=1, kitchen="robocasa")
    with pytest.raises(UserError, match="assets are incomplete: .*download_kitchen_assets"):
        collect.main(config)
    assert not (tmp_path / "set").exists()


def test_hours_are_robot_time_at_10_hz(quick, tmp_path):
    first_two = CLIPS * (2 + 3)  # frames
    rows = run(tmp_path / "set", quick.record, hours=first_two / 36000).splitlines()
    assert len(rows) == 2 * CLIPS
    rows = run(tmp_path / "set", quick.record, hours=(first_two + 1) / 36000).splitlines()
    assert len(rows) == 3 * CLIPS


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"episodes": 6, "hours": 1.0},
        {"episodes": 0},
        {"hours": 0.0},
        {"hours": -1.0},
        {"hours": float("inf")},
        {"hours": float("nan")},
        {"episodes": 6, "workers": -1},
    ],
)
def test_bad_amounts_are_refused_and_nothing_is_written(tmp_path, settings):
    with pytest.raises(UserError, match="--(episodes|hours|workers)"):
        collect.main(CollectConfig(out=tmp_path / "set", **settings))
    assert not (tmp_path / "set").exists()


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot write .*; choose another --out"):
            collect.main(CollectConfig(out=out, episodes=2))
    assert (tmp_path / "file").read_text() == "mine"


def test_noise_is_stationary_and_correlated_as_documented():
    scale = np.repeat([0.1, 0.5], 2000)
    path = ornstein_uhlenbeck(rng("noise"), 40, scale, 1.5)
    assert path.shape == (40, 4000)
    unit = path / scale
    assert np.abs(unit.std(axis=1) - 1).max() < 0.06, "the same spread from the first row on"
    assert np.abs(unit.mean(axis=1)).max() < 0.08
    assert np.allclose([unit[:, :2000].std(), unit[:, 2000:].std()], 1, atol=0.03)
    for lag in (1, 5, 15):
        assert (unit[lag:] * unit[:-lag]).mean() == pytest.approx(np.exp(-lag / 15), abs=0.03)
    assert abs((unit[:, 1:] * unit[:, :-1]).mean()) < 0.02, "joints are independent"
    slow = ornstein_uhlenbeck(rng("noise"), 40, scale, 15.0) / scale
    assert (slow[1:] * slow[:-1]).mean() == pytest.approx(np.exp(-1 / 150), abs=0.03)
    assert np.array_equal(path, ornstein_uhlenbeck(rng("noise"), 40, scale, 1.5))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One real scene of every strategy, in the same process, with few and short clips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategies, "CLIPS", 2)
        for name in ("HAND_STEPS", "WANDER_STEPS", "REPLAY_STEPS"):
            patch.setattr(clips, name, 6)
        found = {}
        for name in ("programmatic", "lift-noise"):
            config = CollectConfig(out=tmp_path_factory.mktemp(name) / "set", strategy=name)
            store = EpisodeStore(config.out, {"strategy": name, "seed": 0})
            found[name] = (store, record_scene(config, 1))
        config = CollectConfig(
            out=tmp_path_factory.mktemp("again") / "set", strategy="programmatic"
        )
        found["again"] = (EpisodeStore(config.out, {}), record_scene(config, 1))
        small = CollectConfig(
            out=tmp_path_factory.mktemp("small") / "set", strategy="programmatic", size="56x98"
        )
        found["small"] = (EpisodeStore(small.out, {}), record_scene(small, 1))
    return found


def read(store, row):
    with h5py.File(store.root / "episodes" / f"{row['id']:06d}.h5") as file:
        arrays = {key: file[key][()] for key in file}
        return arrays, json.loads(file.attrs["meta"])


def test_a_scene_is_a_function_of_its_place_in_the_set(recorded):
    (_, rows), (_, again) = recorded["programmatic"], recorded["again"]
    assert [row["id"] for row in rows] == [2, 3]
    assert rows == again, "checksums and all"


@pytest.mark.parametrize("strategy", ["programmatic", "lift-noise"])
def test_recorded_frames_fit_together(recorded, strategy):
    store, rows = recorded[strategy]
    assert len(rows) == 2
    for row in rows:
        arrays, meta = read(store, row)
        count = row["frames"]
        assert all(len(value) == count for value in arrays.values())
        assert count == 7
        assert len(read_video(store.root / "videos" / f"{row['id']:06d}.mp4")) == count
        assert ((arrays["action"] >= LOWEST) & (arrays["action"] <= HIGHEST)).all()
        assert np.array_equal(arrays["action"][-1], arrays["action"][-2])
        assert np.ptp(arrays["agent_pos"], axis=0).max() > 0.05, "the robot moves"
        assert arrays["object_pos"].shape == (count, len(meta["objects"]), 3)
        rise = arrays["object_pos"][:, :, 2] - arrays["object_pos"][0, :, 2]
        assert meta["lifted"] == bool(((rise.max(axis=1) > LIFT) & arrays["contact"]).any())
        assert meta["touched"] == bool(arrays["contact"].any())


def test_recorded_actions_lead_from_each_frame_to_the_next(recorded):
    """The stored states and actions replay the clip: what a world model is trained on is true."""
    store, rows = recorded["lift-noise"]
    arrays, meta = read(store, rows[0])
    model = store.root / "models" / f"{rows[0]['model']}.xml.gz"
    simulation = Simulation(gzip.decompress(model.read_bytes()).decode(), meta["objects"])
    for t in range(5):
        simulation.set_state(arrays["state"][t])
        assert np.array_equal(simulation.joint_positions.astype(np.float32), arrays["agent_pos"][t])
        assert np.abs(simulation.keypoints_camera - arrays["keypoints"][t]).max() < 1e-6
        simulation.step(arrays["action"][t])
        moved = simulation.joint_positions - arrays["agent_pos"][t + 1]
        assert np.abs(moved).max() < 1e-3


def test_another_size_changes_the_pictures_alone(recorded):
    (usual, rows), (small, small_rows) = recorded["again"], recorded["small"]
    for row, other in zip(rows, small_rows, strict=True):
        (one, _), (two, _) = read(usual, row), read(small, other)
        assert np.array_equal(one["state"], two["state"])
        whole, little = read_video(usual.file(row, "mp4")), read_video(small.file(other, "mp4"))
        assert whole.shape[1:3] == (224, 392) and little.shape[1:3] == (56, 98)
        coarse = whole.reshape(-1, 56, 4, 98, 4, 3).mean((2, 4))
        assert np.abs(coarse - little).mean() < 12, "the same view"


@pytest.mark.parametrize("strategy", ["programmatic", "lift-noise"])
def test_recorded_scenes_are_training_scenes(recorded, strategy):
    store, rows = recorded[strategy]
    for row in rows:
        meta = read(store, row)[1]
        assert {INSTANCES[name].split for name in meta["instances"]} == {"train"}
        assert meta["recipe"]["split"] == "train"
        assert STYLES[meta["recipe"]["style"]].split == "train"
        assert LAYOUTS[meta["recipe"]["layout"]].split == "train"


def training_recipes(count):
    """Recipes that collecting draws, for every strategy, and those that training seeds draw."""
    keys = [
        *(("collect", name, 0, i, 0) for name in strategies.STRATEGIES for i in range(count)),
        *(
            ("trial", task, "train", i, 0)
            for task in ("reach", "grasp", "place")
            for i in range(count)
        ),
    ]
    return [draw_recipe(rng(*key), "train") for key in keys]


def test_training_never_draws_what_is_kept_for_suites():
    recipes = training_recipes(60)
    used = {entry["instance"] for recipe in recipes for entry in recipe["objects"]}
    assert used == {name for name, item in INSTANCES.items() if item.split == "train"}
    kept = {name for name, item in INSTANCES.items() if item.split == "suite"}
    assert len(kept) == 2 * 24 + 6 * 4
    assert not used & kept
    looks = {(i.category, i.colour, i.hue) for i in (INSTANCES[name] for name in used)}
    assert not looks & {(i.category, i.colour, i.hue) for i in (INSTANCES[name] for name in kept)}
    assert {STYLES[recipe["style"]].split for recipe in recipes} == {"train"}
    assert {LAYOUTS[recipe["layout"]].split for recipe in recipes} == {"train"}


def test_no_suite_trials_scene_or_object_was_trained_on():
    recipes = training_recipes(100)
    used = {entry["instance"] for recipe in recipes for entry in recipe["objects"]}
    poses = {json.dumps([e["pos"] + [e["yaw"]] for e in recipe["objects"]]) for recipe in recipes}
    lights = {json.dumps(recipe["light"]) for recipe in recipes}
    suite = Suite.load("v1")
    scenes = set()
    for task in suite.tasks:
        for index in range(suite.trials(task)):
            trial = suite.trial(task, index)
            assert trial.recipe["split"] == "suite"
            assert not used & set(trial.instances)
            entries = trial.recipe["objects"]
            assert not used & {entry["instance"] for entry in entries}
            place = json.dumps([e["pos"] + [e["yaw"]] for e in entries])
            assert place not in poses
            assert json.dumps(trial.recipe["light"]) not in lights
            scenes.add(place)
    assert len(scenes) == 150, "no scene is used twice"


def start(folder, workers):
    command = [
        sys.executable,
        "-m",
        "dexbench.bench.cli",
        "collect",
        "--out",
        str(folder),
        "--strategy",
        "programmatic",
        "--episodes",
        "8",
        "--workers",
        str(workers),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Wait until it is done; return what it said."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def await_an_episode(process, folder):
    """Wait until the set has its first file."""
    wait_for(lambda: process.poll() is not None or list(folder.glob("episodes/*.h5")), 300)
    assert process.poll() is None, "it ended before it recorded anything"


def children(pid):
    """Process ids of the collecting processes that ``pid`` has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in found if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path):
    finish(start(tmp_path / "calm", 2))
    victim = start(tmp_path / "set", 2)
    await_an_episode(victim, tmp_path / "set")
    others = children(victim.pid)
    os.kill(others[0], signal.SIGKILL)
    said = finish(victim)
    assert "a process was lost" in said and "Traceback" not in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in others), "nobody is left running"
    assert manifest(tmp_path / "set") == manifest(tmp_path / "calm")


@pytest.mark.parametrize("times", [2, 3])
def test_processes_may_be_lost_but_not_thrice_at_one_scene(tmp_path, quick, times):
    losses = iter(range(times))

    def record(config, index):
        if index == 2 and next(losses, None) is not None:
            raise BrokenProcessPool
        return quick.record(config, index)

    if times < fill.LOSSES:
        run(tmp_path / "set", record, episodes=4 * CLIPS)
        whole_scenes = 4
    else:
        with pytest.raises(UserError, match="3 times in a row"):
            run(tmp_path / "set", record, episodes=4 * CLIPS)
        whole_scenes = 2  # what was whole is kept
    assert len(list(EpisodeStore(tmp_path / "set").rows())) == whole_scenes * CLIPS


@pytest.mark.slow
def test_real_runs_agree_over_workers_and_kills(tmp_path):
    finish(start(tmp_path / "one", 1))
    victim = start(tmp_path / "two", 2)
    await_an_episode(victim, tmp_path / "two")
    workers = Path(f"/proc/{victim.pid}/task/{victim.pid}/children").read_text().split()
    assert len(workers) >= 2
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(timeout=60)
    assert not (tmp_path / "two" / "manifest.jsonl").exists()
    time.sleep(5)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in workers), "one outlived its run"
    finish(start(tmp_path / "two", 2))
    assert manifest(tmp_path / "two") == manifest(tmp_path / "one")
    for row in EpisodeStore(tmp_path / "two").rows():
        for path in (f"episodes/{row['id']:06d}.h5", f"videos/{row['id']:06d}.mp4"):
            one, two = (tmp_path / name / path for name in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()


def test_noise_that_starts_inside_the_counter_is_drawn_again(monkeypatch):
    scene = build_scene(draw_recipe(rng("test", "stuck"), "train"))
    simulation = Simulation(scene.xml, scene.objects)
    ready = np.concatenate([READY_ARM, OPEN_HAND])
    simulation.set_joints(ready)
    assert not clips.stuck(simulation)
    low = ready.copy()
    low[[1, 3]] += [1.2, -0.6]  # the arm leans forward, into the counter
    simulation.set_joints(np.clip(low, LOWEST, HIGHEST))
    assert clips.stuck(simulation)
    drawn = iter([low - ready, low - ready, np.zeros(23)])
    monkeypatch.setattr(clips, "ornstein_uhlenbeck", lambda r, n, *_: np.tile(next(drawn), (n, 1)))
    monkeypatch.setattr(clips, "REPLAY_STEPS", 5)
    clip = clips.replay(simulation, scene, np.tile(ready, (5, 1)), rng("noise"), {})
    assert np.allclose(clip.action[0], ready)
    monkeypatch.setattr(clips, "ornstein_uhlenbeck", lambda r, n, *_: np.tile(low - ready, (n, 1)))
    with pytest.raises(Rejected, match="starts the robot inside something"):
        clips.replay(simulation, scene, np.tile(ready, (5, 1)), rng("noise"), {})


def test_postures_are_clear_and_strays_turn_the_hand_away():
    scene = build_scene(draw_recipe(rng("test", "astray"), "train"))
    simulation = Simulation(scene.xml, scene.objects)
    simulation.set_joints(np.concatenate([READY_ARM, OPEN_HAND]))
    stream, state = rng("test", "postures"), simulation.get_state()
    turns = {"clear": [], "stray": []}
    for _ in range(12):
        here = clips.clear_posture(simulation, stream)
        for name, posture in (("clear", here), ("stray", clips.stray(simulation, here, stream))):
            assert np.array_equal(simulation.get_state(), state), "drawing moves nothing"
            simulation.set_joints(posture)
            assert not clips.stuck(simulation)
            palm = simulation.keypoints
            across = np.cross(palm[5] - palm[0], palm[13] - palm[0])
            turns[name].append(across / np.linalg.norm(across))
            simulation.set_state(state)
    # How far palms point from their common direction: 1 - length of the mean.
    spread = {name: 1 - np.linalg.norm(np.mean(each, 0)) for name, each in turns.items()}
    assert spread["stray"] > 1.2 * spread["clear"]
    assert np.array_equal(
        clips.stray(simulation, here, rng("again")), clips.stray(simulation, here, rng("again"))
    )


def test_a_robot_that_reaches_into_itself_is_stuck():
    scene = build_scene(draw_recipe(rng("test", "stuck"), "train"))
    simulation = Simulation(scene.xml, scene.objects)
    stream, met = rng("test", "fingers"), 0
    for _ in range(40):
        simulation.set_joints(np.concatenate([READY_ARM, stream.uniform(LOWEST[7:], HIGHEST[7:])]))
        contact = simulation.data.contact
        fingers = simulation.hand_geoms[contact.geom].all(axis=1) & (contact.dist < -0.005)
        met += fingers.any()
        assert clips.stuck(simulation) or not fingers.any()
    assert met > 5, "fingers bent at random run into each other"


def test_half_the_lifts_begin_as_grasp_trials_do():
    for draw in range(9):
        stream = rng("test", "lifts", draw)
        scene = build_scene(draw_recipe(stream, "train"))
        simulation = Simulation(scene.xml, scene.objects)
        try:
            episodes = strategies.lift(simulation, scene, stream)
            break
        except Rejected:
            continue
    else:
        pytest.fail("every scene was rejected")
    suite = Suite.load("v1")
    hands = np.array(
        [  # of grasp trials, opened for the object
            suite.trial("grasp", index).expert_actions[0, 7:] for index in range(10)
        ]
    )
    for clip, made in enumerate(episodes):
        wrist = camera_to_base(made.keypoints[0, 0])
        away = np.linalg.norm(wrist - made.object_pos[0, 0])
        if clip % 2:
            assert 0.18 < away < 0.38 and not made.contact[0]
            assert np.abs(hands - made.agent_pos[0, 7:]).max(axis=1).min() < 0.6
        else:
            assert np.abs(made.agent_pos[0, 7:] - OPEN_HAND).max() > 0.2, "fingers anyhow"
    assert np.mean([made.meta["lifted"] for made in episodes]) >= 0.5


def test_it_starts_as_many_processes_as_there_are_cores_to_use(tmp_path, monkeypatch):
    asked = []

    def pool(config, workers):
        asked.append(workers)
        return threads(config, workers)

    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    config = CollectConfig(tmp_path / "set", "programmatic", 1)
    collect.main(config, Recording(SMALL.record, pool))
    assert len(asked) == 1 and asked[0] <= 3
