"""Sets of tiny synthetic episodes, made by the real store and the real `collect.main`."""

import dataclasses
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dexbench.data_collection.record import collect
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.fill import Recording
from dexbench.data_collection.record.strategies import CLIPS
from dexbench.data_collection.store.episode import Episode
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.utils.seeding import rng


def record(config, index):
    """A scene of clips of three frames of 32 x 32 px."""
    store = EpisodeStore(config.out)
    rows = []
    for clip in range(CLIPS):
        key = index * CLIPS + clip
        made = episode(key + 1000 * config.seed, 3, f"<mujoco model='{config.seed}.{index}'/>")
        frames = np.full((3, 32, 32, 3), key % 250, np.uint8)
        made = dataclasses.replace(made, frames=frames)
        rows.append(store.write(key, made) | {"scene": index})
    return rows


def threads(config, workers):
    """Threads see what a test made; processes would import the package anew."""
    return ThreadPoolExecutor(workers)


SMALL = Recording(record, threads)
"""What makes such sets in place of recording in kitchens."""


def collect_small(config: CollectConfig):
    """`dexbench collect`, of such sets."""
    collect.main(config, SMALL)


def fill(folder, episodes=12, seed=0):
    """Collect a small set."""
    collect_small(CollectConfig(folder, "programmatic", episodes, workers=1, seed=seed))
    return folder


def fork_and_kill(folder, episodes, seconds):
    """Collect in a process of its own and kill it after some time; whether it was still at it."""
    child = os.fork()
    if child == 0:
        fill(folder, episodes)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def contents(folder):
    """Every file of a set by its relative name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def episode(key=0, frames=4, xml="<mujoco/>"):
    """A clip of plain colours and random numbers."""
    stream = rng("test", "episode", key)
    return Episode(
        frames=np.stack([np.full((224, 392, 3), 40 * i, np.uint8) for i in range(frames)]),
        agent_pos=stream.normal(size=(frames, 23)).astype(np.float32),
        action=stream.normal(size=(frames, 23)).astype(np.float32),
        keypoints=stream.normal(size=(frames, 21, 3)).astype(np.float32),
        state=stream.normal(size=(frames, 50)),
        object_pos=stream.normal(size=(frames, 3, 3)),
        contact=stream.random(frames) < 0.5,
        xml=xml,
        meta={"kind": "wander", "lifted": False, "touched": True, "instances": ["can_0"]},
    )


def as_schema_1(folder):
    """Rewrites a set as dexbench 0.1.0 wrote it."""
    rows = list(EpisodeStore(folder).rows())
    info = json.loads((folder / "dataset.json").read_text()) | {"schema": 1}
    info.pop("assets")
    (folder / "dataset.json").write_text(json.dumps(info, indent=1, sort_keys=True))
    for row in rows:
        row.pop("model_gz")
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in rows]
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder
