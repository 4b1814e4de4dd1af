"""Where joints are in the data and where hands are in the picture must be one place."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from dexbench.data_collection.human.body import joints
from dexbench.data_collection.human.person_mjcf import HEIGHT, WIDTH, intrinsic
from dexbench.data_collection.human.record import ARKIT, play, transforms
from dexbench.data_collection.human.skeleton import HAND_JOINTS, JOINTS
from dexbench.data_collection.scripted.poses import pose
from dexbench.utils.seeding import rng


def projected(points, camera):
    """Pixels (n, 2) of world points (n, 3), as a reader of the file computes them."""
    local = (points - camera[:3, 3]) @ camera[:3, :3]
    pixels = local @ intrinsic().T
    return pixels[:, :2] / pixels[:, 2:]


def test_objects_are_drawn_where_camera_and_intrinsics_say(session, film):
    stage = play(session, "open_close_hands", [0], rng("test", "film"))
    hands, _ = stage.play(20)
    body, camera = joints(session.person, hands, rng("test", "camera"))
    body = body + 0.0
    body[..., 1, 3] -= 50  # nobody in the picture
    for frame, place in ((0, (0.0, -0.5, 1.0)), (10, (0.45, -0.4, 1.1)), (19, (-0.2, -0.3, 1.0))):
        orange = session.solids[0]
        there = np.array(place)
        seen = slice(frame, frame + 1)
        pictures = [
            film.shoot(body[seen], camera[seen], pose(np.eye(3), shift)[None, None], [0])[0]
            for shift in (there, there - [0, 50, 0])
        ]
        changed = (pictures[0] != pictures[1]).any(-1)
        seen_box = np.array([(ends.min(), ends.max() + 1) for ends in np.nonzero(changed)[::-1]])
        outline = projected(orange.points + there, camera[frame])
        assert changed.sum() > 60
        assert np.abs(seen_box.T - [outline.min(0), outline.max(0)]).max() < 1.2


def test_keypoints_lie_on_the_drawn_hands(session, film):
    stage = play(session, "open_close_hands", [], rng("test", "hands"))
    n = stage.frames()
    hands, objects = stage.play(n)
    body, camera = joints(session.person, hands, rng("test", "head"))
    empty = np.zeros((1, 0, 4, 4))
    away = body.copy()
    away[..., 1, 3] -= 50
    checked = 0
    for frame in range(0, n, 12):
        seen = slice(frame, frame + 1)
        pictures = [film.shoot(b[seen], camera[seen], empty, [])[0] for b in (body, away)]
        drawn = (pictures[0] != pictures[1]).any(-1)
        gaps = distance_transform_edt(~drawn)
        for side in ("left", "right"):
            own = [JOINTS.index(side + name) for name in HAND_JOINTS]
            pixels = projected(body[frame, own, :3, 3], camera[frame])
            inside = ((pixels > 1) & (pixels < [WIDTH - 1, HEIGHT - 1])).all(1)
            columns, rows = pixels[inside].astype(int).T
            assert gaps[rows, columns].max(initial=0) <= 1
            checked += int(inside.sum())
        assert 400 < drawn.sum() < 0.5 * drawn.size
    assert checked > 200


def test_the_files_world_has_y_up(session):
    stage = play(session, "open_close_hands", [], rng("test", "up"))
    hands, _ = stage.play(5)
    body, camera = joints(session.person, hands, rng("test", "up"))
    named = transforms(body, camera)
    assert set(named) == {*JOINTS, "camera"}
    assert (named["neck4"][:, 1, 3] > named["hip"][:, 1, 3] + 0.3).all()
    np.testing.assert_allclose(np.linalg.det(ARKIT), 1)
