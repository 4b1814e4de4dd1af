"""Sets of tiny synthetic episodes, made by the real store and the real `collect.main`."""

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from test_store import episode

from dexbench.data_collection import collect, strategies
from dexbench.data_collection.collect import CollectConfig
from dexbench.data_collection.store import EpisodeStore

CLIPS = 6


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


def threads(workers, context, initializer):
    return ThreadPoolExecutor(workers)


@contextmanager
def collector():
    """Inside, `dexbench collect` makes such sets."""
    old = collect._record, collect.ProcessPoolExecutor, strategies.CLIPS
    collect._record, collect.ProcessPoolExecutor, strategies.CLIPS = record, threads, CLIPS
    try:
        yield
    finally:
        collect._record, collect.ProcessPoolExecutor, strategies.CLIPS = old


def fill(folder, episodes=12, seed=0):
    """Collect a small set, as `dexbench collect` does."""
    with collector():
        collect.main(CollectConfig(folder, "programmatic", episodes, workers=1, seed=seed))
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
