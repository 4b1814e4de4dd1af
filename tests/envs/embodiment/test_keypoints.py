import torch

from dexbench.envs.embodiment import keypoints as k
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import INIT_JOINTS, JOINTS, N_JOINTS


def test_index_sets_are_the_recorded_ones():
    """Weights, suites and recorded sets hold keypoints and joints in this order."""
    assert k.N_KEYPOINTS == 21 and k.WRIST == 0
    assert tuple(range(17)) == k.DISTINCT and k.N_DISTINCT == 17
    assert k.WRIST_AND_TIPS == (0, 4, 8, 12, 16)
    assert k.PAPER_KEYPOINTS == (0, 4, 8, 12, 16, 16)
    assert (k.N_ARM_JOINTS, k.N_HAND_JOINTS) == (7, 16)
    assert list(range(N_JOINTS))[k.ARM_JOINTS] == list(range(7))
    assert list(range(N_JOINTS))[k.HAND_JOINTS] == list(range(7, 23))


def test_names_say_what_the_indices_are():
    assert [k.KEYPOINTS[i] for i in k.WRIST_AND_TIPS] == [
        "wrist",
        *(f"{finger}_3" for finger in ("thumb", "index", "middle", "ring")),
    ]
    assert all("fr3" in joint for joint in JOINTS[k.ARM_JOINTS])
    assert not any("fr3" in joint for joint in JOINTS[k.HAND_JOINTS])


def test_the_other_keypoints_are_copies_of_distinct_ones():
    points = HandKinematics().keypoints(torch.from_numpy(INIT_JOINTS).float())
    distinct = points[list(k.DISTINCT)]
    assert len(distinct.unique(dim=0)) == k.N_DISTINCT
    copies = points[[i for i in range(k.N_KEYPOINTS) if i not in k.DISTINCT]]
    assert len(copies) == 4 and all((distinct == copy).all(-1).any() for copy in copies)
