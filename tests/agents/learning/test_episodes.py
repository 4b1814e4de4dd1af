"""What training reads of episode sets."""

import hashlib
import json
import subprocess
import sys
import wave

import h5py
import numpy as np
import pytest
from support.synthetic_store import picture, write_store

from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.footage import GAPS
from dexbench.agents.learning.recordings import pretraining_of
from dexbench.data_collection.record.strategies import STRATEGIES
from dexbench.data_collection.store.manifest import ROBOT_STRATEGIES
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


def test_reader_decodes_once_and_holds_out_whole_episodes(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    assert episodes.frames.shape == (96, 112, 196, 3)
    assert episodes.validation.sum() >= 1 and (~episodes.validation).sum() >= 1
    written = (tmp_path / "frames.u8").stat().st_mtime_ns
    load_episodes([store], tmp_path, progress=False)
    assert (tmp_path / "frames.u8").stat().st_mtime_ns == written
    with h5py.File(store / "episodes" / "000001.h5") as file:
        assert np.array_equal(episodes.joints[24:48], file["agent_pos"][()])
        assert np.array_equal(episodes.targets[24:48], file["action"][()])
    # The dots are where the keypoints of the same frame are.
    for frame in (0, 23, 24, 95):
        expected = picture(episodes.keypoints[frame]).astype(int)[1::2, 1::2]
        assert np.abs(episodes.frames[frame].astype(int) - expected).mean() < 6


def test_windows_stay_inside_their_episode_and_split(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    index = episodes.windows(rng("test"), 500)
    episode = index // 24
    assert (episode == episode[:, :1]).all() and not episodes.validation[episode].any()
    gaps = np.diff(index, axis=1)
    assert gaps.min() >= 1 and gaps.sum(1).max() <= 23 and len(np.unique(gaps)) > 8
    longest = np.diff(episodes.windows(rng("test"), 9, planner_share=1.0), axis=1)
    assert (longest == 7).all()  # (24 - 1) // 3
    single = np.diff(episodes.windows(rng("test"), 500, steps=1), axis=1)
    assert (single.min(), single.max()) == GAPS
    held_out = episodes.windows(rng("test"), 50, validation=True) // 24
    assert episodes.validation[held_out].all()


@pytest.mark.parametrize("frames", [4, 5])
def test_windows_fit_into_episodes_of_a_few_frames(tmp_path, frames):
    folder = write_store(tmp_path / "set", frames=frames)
    episodes = load_episodes([folder], tmp_path / "cache", progress=False)
    index = episodes.windows(rng("test"), 200)
    assert (index // frames == index[:, :1] // frames).all() and np.diff(index, axis=1).min() >= 1


DAMAGE = ["no video", "half a video", "no pictures", "no episode", "short", "no action"]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_named_with_its_cure(tmp_path, damage):
    folder = write_store(tmp_path / "set")
    video, episode = folder / "videos" / "000002.mp4", folder / "episodes" / "000002.h5"
    if damage == "no video":
        video.unlink()
    elif damage == "half a video":
        video.write_bytes(video.read_bytes()[:2000])
    elif damage == "no pictures":
        with wave.open(str(video), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(800))
    elif damage == "no episode":
        episode.unlink()
    else:
        with h5py.File(episode, "a") as file:
            action = file["action"][:20]
            del file["action"]
            if damage == "short":
                file["action"] = action
    with pytest.raises(UserError, match=r"000002\.(mp4|h5).*dexbench data verify"):
        load_episodes([folder], tmp_path / "cache", progress=False)


def test_what_is_no_set_or_an_empty_one_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no episode set; `dexbench collect"):
        load_episodes([tmp_path], tmp_path / "cache", progress=False)
    write_store(tmp_path / "empty", episodes=0)
    with pytest.raises(UserError, match="holds no complete episode"):
        load_episodes([tmp_path / "empty"], tmp_path / "cache", progress=False)


def test_a_last_line_that_a_crash_cut_short_is_dropped(tmp_path):
    folder = write_store(tmp_path / "set", frames=8)
    manifest = folder / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:3]))
    whole = load_episodes([folder], tmp_path / "whole", 0.5, progress=False)
    manifest.write_bytes(b"".join(lines)[:-9])
    torn = load_episodes([folder], tmp_path / "torn", 0.5, progress=False)
    assert len(torn.length) == 3 and torn.digest == whole.digest
    assert np.array_equal(torn.frames, whole.frames)


@pytest.mark.parametrize("damage", ["altered", "no checksum", "no JSON"])
def test_a_damaged_line_is_refused(tmp_path, damage):
    folder = write_store(tmp_path / "set", frames=8)
    manifest = folder / "manifest.jsonl"
    first, *others = manifest.read_bytes().splitlines(keepends=True)
    row = json.loads(first)
    if damage == "no checksum":
        del row["line"]
    row["frames"] = 7
    line = b"{\n" if damage == "no JSON" else json.dumps(row, sort_keys=True).encode() + b"\n"
    manifest.write_bytes(b"".join([line, *others]))
    with pytest.raises(UserError, match="manifest.jsonl line 1 is damaged; .*verify") as error:
        load_episodes([folder], tmp_path / "cache", progress=False)
    assert "\n" not in str(error.value)


def test_the_digest_is_that_of_the_manifests_lines(tmp_path):
    """Checkpoints and caches hold it, so it must not change."""
    folders = [write_store(tmp_path / str(seed), 3, frames=5, seed=seed) for seed in (0, 1)]
    lines = [
        json.loads(line)
        for folder in folders
        for line in (folder / "manifest.jsonl").read_text().splitlines()
    ]
    expected = hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()
    assert load_episodes(folders, tmp_path / "cache", progress=False).digest == expected


def test_reading_needs_no_simulator():
    heavy = ("mujoco", "robosuite", "robocasa", "OpenGL", "torch")
    code = (
        "import sys, dexbench.agents.learning.recordings as _; "
        f"sys.exit(', '.join(sorted(set({heavy}) & set(sys.modules))) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_pictures_of_another_size_are_refused(store, tmp_path):
    with pytest.raises(UserError, match="000000.mp4: .* whole multiple of 100x100 .*another size"):
        load_episodes([store], tmp_path / "cache", size=(100, 100), progress=False)


def test_pretraining_is_what_does_not_show_the_benchmarks_robot(store, tmp_path):
    videos = write_store(tmp_path / "videos", episodes=2, seed=1, strategy="egohand")
    grippers = write_store(tmp_path / "grippers", episodes=2, strategy=None)
    merged = tmp_path / "merged"
    EpisodeStore(merged, {"sources": [{"strategy": "lift"}, {"strategy": "egohand"}]})
    assert pretraining_of("none", [store, store]) == "none"
    assert pretraining_of("none", [store, videos, grippers]) == "videos + grippers"
    assert pretraining_of("videos", [store, videos]) == "videos"
    assert pretraining_of("dinov2 encoder", [merged]) == "dinov2 encoder + merged"
    with pytest.raises(UserError, match="nothing does not exist"):
        pretraining_of("none", [tmp_path / "nothing"])


def test_every_strategy_that_collects_shows_the_benchmarks_robot():
    """Whoever adds one that does not must name it apart."""
    assert set(STRATEGIES) <= ROBOT_STRATEGIES
