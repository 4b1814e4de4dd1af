"""What a written clip says is what its video shows: frames, sides, camera, intrinsics and rate."""

import h5py
import numpy as np
import pytest

from dexbench.data_collection.human.record import ARKIT, _clip, play
from dexbench.data_collection.human.skeleton import JOINTS
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import LEFT, RIGHT, project
from dexbench.data_collection.store.egodex import TRAIN, EgoDexStore
from dexbench.utils.seeding import rng
from dexbench.utils.video import read_video

EMPTY = np.zeros((1, 0, 4, 4))
INDEX, MIDDLE, TIP, LITTLE = 5, 9, 12, 17
"""Places of three knuckles and the middle fingertip among a hand's 21 keypoints."""


@pytest.fixture(scope="module")
def written(session, film, tmp_path_factory):
    """A clip of hands alone, as its files tell it: pictures, world poses, and the sample."""
    root = tmp_path_factory.mktemp("clip") / "set"
    store = EgoDexStore(root, {"strategy": "egohand", "seed": 0, "image_size": [*film.size]})
    stage = play(session, "open_close_hands", [], rng("test", "clip"))
    clip = _clip(session, film, "open_close_hands", [], stage, rng("test", "clip", "head"))
    row = store.write_clip(0, TRAIN, clip)
    with h5py.File(store.file(row, "hdf5")) as file:
        poses = {name: np.linalg.inv(ARKIT) @ file[f"transforms/{name}"][:] for name in JOINTS}
        camera = np.linalg.inv(ARKIT) @ file["transforms/camera"][:]
    body = np.stack([poses[name] for name in JOINTS], 1)
    layout = open_layout(root)
    return read_video(store.file(row, "mp4")), body, camera, layout.clip(layout.names()[0]).sample()


def test_its_pictures_are_those_of_its_poses_at_the_same_time(written, film):
    frames, body, camera, _ = written
    moved = np.linalg.norm(np.diff(body[:, :, :3, 3], axis=0), axis=-1).max(1)
    right = 0
    busy = 1 + np.argsort(moved[1:-1])[-5:]
    for t in busy:
        drawn = [film.shoot(body[[k]], camera[[k]], EMPTY, [])[0] for k in (t - 1, t, t + 1)]
        errors = [np.abs(frames[t].astype(int) - picture).mean() for picture in drawn]
        assert errors[1] < 6, "what a video's compression costs"
        right += int(np.argmin(errors) == 1)
    assert right == len(busy)


def test_its_keypoints_are_on_the_hands_of_their_side(written, film):
    frames, body, camera, sample = written
    size = np.array(film.size[::-1])
    shown = 0
    for t in range(2, len(frames), len(frames) // 4):
        for side in (LEFT, RIGHT):
            away = body[[t]].copy()
            own = [i for i, name in enumerate(JOINTS) if name.startswith(("left", "right")[side])]
            away[:, own, 1, 3] -= 50
            alone = [film.shoot(b, camera[[t]], EMPTY, [])[0] for b in (body[[t]], away)]
            mask = (alone[0] != alone[1]).any(-1)
            pixels, _ = project(sample.hands[[t], side], sample.camera[[t]], sample.intrinsics)
            inside = ((pixels[0] > 1) & (pixels[0] < size - 1)).all(-1)
            assert sample.seen[t, side][inside].all()
            for column, row in pixels[0][inside].astype(int):
                shown += 1
                assert mask[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any()
    assert shown > 80


def test_left_is_left_and_either_hand_bends_to_its_palm(written):
    _, _, _, sample = written
    local = (sample.hands - sample.camera[:, None, None, :3, 3]) @ sample.camera[:, None, :3, :3]
    assert (local[:, LEFT, 0, 0] < local[:, RIGHT, 0, 0] - 0.05).all()
    for side, sign in ((LEFT, 1), (RIGHT, -1)):
        hand = sample.hands[:, side].astype(float)
        ahead, thumb = hand[:, MIDDLE] - hand[:, 0], hand[:, INDEX] - hand[:, LITTLE]
        bent = (np.cross(ahead, thumb) * (hand[:, TIP] - hand[:, MIDDLE])).sum(-1)
        assert sign * np.median(bent) > 0, "a mirrored hand would bend to its back"


def test_its_rate_is_that_of_the_motion(written, session):
    frames, _, _, sample = written
    stage = play(session, "open_close_hands", [], rng("test", "clip"))
    assert len(sample) == len(frames) == stage.frames()
    assert len(sample) / sample.rate == pytest.approx(max(stage.clock.values()) + 0.4, abs=0.1)
