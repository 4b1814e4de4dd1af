from collections import Counter

import numpy as np

from dexbench.data_collection.human.skeleton import Person
from dexbench.data_collection.human.skin import arm_skin, hand_skin
from dexbench.data_collection.human.surface import Bone, enclose, normals

SOMEBODY = Person(1.7, 1.05, 1.0, (0.1, -0.9), 0.2)


def edges(faces):
    """How often each directed edge occurs."""
    return Counter(
        (int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)
    )


def test_a_surface_is_closed_smooth_and_where_the_bone_ends():
    bone = Bone(np.zeros(3), np.array([0.1, 0, 0]), (0.02, 0.01), "bone")
    vertices, faces = enclose([bone], 0.004, 0.002)
    counted = edges(faces)
    assert all(counted[b, a] == 1 == times for (a, b), times in counted.items())
    assert np.abs(bone.distance(vertices)).max() < 0.001
    nearest = np.stack([np.clip(vertices[:, 0], 0, 0.1), *np.zeros((2, len(vertices)))], 1)
    assert (normals(vertices, faces) * (vertices - nearest)).sum(1).min() > 0


def test_skins_of_both_sides_are_closed_and_moved_by_bones():
    for side in ("left", "right"):
        skin = hand_skin(SOMEBODY, side)
        counted = edges(skin.faces)
        assert all(counted[b, a] == times for (a, b), times in counted.items())
        np.testing.assert_allclose(skin.weights.sum(1), 1)
        assert skin.shades.min() >= 0 and skin.shades.max() <= 1
        volume = np.linalg.det(skin.vertices[skin.faces]).sum() / 6
        assert 2e-4 < volume < 8e-4  # m3, and triangles face outward


def test_a_tip_moves_with_its_last_bone_only():
    skin = hand_skin(SOMEBODY, "right")
    tip = skin.vertices[:, 0].argmax()
    assert skin.weights[tip, list(skin.bones).index("MiddleFingerIntermediateTip")] > 0.95


def test_a_sleeve_covers_the_arm_as_far_as_its_cuff():
    arm, sleeve = arm_skin(SOMEBODY, False), arm_skin(SOMEBODY, True, 0.15, 3)
    assert abs(sleeve.vertices[:, 0].max() - 0.15) < 0.06 < arm.vertices[:, 0].max() - 0.15
    assert np.ptp(sleeve.vertices[:, 1]) > np.ptp(arm.vertices[:, 1]) + 0.01
